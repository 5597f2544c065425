"""Mutual information: how much a neuron's activation tells about whether a row belongs to the concept.

score = sum over bins b and classes c of p(b, c) ln(p(b, c) / (p(b) p(c))), in nats, with the activation cut at its own
quantiles (Cover and Thomas 2006, 2.3; in probing Pimentel et al. 2020). It sees any dependence, also one that leaves
the means alike, and no scale. The estimate from few rows is too high by about (bins - 1) / (2 rows), for all alike.

Rows are sampled, half of them the concept's: ln 2 = 0.693 nats say that a neuron knows the class for sure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from unlearning_core.activations.statistics import CONCEPT
from unlearning_core.progress import ProgressCallback
from unlearning_core.rankers.sampled import by_layer, sampled_rows

if TYPE_CHECKING:
    from unlearning_core.activations.collect import Activations


class Params(BaseModel):
    """Parameters of the method."""

    model_config = ConfigDict(extra="forbid")

    bins: int = Field(8, ge=2, le=100, description="Bins of as many rows each that an activation is sorted into.")


def score(
    activations: Activations, outgoing_norm: np.ndarray, params: Params, *, seed: int, progress: ProgressCallback
) -> np.ndarray:
    """Mutual information in nats, `[layers, width]`; 0 for a neuron that never changes.

    Raises:
        InputError: the pass sampled no rows.
    """
    rows = sampled_rows(activations, "mutual_information")
    concept = rows.y == CONCEPT
    # Fewer rows than bins leave bins empty.
    bins = min(params.bins, len(concept))
    places = [len(concept) * cut // bins for cut in range(1, bins)]
    return np.stack([_information(_counts(values, concept, places)) for values in by_layer(rows, progress)])


def _counts(values: np.ndarray, concept: np.ndarray, places: list[int]) -> np.ndarray:
    """Rows by class and bin, int64 `[2, bins, neurons]`. A bin begins at the value of a place in the sorted rows."""
    edges = np.partition(values, places, axis=1)[:, places]
    reached = np.zeros((2, len(places) + 2, len(values)), np.int64)
    for label, own in enumerate((values[:, ~concept], values[:, concept])):
        reached[label, 0] = own.shape[1]
        for cut in range(len(places)):
            reached[label, cut + 1] = (own >= edges[:, cut, None]).sum(1)
    return reached[:, :-1] - reached[:, 1:]


def _information(counts: np.ndarray) -> np.ndarray:
    """Mutual information of class and bin in nats, `[neurons]`."""
    joint = counts / counts.sum((0, 1))
    independent = joint.sum(1, keepdims=True) * joint.sum(0, keepdims=True)
    ratio = np.divide(joint, independent, out=np.ones_like(joint), where=joint > 0)
    return np.maximum((joint * np.log(ratio)).sum((0, 1)), 0.0)
