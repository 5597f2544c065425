"""What a cut gains on the concept for each unit of what it costs elsewhere: how the methods that run the model score.

As in a knapsack, the best use of a limited retain budget is what gains most for its cost; the constant in the
denominator keeps a neuron that does next to nothing from the top. A cut that seems to improve the rest earns nothing by
that: it is not forgetting.

Where there are neighbours, what they pay counts beside what the rest pays, and not as the few tokens that they are:
with a share s, s / (1 - s) times. What one of the two gains pays for nothing at the other.
"""

from typing import TypeVar

import numpy as np
from jaxtyping import Bool, Float, Int

from unlearning_core.rankers.parameters import Cost

Loss = TypeVar("Loss", float, np.ndarray)

DIVERGENCE_SHARE = 0.3
"""How much of the divergence counts beside the loss. On few sentences a neuron can seem to cost no loss by luck; one
that moves predictions far will cost some on others."""


def odds(share: float) -> float:
    """How often what neighbours pay counts beside what the rest pays, for a share from 0 to below 1."""
    return share / (1 - share)


def rise(rest: Loss, neighbour: Loss, share: float) -> Loss:
    """What a cut costs the retain tokens: the rise of the rest's mean loss, and `odds` times the neighbours'.

    Args:
        rest: rise of the mean loss of the tokens that are neither the concept's nor a neighbour's, nats a token.
        neighbour: rise of the neighbours'; 0 where there are none.
        share: of the neighbours.
    """
    return np.maximum(rest, 0) + odds(share) * np.maximum(neighbour, 0)


def gain_for_cost(
    gain: Float[np.ndarray, "*neurons"],
    loss: Float[np.ndarray, "*neurons"],
    divergence: Float[np.ndarray, "*neurons"],
    cost: Cost,
    eps: float,
) -> Float[np.ndarray, "*neurons"]:
    """gain / (cost + e) by neuron; e is `eps` times the middle neuron's divergence.

    Args:
        gain: rise of the concept tokens' loss by a cut, nats a token.
        loss: rise of the other tokens' loss; below 0 it counts as 0.
        divergence: divergence at the other tokens, 0 or more.
        cost: which of the two is the cost, or both: loss + `DIVERGENCE_SHARE` x divergence.
        eps: above 0.
    """
    rise = np.maximum(loss, 0)
    paid = {"loss": rise, "divergence": divergence, "both": rise + DIVERGENCE_SHARE * divergence}[cost]
    # Where the middle neuron does nothing at all (ReLU), the smallest float keeps the ratio defined.
    return gain / np.maximum(paid + eps * np.median(divergence), np.finfo(np.float64).tiny)


def first(
    score: Float[np.ndarray, "layers width"], count: int, excluded: Bool[np.ndarray, "layers width"]
) -> Int[np.ndarray, "count 2"]:
    """(layer, index) of the `count` neurons with the largest score, or of all where fewer are not `excluded`."""
    order = np.lexsort((-score.ravel(), excluded.ravel()))[: min(count, int((~excluded).sum()))]
    return np.stack(np.unravel_index(order, score.shape), axis=1)


def positions(score: Float[np.ndarray, "layers width"]) -> Int[np.ndarray, "layers width"]:
    """Where each neuron stands by `score`: 0 for the largest; equal ones stand in the order of (layer, index)."""
    found = np.empty(score.size, np.int64)
    found[np.argsort(-score.ravel(), kind="stable")] = np.arange(score.size)
    return found.reshape(score.shape)
