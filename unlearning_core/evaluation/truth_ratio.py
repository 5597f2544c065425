"""TOFU's truth ratio and forget quality: does a model tell the right answer from wrong ones of the same form?

Maini, Feng, Schwarzschild, Lipton and Kolter, "TOFU: A Task of Fictitious Unlearning for LLMs", 2024 (arXiv
2401.06121), section 2.2.2, in the form that its code and open-unlearning compute (locuslab/tofu,
aggregate_eval_stat.py; locuslab/open-unlearning, src/evals/metrics: truth_ratio in memorization.py, the test in
privacy.py). With L(a) the mean negative log-likelihood of the tokens of an answer a after the question,
end of text included, a~ the paraphrased right answer and a_1 ... a_n the perturbed (wrong) ones:

    truth ratio R = exp(-mean_i L(a_i)) / exp(-L(a~)) = exp(L(a~) - mean_i L(a_i))

so the wrong answers' length-normalised probabilities enter by their geometric mean (the paper writes an arithmetic one;
the code of both projects does not). R is near 0 for a model that knows the fact. Forget quality is the p-value of the
two-sample Kolmogorov-Smirnov test between the truth ratios of a model and those of the model that never knew: high when
the two cannot be told apart. The test sees only order, so it is the same for R and for 1 / R. open-unlearning adds
1e-10 to the denominator; here R is taken from the difference of the logarithms and needs no such guard.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from unlearning_core.activations.alignment import encode
from unlearning_core.activations.batches import length_sorted
from unlearning_core.concepts.json_texts import json_lines
from unlearning_core.errors import InputError
from unlearning_core.evaluation.next_token import NextToken
from unlearning_core.evaluation.targets import answer_text
from unlearning_core.models.loading import LoadedModel
from unlearning_core.progress import Progress, ProgressCallback, silent

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TruthQuestion:
    """A question that a model may know the answer to.

    Attributes:
        prompt: the question, up to where the answer begins.
        paraphrase: the right answer in other words than those that were trained on.
        perturbed: wrong answers of the same form.
    """

    prompt: str
    paraphrase: str
    perturbed: tuple[str, ...]


def read_questions(path: Path, only: Mapping[str, Any] | None = None) -> list[TruthQuestion]:
    """The questions of a file with one JSON object a line; keys that `TruthQuestion` has not are passed over.

    Args:
        only: just those whose other keys have these values, such as {"family": "seats"}.

    Raises:
        InputError: the file is missing, empty, not UTF-8 or not JSON, or a question lacks a key; names the line.
    """
    questions = [_question(row, f"{path}, line {number}") for number, row in json_lines(path, only)]
    if not questions:
        asked = f" with {', '.join(f'{key} = {value}' for key, value in only.items())}" if only else ""
        raise InputError(f"{path} holds no question{asked}. Give at least one, or no file of questions.")
    return questions


def _question(row: Any, where: str) -> TruthQuestion:
    if not isinstance(row, Mapping):
        raise InputError(f"{where}: expected an object with prompt, paraphrase and perturbed.")
    for key in ("prompt", "paraphrase"):
        if not isinstance(row.get(key), str) or not row[key].strip():
            raise InputError(f"{where}: {key} is {row.get(key)!r}; expected text.")
    wrong = row.get("perturbed")
    if not isinstance(wrong, list) or not wrong or not all(isinstance(text, str) and text.strip() for text in wrong):
        raise InputError(f"{where}: perturbed is {wrong!r}; expected a list of one or more wrong answers.")
    return TruthQuestion(row["prompt"], row["paraphrase"], tuple(wrong))


def truth_ratios(
    loaded: LoadedModel,
    questions: Sequence[TruthQuestion],
    *,
    token_budget: int = 2048,
    progress: ProgressCallback = silent,
) -> Float[np.ndarray, " questions"]:
    """Truth ratio of each question; see the head of this file.

    Args:
        token_budget: positions in a batch, padding included.
        progress: told after every batch; may raise Stopped.

    Raises:
        InputError: a question with an answer is longer than the model's context, or an answer is empty.
        WorkFailed: the model's output is not a number.
    """
    answers = [answer for question in questions for answer in (question.paraphrase, *question.perturbed)]
    prompts = [question.prompt for question in questions for _ in range(1 + len(question.perturbed))]
    losses = answer_losses(loaded, prompts, answers, token_budget=token_budget, progress=progress)
    ends = np.cumsum([1 + len(question.perturbed) for question in questions])
    return np.array([np.exp(of_one[0] - of_one[1:].mean()) for of_one in np.split(losses, ends)[:-1]])


def answer_losses(
    loaded: LoadedModel,
    prompts: Sequence[str],
    answers: Sequence[str],
    *,
    token_budget: int = 2048,
    progress: ProgressCallback = silent,
) -> Float[np.ndarray, " answers"]:
    """Mean negative log-likelihood of each answer's tokens after its prompt and a space, nats a token.

    The tokenizer's end-of-text token, where it has one, is the last token of the answer, as in TOFU.

    Raises:
        InputError, WorkFailed: as `truth_ratios` does.
    """
    rows = _rows(loaded, prompts, answers)
    next_token, losses, done = NextToken(loaded), np.empty(len(rows)), 0
    logger.info("Scoring %d answers", len(rows))
    for group in length_sorted([len(ids) for ids, _ in rows], token_budget):
        for index, (nats, _) in zip(group, next_token.score([rows[i][0] for i in group]), strict=True):
            losses[index] = nats[rows[index][1][1:]].mean()
        done += len(group)
        progress(Progress("scoring answers", done, len(rows), "answers"))
    return losses


def _rows(loaded: LoadedModel, prompts: Sequence[str], answers: Sequence[str]) -> list[tuple[list[int], np.ndarray]]:
    """([token ids], bool [tokens]: part of the answer) of each prompt with its answer."""
    items = []
    for prompt, answer in zip(prompts, answers, strict=True):
        if not answer.strip():
            raise InputError(f"The question {prompt[:60]!r} has an empty answer. Write one, or leave the question out.")
        items.append(answer_text(prompt, answer))
    context, end = getattr(loaded.model.config, "max_position_embeddings", None), loaded.tokenizer.eos_token_id
    rows = []
    for item, encoded in zip(items, encode(loaded.tokenizer, items), strict=True):
        ids, part = encoded.input_ids.tolist(), encoded.concept
        if end is not None:  # it is the answer's last token
            ids, part = (ids, part[:-1]) if ids[-1:] == [end] else ([*ids, end], part)
            part = np.append(part, True)
        if context is not None and len(ids) > context:
            raise InputError(
                f"The question {item.text[:60]!r}... has {len(ids)} tokens with its answer, but the model reads at "
                f"most {context}. Leave the question out or shorten it."
            )
        rows.append((ids, part))
    return rows
