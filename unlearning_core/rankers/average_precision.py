"""Average precision: how well a neuron's activation alone, as a detector, sorts concept rows before all others.

score = sum over thresholds of (recall gained) x precision, the area under the precision-recall curve. A neuron with a
high one is an "expert unit" (Suau et al., "Finding Experts in Transformer Models", 2020; "Self-Conditioning Pre-Trained
Language Models", ICML 2022: ml-selfcond). They look for units that are higher on the concept; with `direction` "either"
the sign is free, and a unit that is reliably lower counts as much.

Average precision depends on the share of concept rows. Here it is always one half, because that is how rows are
sampled, so a neuron that knows nothing has about 0.5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from unlearning_core.activations.statistics import CONCEPT
from unlearning_core.progress import ProgressCallback
from unlearning_core.rankers.sampled import DIRECTION, Direction, by_layer, directed, sampled_rows

if TYPE_CHECKING:
    from unlearning_core.activations.collect import Activations


class Params(BaseModel):
    """Parameters of the method."""

    model_config = ConfigDict(extra="forbid")

    direction: Direction = Field("either", description=DIRECTION)


def score(
    activations: Activations, outgoing_norm: np.ndarray, params: Params, *, seed: int, progress: ProgressCallback
) -> np.ndarray:
    """Average precision, `[layers, width]`, in (0, 1].

    Raises:
        InputError: the pass sampled no rows.
    """
    rows = sampled_rows(activations, "average_precision")
    concept = rows.y == CONCEPT
    scores = []
    for values in by_layer(rows, progress):
        order = np.argsort(values, axis=1)
        ascending, labels = np.take_along_axis(values, order, 1), concept[order]
        higher = average_precision(ascending[:, ::-1], labels[:, ::-1])
        scores.append(directed(higher, average_precision(ascending, labels), params.direction))
    return np.stack(scores)


def average_precision(values: np.ndarray, concept: np.ndarray) -> np.ndarray:
    """Average precision of each line of `values`, float64 `[neurons]`.

    Args:
        values: sorted by what is to come first, `[neurons, rows]`.
        concept: whether each is a concept row, bool `[neurons, rows]`.
    """
    # Rows that tie share a threshold: only the last of them is a point of the curve.
    last = np.ones(values.shape, bool)
    last[:, :-1] = values[:, 1:] != values[:, :-1]
    found = np.cumsum(concept, axis=1, dtype=np.int32)
    at_points = np.maximum.accumulate(np.where(last, found, 0), axis=1)
    gained = np.diff(at_points, axis=1, prepend=0)
    precision = found / np.arange(1, values.shape[1] + 1)
    return (gained * precision).sum(1) / found[:, -1]
