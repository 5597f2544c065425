"""Memorisation: how likely, how high and how completely does a model still give the concept's words and answers?

Of each example, n tokens under all that stands before them: the concept's words in a statement, where it first names
them, or a whole answer after its question (end of text not among them). The right tokens are given, one after another
(teacher forcing):

- *probability*: exp(-mean negative log-likelihood), as open-unlearning's `probability` (locuslab/open-unlearning,
  src/evals/metrics/memorization.py), the length-normalised probability of TOFU (Maini et al. 2024, section 2.2).
- *rank*: 1 for the most probable token of the vocabulary; tokens as probable as the right one count half.
- *exact memorisation*: the share of the n tokens that come first (Tirumala et al. 2022, "Memorization Without
  Overfitting"; open-unlearning's `exact_memorization`).
- *extraction strength*: 1 - k / n with the smallest k such that greedy decoding goes on to the end of the example by
  itself once its first k tokens are given (Carlini et al. 2021, "Extracting Training Data from Large Language Models";
  Wang et al. 2025, "Towards Effective Evaluations and Comparisons for LLM Unlearning Methods", arXiv 2406.09179;
  open-unlearning's `extraction_strength`). That is so as soon as every token from the k-th on comes first. Where not
  even the last one does, k = n and the strength is 0; open-unlearning's loop ends one earlier there and gives 1 / n.
- *truth ratio*: see truth_ratio.py.

Of a question that may be answered in several wordings the one that the model finds likeliest is taken: an answer that
is known in other words is not forgotten.
"""

import logging
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float, Int

from unlearning_core.config.schema import ProofSection
from unlearning_core.errors import InputError
from unlearning_core.evaluation.answers import some_questions
from unlearning_core.evaluation.next_token import NextToken, check_finite, score_logits
from unlearning_core.evaluation.patching import place_batches
from unlearning_core.evaluation.ratio import Estimate, ratio_estimate
from unlearning_core.evaluation.suite import Frames, Material, Subject
from unlearning_core.evaluation.targets import Targets, answer_text, targets_of, unprompted
from unlearning_core.evaluation.text_losses import some
from unlearning_core.evaluation.truth_ratio import truth_ratios
from unlearning_core.models.loading import LoadedModel
from unlearning_core.progress import Progress, ProgressCallback, silent

Kind = Literal["statement", "question"]

logger = logging.getLogger(__name__)


def memorisation(
    subject: Subject, material: Material, settings: ProofSection, progress: ProgressCallback = silent
) -> Frames:
    """Score the concept's words in the statements and the answers to the concept's questions.

    Returns:
        `examples`: a row an example: `kind` (statement, question), `form` of the question ("" for a statement), `text`
        (the statement, or the question), `answer` ("" for a statement), `tokens` that are scored, `nats`, the mean of
        their negative log-likelihoods, `probability`, `mean_rank`, `exact`, `extraction_strength`.
        `tokens`: a row a token of these: `example` (row of `examples`), `kind`, `token`, `nats`, `rank`.
        `truth`: a row a question with wrong answers: `prompt`, `truth_ratio`.

    Raises:
        InputError: nothing can be scored, or an answer of `material.truth` does not fit into the model's context.
        WorkFailed: the model's output is not a number.
    """
    chosen = some_questions(material.questions, settings.max_questions, subject.seed)
    asked = [question for question in chosen if question.about == "concept"]
    answers = [(number, answer) for number, question in enumerate(asked) for answer in question.answers]
    statements = [unprompted(item) for item in some(material.statements, settings.max_statements, subject.seed)]
    items = [*statements, *(answer_text(asked[number].prompt, answer) for number, answer in answers)]
    logger.info("Scoring %d statements and %d answers", len(statements), len(answers))
    scored = _scored(subject.loaded, targets_of(subject.loaded, items), progress)
    rows = [
        ({"kind": "statement", "form": "", "text": item.text, "answer": ""}, scored[index])
        for index, item in enumerate(statements)
        if index in scored
    ]
    best: dict[int, tuple[str, _Scored]] = {}
    for index, (number, answer) in enumerate(answers, len(statements)):
        if index in scored and (number not in best or scored[index].nats.mean() < best[number][1].nats.mean()):
            best[number] = answer, scored[index]
    for number, (answer, values) in best.items():
        question = asked[number]
        rows.append(({"kind": "question", "form": question.form, "text": question.prompt, "answer": answer}, values))
    if not rows:
        raise InputError(
            f"None of the {len(items)} statements and answers has a token of the concept that can be scored (the first "
            "token of a text has nothing before it). Give longer texts or questions in proof.questions."
        )
    truth = pd.DataFrame({"prompt": [question.prompt for question in material.truth]}, dtype="str")
    truth["truth_ratio"] = truth_ratios(subject.loaded, material.truth, progress=progress)
    return {
        "examples": pd.DataFrame([told | values.measures() for told, values in rows]),
        "tokens": _tokens(subject.loaded, [(told["kind"], values) for told, values in rows]),
        "truth": truth,
    }


