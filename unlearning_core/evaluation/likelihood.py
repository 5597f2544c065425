"""How well a model predicts held-out text, at the concept's tokens, at those of its neighbours and at all others."""

import logging
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import pandas as pd

from unlearning_core.activations.alignment import encode
from unlearning_core.activations.batches import length_sorted
from unlearning_core.activations.reduce import gathered, processes
from unlearning_core.concepts.labelling import LabelledText
from unlearning_core.concepts.neighbours import as_concept
from unlearning_core.edits.hooks import applied
from unlearning_core.edits.mask import Mask
from unlearning_core.edits.token_rows import TokenRows
from unlearning_core.errors import InputError
from unlearning_core.evaluation.measurement import KINDS, Kind, Measurement
from unlearning_core.evaluation.next_token import NextToken
from unlearning_core.models.fitting import where_it_fits
from unlearning_core.models.loading import LoadedModel
from unlearning_core.progress import Progress, ProgressCallback, silent

logger = logging.getLogger(__name__)


class Meter:
    """Held-out sentences made ready once for one model, to be measured under as many masks as wanted.

    Every token that has a predecessor is scored, under the whole sentence before it. A token that overlaps a concept
    span is a concept token, every other token a retain token; of these, one that overlaps a neighbour is a neighbour
    token, if any sentence has a neighbour. Tokens that the tokenizer adds are not scored. A sentence longer than the
    model's context is cut there.
    """

    def __init__(
        self,
        loaded: LoadedModel,
        items: Sequence[LabelledText],
        *,
        token_budget: int = 2048,
        needed: Sequence[Kind] = ("concept", "retain"),
        shared: bool = False,
    ) -> None:
        """The model is never changed.

        Args:
            token_budget: how many positions a batch has, padding included; half of them, and so on, where memory does
                not suffice.
            needed: kinds of token of which there has to be one.
            shared: under torch.distributed all processes measure, each a part of the batches, and end with the same.

        Raises:
            InputError: no token of a kind that is `needed` can be scored in `items`.
        """
        context = getattr(loaded.model.config, "max_position_embeddings", None)
        self.loaded, self.items = loaded, items
        texts = encode(loaded.tokenizer, items, max_length=context)
        self._ids = [text.input_ids.tolist() for text in texts]
        # Of each text bool [places] a kind: its tokens among those that are scored, all but the first.
        self._chosen = [[scored & c, scored & ~c] for scored, c in ((~t.special[1:], t.concept[1:]) for t in texts)]
        for number, kind in enumerate(("of the concept", "outside the concept")):
            if KINDS[number] in needed and not any(chosen[number].any() for chosen in self._chosen):
                raise InputError(
                    f"The {len(items)} held-out sentences hold no token {kind} that can be measured (the first token "
                    "of a sentence has nothing before it). Give more sentences, or raise held_out."
                )
        if any(item.neighbours for item in items):
            placed = encode(loaded.tokenizer, [as_concept(item) for item in items], max_length=context)
            for chosen, text in zip(self._chosen, placed, strict=True):
                chosen += [chosen[1] & text.concept[1:], chosen[1] & ~text.concept[1:]]
        self._budget, self._shared = token_budget, shared
        self._next_token = NextToken(loaded)

    @cached_property
    def base(self) -> Measurement:
        """The model as it is, measured when it is first asked for."""
        return self.measure()

    def measure(
        self, mask: Mask | None = None, progress: ProgressCallback = silent, rows: TokenRows | None = None
    ) -> Measurement:
        """The model while the neurons of `mask` are cut and `rows` are moved.

        `progress` is told after every batch; it may raise Stopped.

        Raises:
            InputError: the mask or the rows are of another model.
            WorkFailed: the model's output is not a number.
        """
        names = [f"{kind}_{name}" for kind in KINDS[: len(self._chosen[0])] for name in ("tokens", "nats", "hits")]

        def run(budget: int) -> dict[int, list[Any]]:
            self._budget = budget  # what did not fit is not tried again
            return self._scores(mask, rows, progress)

        found = where_it_fits(run, self._budget)
        if self._shared:
            found = {index: scores for part in gathered(found) for index, scores in part.items()}
        sentences = pd.DataFrame([found[index] for index in range(len(self.items))], columns=names)
        sentences.insert(0, "text", [item.text for item in self.items])
        return Measurement(sentences)

    def _scores(self, mask: Mask | None, rows: TokenRows | None, progress: ProgressCallback) -> dict[int, list[Any]]:
        """Tokens, nats and hits of each kind, by sentence; of this process's batches."""
        found: dict[int, list[Any]] = {}
        done, (rank, world) = 0, processes() if self._shared else (0, 1)
        with applied(self.loaded.model, mask, self.loaded.map, rows):
            for number, group in enumerate(length_sorted([len(ids) for ids in self._ids], self._budget)):
                done += len(group)
                if number % world != rank:
                    continue
                scores = self._next_token.score([self._ids[i] for i in group])
                for index, (nats, hits) in zip(group, scores, strict=True):
                    kinds = self._chosen[index]
                    found[index] = [one for c in kinds for one in (c.sum(), nats[c].sum(), hits[c].sum())]
                progress(Progress("measuring", done, len(self.items), "sentences"))
        return found


def measure(
    loaded: LoadedModel,
    items: Sequence[LabelledText],
    *,
    mask: Mask | None = None,
    rows: TokenRows | None = None,
    token_budget: int = 2048,
    progress: ProgressCallback = silent,
) -> Measurement:
    """Measure once what `Meter` can measure again and again, from the same arguments; raises what it raises."""
    logger.info("Measuring on %d sentences%s", len(items), "" if mask is None else f" with {mask.cut} neurons cut")
    return Meter(loaded, items, token_budget=token_budget).measure(mask, progress, rows)
