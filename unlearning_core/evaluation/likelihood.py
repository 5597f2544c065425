"""How well a model predicts held-out text, at the concept's tokens, at those of its neighbours and at all others."""

import contextlib
import logging
from collections.abc import Sequence
from functools import cached_property

import numpy as np
import pandas as pd

from unlearning_core.activations.alignment import Encoded, encode
from unlearning_core.activations.batches import length_sorted
from unlearning_core.concepts.labelling import LabelledText
from unlearning_core.concepts.neighbours import as_concept
from unlearning_core.edits.hooks import applied
from unlearning_core.edits.mask import Mask
from unlearning_core.errors import InputError
from unlearning_core.evaluation.measurement import PARTS, WHOLE, Measurement, columns
from unlearning_core.evaluation.scoring import Scorer, TokenScores
from unlearning_core.models.loading import LoadedModel
from unlearning_core.progress import Progress, ProgressCallback, silent

logger = logging.getLogger(__name__)


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
    def base(self) -> Measurement:
        """The model as it is, measured when it is first asked for."""
        return self.measure()

    def measure(self, mask: Mask | None = None, progress: ProgressCallback = silent) -> Measurement:
        """The model while the neurons of `mask` are cut.

        `progress` is told after every batch; it may raise Stopped.

        Raises:
            InputError: the mask is of another model.
            WorkFailed: the model's output is not a number.
        """
        names = columns(WHOLE if self._near is None else (*WHOLE, *PARTS))
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
        return Measurement(sentences)


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
