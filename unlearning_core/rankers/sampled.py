"""What the rankers that need a distribution take from the sampled rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

import numpy as np

from unlearning_core.errors import InputError
from unlearning_core.progress import Progress, ProgressCallback

if TYPE_CHECKING:
    from unlearning_core.activations.collect import Activations
    from unlearning_core.activations.reservoir import Rows

Direction = Literal["either", "higher", "lower"]
"""Whether a neuron counts that is higher on the concept than elsewhere, lower, or whichever it is more clearly."""

DIRECTION = "Count neurons that are higher on the concept than elsewhere, lower, or either (the clearer one)."


def sampled_rows(activations: Activations, ranker: str) -> Rows:
    """The sampled rows, which are as many of one class as of the other.

    Raises:
        InputError: the pass sampled no rows of both classes.
    """
    rows = activations.rows
    if rows is None or len(np.unique(rows.y)) < 2:
        raise InputError(
            f"The ranker {ranker!r} needs activation rows of both classes and the pass sampled none: collect the "
            "activations again with rows above 0 and sentences of both kinds."
        )
    return rows


def by_layer(rows: Rows, progress: ProgressCallback) -> Iterator[np.ndarray]:
    """The rows of one layer after the other, float32 `[neurons, rows]`, each neuron's side by side in memory."""
    layers = rows.X.shape[1]
    for layer in range(layers):
        progress(Progress("scoring neurons", layer, layers, "layers"))
        yield np.ascontiguousarray(rows.X[:, layer].T)
    progress(Progress("scoring neurons", layers, layers, "layers"))


def directed(higher: np.ndarray, lower: np.ndarray, direction: Direction) -> np.ndarray:
    """The score of the direction that counts; the larger of both for "either"."""
    return {"either": np.maximum(higher, lower), "higher": higher, "lower": lower}[direction]
