"""Forward KL divergence from a teacher that may not foresee some tokens, a slice of the positions at a time."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.utils.checkpoint import checkpoint

SLICE_ELEMENTS = 2**23
"""Logits in float32 that one of the arrays of a slice holds: 32 MB; about six of them are held at once."""

MASKED = -1e30
"""In place of a masked logit: its probability is 0 exactly, and 0 times it is 0."""


@dataclass(frozen=True, eq=False)
class PlaceMasks:
    """What the teacher may not foresee at some places.

    Attributes:
        everywhere: ids of the tokens that are masked at every place where `masked` is True.
        masked: the places where anything is masked.
        at_start: ids of those that are masked where `starts` is True.
        starts: places where a word may begin, of those where anything is masked.
        single: (place, token) of all others, sorted by place.
    """

    everywhere: Int[Tensor, " tokens"]
    masked: Bool[Tensor, " places"]
    at_start: Int[Tensor, " others"]
    starts: Bool[Tensor, " places"]
    single: Int[Tensor, "pairs 2"]

    def write(self, logits: Float[Tensor, "n vocabulary"], first: int) -> None:
        """Mask the logits of the n places from `first` on, in place."""
        places = slice(first, first + len(logits))
        for tokens, where in ((self.everywhere, self.masked[places]), (self.at_start, self.starts[places])):
            if len(tokens):
                logits[:, tokens] = torch.where(where[:, None], MASKED, logits[:, tokens])
        own = self.single[(self.single[:, 0] >= first) & (self.single[:, 0] < first + len(logits))]
        logits[own[:, 0] - first, own[:, 1]] = MASKED


Head = Callable[[Tensor], Tensor]
"""[n, width] of what a head reads to [n, vocabulary] logits."""


def divergences(
    teacher: tuple[Head, Float[Tensor, "places width"]],
    student: tuple[Head, Float[Tensor, "places inputs"]],
    masks: PlaceMasks,
) -> Float[Tensor, " places"]:
    """KL(teacher || student) over the vocabulary at each place, nats; gradients flow to the student alone.

    The teacher's distribution is renormalised without what is masked: `p = softmax(z)` with the masked z at minus
    infinity, and `KL = sum_v p_v (log p_v - log q_v)`. Logits are made from the states a slice at a time and, where
    they are more than a slice, made again for the gradient: neither model's logits are ever held in full.
    """
    if not len(student[1]):
        return student[1].new_zeros(0).float()
    with torch.no_grad():
        vocabulary = teacher[0](teacher[1][:1]).shape[-1]
    rows = max(1, SLICE_ELEMENTS // vocabulary)

    def slice_of(states: Tensor, known: Tensor, first: int) -> Tensor:
        with torch.no_grad():
            wanted = teacher[0](known).float()
            masks.write(wanted, first)
            wanted = wanted.log_softmax(-1)
        found = student[0](states).float().log_softmax(-1)
        return (wanted.exp() * (wanted - found)).sum(-1)

    parts = []
    for first in range(0, len(student[1]), rows):
        given = (student[1][first : first + rows], teacher[1][first : first + rows], first)
        if len(student[1]) <= rows or not torch.is_grad_enabled():
            parts.append(slice_of(*given))
        else:
            parts.append(checkpoint(slice_of, *given, use_reentrant=False, preserve_rng_state=False))
    return torch.cat(parts)
