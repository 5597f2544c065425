"""Training sentences as batches of tokens with the places at which a concept token or another one is predicted.

Where sentences have neighbours, their tokens are told apart and have a weight: they are so few that a mean over all
retain tokens would hardly see them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from unlearning_core.activations.alignment import encode
from unlearning_core.activations.batches import length_sorted
from unlearning_core.activations.collect import context_length, default_token_budget
from unlearning_core.concepts.labelling import LabelledSet, LabelledText
from unlearning_core.concepts.neighbours import as_concept
from unlearning_core.errors import InputError
from unlearning_core.rankers.gain_for_cost import odds
from unlearning_core.rankers.ranking_input import Subject

MOST_POSITIONS = 2048
"""Padded tokens a batch at most: unlike a pass that only reads activations, these hold logits at every place."""


@dataclass(frozen=True, eq=False)
class TokenBatch:
    """Some sentences side by side, padded on the right, on the model's device.

    Attributes:
        ids: `[texts, tokens]`.
        seen: `[texts, tokens]`, 1 at real tokens.
        concept: bool `[texts, tokens]`, where the next token is one of the concept.
        retain: the same for every other token; tokens that the tokenizer adds are in neither (as in
            evaluation/metrics.py).
        near: those of `retain` at which a neighbour is predicted; none where neighbours count like every other token.
        weight: `[texts, tokens]`, what a retain place counts in a sum over all of them which, divided by their number,
            is to be the mean over the rest plus `odds` times the mean over neighbours; 1 without neighbours.
        numbers: which of the sentences these are.
    """

    ids: torch.Tensor
    seen: torch.Tensor
    concept: torch.Tensor
    retain: torch.Tensor
    near: torch.Tensor
    weight: torch.Tensor
    numbers: list[int]

    @property
    def places(self) -> torch.Tensor:
        """bool `[texts, tokens]`, where anything is predicted that counts."""
        return self.concept | self.retain

    @property
    def kinds(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """bool `[places]` each: which of them are of the concept, of the rest, and of neighbours."""
        concept, near = self.concept[self.places], self.near[self.places]
        return concept, ~concept & ~near, near

    @property
    def tokens(self) -> int:
        """Tokens that are not padding."""
        return int(self.seen.sum())

    def nats(self, logits: torch.Tensor) -> torch.Tensor:
        """Negative log-likelihood, `[places]`, from the logits at `places`, `[places, vocabulary]`; in float32 or
        the logits' own precision if that is higher."""
        wanted = self.ids.roll(-1, dims=1)[self.places]
        precise = logits.to(torch.promote_types(logits.dtype, torch.float32))
        return torch.logsumexp(precise, -1) - precise.gather(1, wanted[:, None])[:, 0]


class Sentences:
    """Tokenised sentences, put side by side as wanted.

    Attributes:
        device: the model's.
        weights: of a neighbour's token and of one of the rest (see `TokenBatch.weight`).
    """

    def __init__(self, subject: Subject) -> None:
        """Raises InputError where no token of the concept, or none outside it, has a predecessor."""
        self.device: torch.device = subject.loaded.model.get_input_embeddings().weight.device
        tokenizer, longest = subject.loaded.tokenizer, context_length(subject.loaded)
        self._encoded = encode(tokenizer, subject.items, longest)
        counted = [~text.special[1:] for text in self._encoded]
        concept = [text.concept[1:] & here for text, here in zip(self._encoded, counted, strict=True)]
        self._concept, self._retain = concept, [c & ~k for c, k in zip(counted, concept, strict=True)]
        for kind, places in (("of the concept", self._concept), ("outside the concept", self._retain)):
            if not any(here.any() for here in places):
                raise InputError(
                    f"The {len(subject.items)} training sentences hold no token {kind} that the model predicts (the "
                    "first token of a sentence has nothing before it), so nothing can be ranked by loss. Give more "
                    "sentences."
                )
        self._near = [np.zeros_like(here) for here in self._retain]
        if subject.neighbour_share and any(item.neighbours for item in subject.items):
            placed = encode(tokenizer, [as_concept(item) for item in subject.items], longest)
            self._near = [text.concept[1:] & here for text, here in zip(placed, self._retain, strict=True)]
        near, retain = (sum(int(here.sum()) for here in places) for places in (self._near, self._retain))
        if near == retain:  # nothing to weigh them against
            self._near, near = [np.zeros_like(here) for here in self._retain], 0
        self.weights = odds(subject.neighbour_share) * retain / max(near, 1), retain / (retain - near)

    def batch(self, numbers: Sequence[int]) -> TokenBatch:
        """These sentences, in this order."""
        longest = max(len(self._encoded[number]) for number in numbers)
        ids, seen = np.zeros((2, len(numbers), longest), np.int64)
        concept, retain, near = np.zeros((3, len(numbers), longest), bool)
        for row, number in enumerate(numbers):
            size = len(self._encoded[number])
            ids[row, :size], seen[row, :size] = self._encoded[number].input_ids, 1
            concept[row, : size - 1], retain[row, : size - 1] = self._concept[number], self._retain[number]
            near[row, : size - 1] = self._near[number]
        weight = np.where(near, *self.weights).astype(np.float32)
        a, b, c, d, e, f = (
            torch.from_numpy(array).to(self.device) for array in (ids, seen, concept, retain, near, weight)
        )
        return TokenBatch(a, b, c, d, e, f, list(numbers))

    def grouped(self, token_budget: int | None = None) -> list[TokenBatch]:
        """All of them, sentences of like length together."""
        budget = token_budget or positions_at_once(self.device)
        groups = length_sorted([len(text) for text in self._encoded], budget)
        return [self.batch(group.tolist()) for group in groups]


def token_batches(subject: Subject, token_budget: int | None = None) -> list[TokenBatch]:
    """All sentences of `subject`, sentences of like length together.

    Raises:
        InputError: no token of the concept, or none outside it, has a predecessor.
    """
    return Sentences(subject).grouped(token_budget)


def positions_at_once(device: torch.device) -> int:
    """Padded tokens that are run at once on a device unless told otherwise."""
    return min(default_token_budget(device.type), MOST_POSITIONS)


def some(items: Sequence[LabelledText], each: int, seed: int) -> Sequence[LabelledText]:
    """At most `each` sentences with, and as many without the concept, drawn with the seed."""
    return LabelledSet(list(items)).take(each, each, seed).items
