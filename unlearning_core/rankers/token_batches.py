"""Training sentences as batches of tokens with the places at which a concept token or another one is predicted.

Where sentences have neighbours, their tokens are told apart and have a weight: they are so few that a mean over all
retain tokens would hardly see them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from unlearning_core.activations.alignment import encode
from unlearning_core.activations.batches import length_sorted
from unlearning_core.activations.collect import context_length, default_token_budget
from unlearning_core.concepts.neighbours import as_concept
from unlearning_core.errors import InputError
from unlearning_core.models.placement import input_device
from unlearning_core.rankers.gain_for_cost import odds
from unlearning_core.rankers.ranking_input import RankingInput

Places = Bool[Tensor, "texts tokens"]

MOST_POSITIONS = 2048
"""Padded tokens a batch at most: unlike a pass that only reads activations, these hold logits at every position."""


@dataclass(frozen=True, eq=False)
class TokenBatch:
    """Some sentences side by side, padded on the right, on the model's device.

    Attributes:
        ids: token ids.
        attention_mask: 1 at real tokens.
        concept: where the next token is one of the concept.
        retain: the same for every other token; tokens that the tokenizer adds are in neither (as in
            evaluation/metrics.py).
        neighbour: those of `retain` at which a neighbour is predicted; none where neighbours count like every other
            token.
        weight: what a retain position counts in a sum over all of them which, divided by their number, is to be the
            mean over the rest plus `odds` times the mean over neighbours; 1 without neighbours.
        indices: which of the sentences these are.
    """

    ids: Int[Tensor, "texts tokens"]
    attention_mask: Int[Tensor, "texts tokens"]
    concept: Bool[Tensor, "texts tokens"]
    retain: Bool[Tensor, "texts tokens"]
    neighbour: Bool[Tensor, "texts tokens"]
    weight: Float[Tensor, "texts tokens"]
    indices: list[int]

    @property
    def positions(self) -> Bool[Tensor, "texts tokens"]:
        """Where anything is predicted that counts."""
        return self.concept | self.retain

    @property
    def of_kind(self) -> tuple[Places, Places, Places]:
        """Where the next token is one of the concept, of the rest, and of neighbours."""
        return self.concept, self.retain & ~self.neighbour, self.neighbour

    @property
    def kinds(self) -> tuple[Bool[Tensor, " positions"], Bool[Tensor, " positions"], Bool[Tensor, " positions"]]:
        """Which of the positions are of the concept, of the rest, and of neighbours."""
        concept, rest, neighbour = (where[self.positions] for where in self.of_kind)
        return concept, rest, neighbour

    @property
    def tokens(self) -> int:
        """Tokens that are not padding."""
        return int(self.attention_mask.sum())

    def nll(
        self, logits: Float[Tensor, "places vocabulary"], places: Bool[Tensor, "texts tokens"] | None = None
    ) -> Float[Tensor, " places"]:
        """Negative log-likelihood, nats, from the logits at `places`, by default `positions`; in float32 or the
        logits' own precision if that is higher."""
        wanted = self.ids.roll(-1, dims=1)[self.positions if places is None else places].to(logits.device)
        precise = logits.to(torch.promote_types(logits.dtype, torch.float32))
        return torch.logsumexp(precise, -1) - precise.gather(1, wanted[:, None])[:, 0]


class Sentences:
    """Tokenised sentences, put side by side as wanted.

    Attributes:
        device: the model's.
        longest: tokens of the longest one.
        weights: of a neighbour's token and of one of the rest (see `TokenBatch.weight`).
    """

    def __init__(self, given: RankingInput) -> None:
        """Raises InputError where no token of the concept, or none outside it, has a predecessor."""
        loaded, items = given.loaded, given.items
        self.device: torch.device = input_device(loaded.model)
        longest = context_length(loaded)
        self._encoded = encode(loaded.tokenizer, items, longest)
        self.longest = max(map(len, self._encoded))
        counted = [~text.special[1:] for text in self._encoded]
        concept = [text.concept[1:] & here for text, here in zip(self._encoded, counted, strict=True)]
        self._concept, self._retain = concept, [c & ~k for c, k in zip(counted, concept, strict=True)]
        for kind, where in (("of the concept", self._concept), ("outside the concept", self._retain)):
            if not any(here.any() for here in where):
                raise InputError(
                    f"The {len(items)} training sentences hold no token {kind} that the model predicts (the first "
                    "token of a sentence has nothing before it), so nothing can be ranked by loss. Give more sentences."
                )
        self._neighbour = [np.zeros_like(here) for here in self._retain]
        if given.neighbour_share and any(item.neighbours for item in items):
            marked = encode(loaded.tokenizer, [as_concept(item) for item in items], longest)
            self._neighbour = [text.concept[1:] & here for text, here in zip(marked, self._retain, strict=True)]
        neighbours, retain = (sum(int(here.sum()) for here in where) for where in (self._neighbour, self._retain))
        if neighbours == retain:  # nothing to weigh them against
            self._neighbour, neighbours = [np.zeros_like(here) for here in self._retain], 0
        self.weights = odds(given.neighbour_share) * retain / max(neighbours, 1), retain / (retain - neighbours)

    def batch(self, indices: Sequence[int]) -> TokenBatch:
        """These sentences, in this order."""
        longest = max(len(self._encoded[index]) for index in indices)
        ids, attention_mask = np.zeros((2, len(indices), longest), np.int64)
        concept, retain, neighbour = np.zeros((3, len(indices), longest), bool)
        for row, index in enumerate(indices):
            size = len(self._encoded[index])
            ids[row, :size], attention_mask[row, :size] = self._encoded[index].input_ids, 1
            for array, known in ((concept, self._concept), (retain, self._retain), (neighbour, self._neighbour)):
                array[row, : size - 1] = known[index]
        weight = np.where(neighbour, *self.weights).astype(np.float32)
        arrays = ids, attention_mask, concept, retain, neighbour, weight
        a, b, c, d, e, f = (torch.from_numpy(array).to(self.device) for array in arrays)
        return TokenBatch(a, b, c, d, e, f, list(indices))

    def grouped(self, token_budget: int | None = None) -> list[TokenBatch]:
        """All of them, sentences of like length together, and apart whether they have the concept or not: those
        without it have no loss of its own to follow back."""
        budget, found = token_budget or positions_at_once(self.device), []
        for wanted in (True, False):
            of_kind = [number for number, here in enumerate(self._concept) if bool(here.any()) is wanted]
            found += [self.batch([of_kind[place] for place in group]) for group in self.groups(of_kind, budget)]
        return found

    def groups(self, indices: Sequence[int], token_budget: int) -> list[Int[np.ndarray, " texts"]]:
        """Places in `indices` of sentences of like length that stand side by side within the budget (padded tokens)."""
        return length_sorted([len(self._encoded[index]) for index in indices], token_budget)

    def counts(self, indices: Sequence[int]) -> tuple[int, int]:
        """Tokens of the concept, and others, that these sentences have the model predict."""
        concept, others = (sum(int(of[index].sum()) for index in indices) for of in (self._concept, self._retain))
        return concept, others


def token_batches(given: RankingInput, token_budget: int | None = None) -> list[TokenBatch]:
    """All sentences of `given`, sentences of like length together.

    Raises:
        InputError: there is no model, or no token of the concept, or none outside it, has a predecessor.
    """
    return Sentences(given).grouped(token_budget)


def positions_at_once(device: torch.device) -> int:
    """Padded tokens that are run at once on a device unless told otherwise."""
    return min(default_token_budget(device.type), MOST_POSITIONS)