def mean_of(found: Frames, column: str, kind: Kind) -> Estimate | None:
    """Mean of a column of `examples` over the examples of one kind; None where there are none."""
    values = found["examples"].loc[found["examples"]["kind"] == kind, column].to_numpy(np.float64)
    return ratio_estimate(values, np.ones(len(values))) if len(values) else None


def median_rank(found: Frames) -> Estimate | None:
    """Median rank of the concept's tokens in the statements; None where there are none."""
    ranks = found["tokens"].loc[found["tokens"]["kind"] == "statement", "rank"]
    return Estimate(float(ranks.median())) if len(ranks) else None


def truth_ratio(found: Frames) -> Estimate | None:
    """Mean of min(R, 1 / R) over the truth ratios R, 0 to 1; None where there are none.

    open-unlearning's aggregate for what is to be forgotten (`closer_to_1_better`): 1 where right and wrong answers are
    equally likely, near 0 for a model that knows the fact, and for one that avoids it.
    """
    ratios = found["truth"]["truth_ratio"].to_numpy(np.float64)
    with np.errstate(divide="ignore"):
        closeness = np.minimum(ratios, 1 / ratios)
    return ratio_estimate(closeness, np.ones(len(ratios))) if len(ratios) else None


def answers_apart(never_knew: Frames, found: Frames, name: Literal["pvalue", "statistic"]) -> Estimate | None:
    """Two-sample Kolmogorov-Smirnov test between the probabilities of the answers under the never-knew model and under
    this one: its p-value, or its statistic, the largest gap between the two cumulative distributions, 0 to 1."""
    from scipy.stats import ks_2samp

    theirs, ours = (
        frames["examples"].loc[frames["examples"]["kind"] == "question", "probability"]
        for frames in (never_knew, found)
    )
    return Estimate(float(getattr(ks_2samp(ours, theirs), name))) if len(theirs) and len(ours) else None


@dataclass(frozen=True)
class _Scored:
    """The scored tokens of one text: negative log-likelihood, rank, whether it comes first, and which token it is."""

    nats: Float[np.ndarray, " tokens"]
    rank: Float[np.ndarray, " tokens"]
    hit: Bool[np.ndarray, " tokens"]
    ids: Int[np.ndarray, " tokens"]

    def measures(self) -> dict[str, float | int]:
        """What the head of this file defines; `given` is k."""
        missed = np.flatnonzero(~self.hit)
        given = int(missed[-1]) + 1 if len(missed) else 0
        return {
            "tokens": len(self.nats),
            "nats": float(self.nats.mean()),
            "probability": float(np.exp(-self.nats.mean())),
            "mean_rank": float(self.rank.mean()),
            "exact": float(self.hit.mean()),
            "extraction_strength": 1 - given / len(self.nats),
        }


def _scored(loaded: LoadedModel, targets: list[Targets], progress: ProgressCallback) -> dict[int, _Scored]:
    """By number of the text its scored tokens; texts without any are left out."""
    model, done = NextToken(loaded), 0
    found: dict[int, _Scored] = {}
    for batch in place_batches(model, targets):
        with torch.inference_mode():
            logits = model.logits(batch.ids, batch.seen, batch.places)
            nats, hits = score_logits(logits, batch.targets)
            ranks = ranks_of(logits, batch.targets)
        check_finite(nats)
        parts = (batch.by_text(values) for values in (nats, ranks, hits, batch.targets.cpu().numpy()))
        found |= {member: _Scored(*values) for member, *values in zip(batch.members, *parts, strict=True)}
        done += len(batch.members)
        progress(Progress("scoring words and answers", done, len(targets), "texts"))
    return found


def ranks_of(logits: Float[torch.Tensor, "n vocabulary"], targets: Int[torch.Tensor, " n"]) -> Float[np.ndarray, " n"]:
    """Rank of each target among all tokens, 1 the most probable; of several equal ones the middle of their places."""
    own = logits.gather(1, targets.to(logits.device)[:, None])
    above, equal = (logits > own).sum(dim=1), (logits == own).sum(dim=1)
    return (1 + above + (equal - 1) / 2).double().cpu().numpy()


def _tokens(loaded: LoadedModel, rows: list[tuple[str, _Scored]]) -> pd.DataFrame:
    decode = loaded.tokenizer.decode
    tables = [
        pd.DataFrame(
            {
                "example": number,
                "kind": kind,
                "token": [decode([token]) for token in values.ids.tolist()],
                "nats": values.nats,
                "rank": values.rank,
            }
        )
        for number, (kind, values) in enumerate(rows)
    ]
    return pd.concat(tables, ignore_index=True)
