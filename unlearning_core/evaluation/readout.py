"""Can the concept's words still be read out of the model's inside, layer by layer, though it does not say them?

Two instruments, both on the residual stream at the position that *predicts* a word of the concept (before its first
token), in statements, where they first name it. They need no never-knew model; where there is one, what they read in it
is what the context alone gives away.

- *Logit lens* (nostalgebraist 2020, "interpreting GPT: the logit lens"): the state of each layer goes through the final
  norm and the head as if it were the last one. The right word has a likelihood and a rank there, and a place among the
  concept's own words: told from them it is known, however unlikely all of them were made. The last layer is the model's
  own output. A word that is likely in a middle layer and not at the end is suppressed, not gone.
- *Linear probe* (linear_probe.py): a linear map of each layer's state tells which of the concept's words comes next, on
  texts that it was not fitted on.
- *Control task*, after Hewitt and Liang 2019 ("Designing and Interpreting Probes with Control Tasks", arXiv
  1909.03368): the same probe for the same labels dealt out at random. They give labels to word types, so that a probe
  can learn the types by heart; here the label *is* the type of the word to come, so labels are dealt out among the
  places. Selectivity = accuracy - control accuracy. What the words before give away without any knowledge is not
  taken off by that; the never-knew model's selectivity says how much it is.
"""

import logging
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float, Int

from unlearning_core.activations.alignment import encode
from unlearning_core.activations.collect import context_length
from unlearning_core.concepts.labelling import LabelledText
from unlearning_core.config.schema import ProofSection
from unlearning_core.errors import InputError
from unlearning_core.evaluation.linear_probe import right_elsewhere
from unlearning_core.evaluation.memorisation import ranks_of
from unlearning_core.evaluation.next_token import NextToken, check_finite, score_logits
from unlearning_core.evaluation.patching import place_batches, residuals
from unlearning_core.evaluation.ratio import Estimate, ratio_estimate
from unlearning_core.evaluation.suite import Frames, Material, Subject
from unlearning_core.evaluation.targets import Targets, unprompted
from unlearning_core.evaluation.text_losses import some
from unlearning_core.models.loading import LoadedModel
from unlearning_core.progress import Progress, ProgressCallback, silent

CONTROLS = 4
"""Draws of the control task."""

FOLDS = 5
FEWEST = FOLDS
"""Times that a word must occur to be a class of the probe."""

logger = logging.getLogger(__name__)


def readout(
    subject: Subject, material: Material, settings: ProofSection, progress: ProgressCallback = silent
) -> Frames:
    """Read the concept's next word out of each layer of the subject.

    Returns:
        `lens`: a row a word of the concept and layer (0 to the number of blocks): `example` (number of the statement),
        `layer`, `token` (the word's first), `nats`, its negative log-likelihood, `rank`, 1 the most probable, and
        `told`, whether it is the most probable of the concept's words. Empty for a model whose head cannot be applied
        to states of inner layers.
        `probe`: a row a word and layer: `example`, `layer`, `token`, `right`, whether the probe told it,
        `control_right`, the share of the control tasks that were told right. Empty where fewer than two of the
        concept's words occur often enough.

    Raises:
        InputError: no word of the concept in the statements can be predicted.
        WorkFailed: the model's states are not numbers.
    """
    statements = some(material.statements, settings.max_statements, subject.seed)
    words = _words(subject.loaded, [unprompted(item) for item in statements])
    states = _states(subject.loaded, words.texts, progress)
    return {
        "lens": _lens(subject.loaded, states, words, progress),
        "probe": _probe(subject.loaded, states, words, subject.seed, progress),
    }


def lens_nats(found: Frames) -> Estimate | None:
    """Mean negative log-likelihood of the concept's next word at the layer that tells it best, nats, by text."""
    best = best_layer(found["lens"], "nats", "lowest")
    return None if best.empty else _by_text(best, "nats")


def lens_rank(found: Frames) -> Estimate | None:
    """Median rank of the concept's next word at the layer that tells it best, 1 the most probable of all tokens."""
    best = best_layer(found["lens"], "nats", "lowest")
    return None if best.empty else Estimate(float(best["rank"].median()))


