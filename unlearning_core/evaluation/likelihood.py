"""How well a model predicts held-out text, at the concept's tokens and at all others.

Where sentences have neighbours (concepts/neighbours.py), those others come in two parts as well: the neighbours' own
tokens, and the rest.
"""

import contextlib
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pandas as pd

from unlearning_core.activations.alignment import Encoded, encode
from unlearning_core.activations.batches import length_sorted
from unlearning_core.concepts.labelling import LabelledText
from unlearning_core.concepts.neighbours import as_concept
from unlearning_core.edits.hooks import applied
from unlearning_core.edits.mask import Mask
from unlearning_core.errors import InputError
from unlearning_core.evaluation.ratio import Estimate, ratio_estimate
from unlearning_core.evaluation.scoring import Scorer, TokenScores
from unlearning_core.models.loading import LoadedModel
from unlearning_core.progress import Progress, ProgressCallback, silent

logger = logging.getLogger(__name__)

Kind = Literal["concept", "retain", "neighbour", "rest"]

_WHOLE: tuple[Kind, ...] = ("concept", "retain")
PARTS: tuple[Kind, ...] = ("neighbour", "rest")
"""What the retain tokens are made of, where there are neighbours."""


def columns(kinds: Sequence[Kind] = _WHOLE) -> list[str]:
    """Columns of `Measurement.sentences`: predicted tokens of a kind in the sentence, their summed negative
    log-likelihood in nats, and how many of them were the most probable token.
    """
    return [f"{kind}_{name}" for kind in kinds for name in ("tokens", "nats", "hits")]


@dataclass(frozen=True)
class Measurement:
    """One stage of a model on held-out sentences; each mean has its standard error, clustered by sentence.

    Attributes:
        concept_nll: mean negative log-likelihood of the concept tokens, nats a token.
        retain_nll: the same of all other tokens, those of concept sentences included.
        concept_accuracy: share of the concept tokens that were the most probable next token.
        retain_accuracy: the same of all other tokens.
        concept_tokens: how many tokens the concept means are over.
        retain_tokens: how many the retain means are over.
        sentences: one row a sentence, in the order given, with the sums of `columns`; `text` holds the sentence.
    """

    concept_nll: float
    concept_nll_stderr: float
    retain_nll: float
    retain_nll_stderr: float
    concept_accuracy: float
    concept_accuracy_stderr: float
    retain_accuracy: float
    retain_accuracy_stderr: float
    concept_tokens: int
    retain_tokens: int
    sentences: pd.DataFrame = field(compare=False, repr=False)

    @classmethod
    def from_sentences(cls, sentences: pd.DataFrame) -> "Measurement":
        """Aggregate a table that `measure` made (or one read back from a run folder)."""
        return cls(**_estimates(sentences, _WHOLE), sentences=sentences)

    @property
    def has_neighbours(self) -> bool:
        """Whether the retain tokens were also measured in `PARTS`."""
        return "neighbour_tokens" in self.sentences

    def to_dict(self) -> dict[str, float | None]:
        """The numbers, JSON-able: what is not a number becomes None; without the sentences.

        With neighbours also neighbour_nll, rest_nll and all else that there is of concept and retain.
        """
        values = {key: value for key, value in vars(self).items() if key != "sentences"}
        if self.has_neighbours:
            values |= _estimates(self.sentences, PARTS)
        return {key: None if math.isnan(value) else value for key, value in values.items()}


def _estimates(sentences: pd.DataFrame, kinds: Sequence[Kind]) -> dict[str, Any]:
    estimates: dict[str, Any] = {}
    for kind in kinds:
        tokens = sentences[f"{kind}_tokens"].to_numpy()
        estimates[f"{kind}_tokens"] = int(tokens.sum())
        for name, column in (("nll", "nats"), ("accuracy", "hits")):
            estimate = ratio_estimate(sentences[f"{kind}_{column}"].to_numpy(), tokens)
            estimates[f"{kind}_{name}"] = estimate.value
            estimates[f"{kind}_{name}_stderr"] = estimate.stderr
    return estimates


