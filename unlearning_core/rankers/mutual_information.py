"""Mutual information: how much a neuron's activation tells about whether a row belongs to the concept.

score = sum over bins b and classes c of p(b, c) ln(p(b, c) / (p(b) p(c))), in nats, with the activation cut at its own
quantiles (Cover and Thomas 2006, 2.3; in probing Pimentel et al. 2020). It sees any dependence, also one that leaves
the means alike, and no scale. The estimate from few rows is too high by about (bins - 1) / (2 rows), for all alike.

Rows are sampled, half of them the concept's: ln 2 = 0.693 nats say that a neuron knows the class for sure.
"""

import numpy as np
from jaxtyping import Bool, Float, Int
from pydantic import Field

from unlearning_core.activations.statistics import CONCEPT
from unlearning_core.rankers import parameters
from unlearning_core.rankers.ranking_input import RankingInput


class Params(parameters.Params):
    bins: int = Field(8, ge=2, le=100, description="Bins of as many rows each that an activation is sorted into.")


def score(given: RankingInput, params: Params) -> Float[np.ndarray, "layers width"]:
    """Mutual information in nats, 0 for a neuron that never changes; raises InputError where no rows were sampled."""
    concept = given.rows.y == CONCEPT
    # Fewer rows than bins leave bins empty.
    bins = min(params.bins, len(concept))
    places = [len(concept) * cut // bins for cut in range(1, bins)]
    return np.stack([_information(_counts(values, concept, places)) for values in given.rows_by_layer()])


def _counts(
    values: Float[np.ndarray, "neurons rows"], concept: Bool[np.ndarray, " rows"], places: list[int]
) -> Int[np.ndarray, "2 bins neurons"]:
    """Rows by class and bin. A bin begins at the value of a place in the sorted rows."""
    edges = np.partition(values, places, axis=1)[:, places]
    reached = np.zeros((2, len(places) + 2, len(values)), np.int64)
    for label, own in enumerate((values[:, ~concept], values[:, concept])):
        reached[label, 0] = own.shape[1]
        for cut in range(len(places)):
            reached[label, cut + 1] = (own >= edges[:, cut, None]).sum(1)
    return reached[:, :-1] - reached[:, 1:]


def _information(counts: Int[np.ndarray, "2 bins neurons"]) -> Float[np.ndarray, " neurons"]:
    """Mutual information of class and bin in nats."""
    joint = counts / counts.sum((0, 1))
    independent = joint.sum(1, keepdims=True) * joint.sum(0, keepdims=True)
    ratio = np.divide(joint, independent, out=np.ones_like(joint), where=joint > 0)
    return np.maximum((joint * np.log(ratio)).sum((0, 1)), 0.0)