def lens_told(found: Frames) -> Estimate | None:
    """Share of the places where the right word is the likeliest of the concept's, at the best layer, by text."""
    if found["lens"]["token"].nunique() < 2:
        return None
    return _by_text(best_layer(found["lens"], "told", "highest"), "told")


def probe_accuracy(found: Frames) -> Estimate | None:
    """Accuracy of the probe at the layer where it is highest, by text."""
    best = best_layer(found["probe"], "right", "highest")
    return None if best.empty else _by_text(best, "right")


def probe_selectivity(found: Frames) -> Estimate | None:
    """Accuracy less that of the control tasks, at the layer where accuracy is highest, by text."""
    best = best_layer(found["probe"], "right", "highest")
    return (
        None if best.empty else _by_text(best.assign(selectivity=best["right"] - best["control_right"]), "selectivity")
    )


def best_layer(found: pd.DataFrame, column: str, best: Literal["lowest", "highest"]) -> pd.DataFrame:
    """The rows of the layer with the best mean of a column, chosen on other texts than those that it is read on.

    Texts are halved; the rows of either half are those of the layer that is best on the other one, so that the best of
    many layers is not the luckiest. A single text is read at the layer that is best on itself.
    """
    odd = found["example"].rank(method="dense") % 2 == 1
    halves = (odd, ~odd) if odd.nunique() == 2 else (odd | True,) * 2
    parts = []
    for read, chosen_on in (halves, halves[::-1])[: odd.nunique()]:
        means = found[chosen_on].groupby("layer")[column].mean()
        parts.append(found[read & (found["layer"] == (means.idxmin() if best == "lowest" else means.idxmax()))])
    return pd.concat(parts) if parts else found


def lens_by_layer(found: Frames) -> pd.DataFrame:
    """For a figure: `layer`, mean `nats`, median `rank`, `told`, the share of words told from the concept's others."""
    by = found["lens"].groupby("layer")
    return by.agg(nats=("nats", "mean"), rank=("rank", "median"), told=("told", "mean")).reset_index()


def probe_by_layer(found: Frames) -> pd.DataFrame:
    """For a figure: `layer`, `accuracy` and `control`, both 0 to 1."""
    by = found["probe"].groupby("layer")
    return by.agg(accuracy=("right", "mean"), control=("control_right", "mean")).reset_index()


def _by_text(rows: pd.DataFrame, column: str) -> Estimate:
    by = rows.groupby("example")[column]
    return ratio_estimate(by.sum().to_numpy(np.float64), by.count().to_numpy())


@dataclass(frozen=True)
class _Words:
    """The words of the concept that are read, text by text in the order of the texts.

    Attributes:
        texts: each text with the first tokens of these words chosen.
        example: number of the statement, of each word.
        token: the word's first token.
    """

    texts: list[Targets]
    example: Int[np.ndarray, " words"]
    token: Int[np.ndarray, " words"]


def _words(loaded: LoadedModel, statements: list[LabelledText]) -> _Words:
    """A word that only position 0 predicts is left out: models park attention there."""
    texts, example, token = [], [], []
    for number, text in enumerate(encode(loaded.tokenizer, statements, context_length(loaded))):
        starts = text.concept & ~text.special & ~np.append(False, text.concept[:-1])
        starts[:2] = False
        if starts.any():
            end = int(np.flatnonzero(starts)[-1]) + 1
            texts.append(Targets(text.input_ids[:end].tolist(), starts[:end]))
            example += [number] * int(starts.sum())
            token += text.input_ids[starts].tolist()
    if not texts:
        raise InputError(
            f"None of the {len(statements)} statements has a word of the concept that can be read out (the first two "
            "tokens of a text do not count). Give longer sentences about the concept."
        )
    return _Words(texts, np.array(example), np.array(token))