class Meter:
    """Held-out sentences made ready once for one model, to be measured under as many masks as wanted.

    Every token that has a predecessor is scored, under the whole sentence before it. A token that overlaps a concept
    span is a concept token, every other token a retain token; of these, one that overlaps a neighbour is a neighbour
    token, if any sentence has a neighbour. Tokens that the tokenizer adds are not scored. A sentence longer than the
    model's context is cut there.

    Attributes:
        loaded: the model; never changed.
        items: the sentences, with and without the concept.
    """

    def __init__(self, loaded: LoadedModel, items: Sequence[LabelledText], *, token_budget: int = 2048) -> None:
        """`token_budget` is how many positions a batch has, padding included.

        Raises:
            InputError: no token of the concept, or none outside it, can be scored in `items`.
        """
        context = getattr(loaded.model.config, "max_position_embeddings", None)
        self.loaded, self.items = loaded, items
        self._encoded = encode(loaded.tokenizer, items, max_length=context)
        _check(self._encoded)
        self._near: list[np.ndarray] | None = None
        if any(item.neighbours for item in items):
            placed = encode(loaded.tokenizer, [as_concept(item) for item in items], max_length=context)
            self._near = [text.concept for text in placed]
        self._groups = length_sorted([len(text) for text in self._encoded], token_budget)
        self._scorer = Scorer(loaded)

    @cached_property
    def base(self) -> "Measurement":
        """The model as it is, measured when it is first asked for."""
        return self.measure()

    def measure(self, mask: Mask | None = None, progress: ProgressCallback = silent) -> "Measurement":
        """The model while the neurons of `mask` are cut.

        `progress` is told after every batch; it may raise Stopped.

        Raises:
            InputError: the mask is of another model.
            WorkFailed: the model's output is not a number.
        """
        names = columns(_WHOLE if self._near is None else (*_WHOLE, *PARTS))
        table = np.zeros((len(self.items), len(names)))
        done = 0
        with applied(self.loaded.model, mask, self.loaded.map) if mask is not None else contextlib.nullcontext():
            for group in self._groups:
                scores = self._scorer.score([self._encoded[i].input_ids.tolist() for i in group])
                for index, score in zip(group, scores, strict=True):
                    table[index] = _sums(self._encoded[index], score, None if self._near is None else self._near[index])
                done += len(group)
                progress(Progress("measuring", done, len(self.items), "sentences"))
        sentences = pd.DataFrame(table, columns=names).astype(
            {name: "int64" for name in names if not name.endswith("_nats")}
        )
        sentences.insert(0, "text", [item.text for item in self.items])
        return Measurement.from_sentences(sentences)


def measure(
    loaded: LoadedModel,
    items: Sequence[LabelledText],
    *,
    mask: Mask | None = None,
    token_budget: int = 2048,
    progress: ProgressCallback = silent,
) -> Measurement:
    """Measure once what `Meter` can measure again and again.

    Args:
        items: held-out sentences, with and without the concept.
        mask: neurons cut while it is measured; the model itself is not changed.
        token_budget: positions in a batch, padding included.
        progress: told after every batch; may raise Stopped.

    Raises:
        InputError: no token of the concept, or none outside it, can be scored in `items`.
        WorkFailed: the model's output is not a number.
    """
    logger.info("Measuring on %d sentences%s", len(items), "" if mask is None else f" with {mask.cut} neurons cut")
    return Meter(loaded, items, token_budget=token_budget).measure(mask, progress)


def nll_delta(base: Measurement, after: Measurement, kind: Kind) -> Estimate:
    """Change of the mean negative log-likelihood from `base` to `after`, nats a token.

    Both are measured on the same tokens, so the standard error is that of the paired differences by sentence: what
    makes a sentence hard for both stages cancels.

    Raises:
        InputError: the two were not measured on the same sentences and tokens.
    """
    same_text = base.sentences["text"].tolist() == after.sentences["text"].tolist()
    tokens = base.sentences[f"{kind}_tokens"].to_numpy()
    if not same_text or not np.array_equal(tokens, after.sentences[f"{kind}_tokens"].to_numpy()):
        raise InputError(
            "Two stages were measured on different held-out sentences, so their difference means nothing; measure "
            "both again on the same ones."
        )
    change = after.sentences[f"{kind}_nats"].to_numpy() - base.sentences[f"{kind}_nats"].to_numpy()
    return ratio_estimate(change, tokens)


def _scored(encoded: Encoded) -> np.ndarray:
    """bool [tokens]: tokens that count; the first one has no predecessor."""
    scored = ~encoded.special
    scored[:1] = False
    return scored


def _sums(encoded: Encoded, score: TokenScores, near: np.ndarray | None) -> list[float]:
    scored = _scored(encoded)[1:]
    kinds = [scored & encoded.concept[1:], scored & ~encoded.concept[1:]]
    if near is not None:
        kinds += [kinds[1] & near[1:], kinds[1] & ~near[1:]]
    sums: list[float] = []
    for chosen in kinds:
        sums += [float(chosen.sum()), float(score.nats[chosen].sum()), float(score.hits[chosen].sum())]
    return sums


def _check(encoded: Sequence[Encoded]) -> None:
    concept = sum(int((_scored(text) & text.concept).sum()) for text in encoded)
    retain = sum(int((_scored(text) & ~text.concept).sum()) for text in encoded)
    for tokens, kind in ((concept, "of the concept"), (retain, "outside the concept")):
        if tokens == 0:
            raise InputError(
                f"The {len(encoded)} held-out sentences hold no token {kind} that can be measured (the first token of "
                "a sentence has nothing before it). Give more sentences, or raise held_out."
            )
