"""The first neurons of a cheap score, which a costly method then tries, and where all others stand."""

import numpy as np
from jaxtyping import Bool, Float, Int


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