def _states(
    loaded: LoadedModel, texts: list[Targets], progress: ProgressCallback
) -> Float[np.ndarray, "layers words width"]:
    """The residual stream where each word is predicted, text by text."""
    done = 0
    found: dict[int, torch.Tensor] = {}
    for batch in place_batches(NextToken(loaded), texts):
        ends = np.cumsum(batch.counts)[:-1].tolist()
        parts = residuals(loaded, batch).float().tensor_split(ends, dim=1)
        found |= dict(zip(batch.members, parts, strict=True))
        done += len(batch.members)
        progress(Progress("reading layers", done, len(texts), "texts"))
    states = torch.cat([found[number] for number in range(len(texts))], dim=1).numpy()
    check_finite(states.ravel())
    return states


def _no_lens(loaded: LoadedModel, model: NextToken) -> str | None:
    """Why this model's head cannot read the states of inner layers, or None."""
    head: Any = loaded.model.get_output_embeddings()
    if loaded.map.final_norm is None:
        return "it has no final norm"
    if not model.by_head:
        return "its logits are not its head's output alone"
    if head.weight.shape[1] != loaded.model.config.get_text_config().hidden_size:
        return "it maps the hidden state to another width before its head"
    return None


def _lens(
    loaded: LoadedModel, states: Float[np.ndarray, "layers words width"], words: _Words, progress: ProgressCallback
) -> pd.DataFrame:
    model = NextToken(loaded)
    if reason := _no_lens(loaded, model):
        logger.warning("The logit lens cannot be used with %s: %s", loaded.info.source, reason)
        return pd.DataFrame({name: [] for name in ("example", "layer", "token", "nats", "rank", "told")})
    norm: Any = loaded.map.final_norm
    like = next(norm.parameters())
    names, token = _names(loaded, words), torch.from_numpy(words.token)
    of_concept = token.unique()
    tables = []
    for layer, of_layer in enumerate(torch.from_numpy(states)):
        parts = []
        for stream, wanted in zip(of_layer.split(model.rows), token.split(model.rows), strict=True):
            with torch.inference_mode():
                logits = model.head_logits(norm(stream.to(like)))
                told = of_concept[logits.cpu()[:, of_concept].argmax(dim=1)] == wanted
                parts.append((score_logits(logits, wanted)[0], ranks_of(logits, wanted), told.numpy()))
        nats, rank, first = (np.concatenate(values) for values in zip(*parts, strict=True))
        check_finite(nats)
        table = {"example": words.example, "layer": layer, "token": names, "nats": nats, "rank": rank, "told": first}
        tables.append(pd.DataFrame(table))
        progress(Progress("reading with the head", layer + 1, len(states), "layers"))
    return pd.concat(tables, ignore_index=True)


def _probe(
    loaded: LoadedModel,
    states: Float[np.ndarray, "layers words width"],
    words: _Words,
    seed: int,
    progress: ProgressCallback,
) -> pd.DataFrame:
    known, counts = np.unique(words.token, return_counts=True)
    used: Bool[np.ndarray, " words"] = np.isin(words.token, known[counts >= FEWEST])
    example, label = words.example[used], words.token[used]
    if len(np.unique(label)) < 2 or len(np.unique(example)) < FOLDS:
        logger.warning("Fewer than two words of the concept occur %d times: no probe is fitted", FEWEST)
        return pd.DataFrame({name: [] for name in ("example", "layer", "token", "right", "control_right")})
    dealt = [np.random.default_rng((seed, draw)).permutation(label) for draw in range(CONTROLS)]
    names, tables = np.array(_names(loaded, words))[used], []
    for layer, of_layer in enumerate(states):
        right = right_elsewhere(of_layer[used], np.column_stack([label, *dealt]), example, FOLDS)
        table = {"example": example, "layer": layer, "token": names, "right": right[:, 0]}
        tables.append(pd.DataFrame(table | {"control_right": right[:, 1:].mean(axis=1)}))
        progress(Progress("fitting probes", layer + 1, len(states), "layers"))
    return pd.concat(tables, ignore_index=True)


def _names(loaded: LoadedModel, words: _Words) -> list[str]:
    return [loaded.tokenizer.decode([token]) for token in words.token.tolist()]
