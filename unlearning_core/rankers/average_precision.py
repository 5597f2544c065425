"""Average precision: how well a neuron's activation alone, as a detector, sorts concept rows before all others.

score = sum over thresholds of (recall gained) x precision, the area under the precision-recall curve. A neuron with a
high one is an "expert unit" (Suau et al., "Finding Experts in Transformer Models", 2020; "Self-Conditioning Pre-Trained
Language Models", ICML 2022: ml-selfcond). They look for units that are higher on the concept; with `direction` "either"
the sign is free, and a unit that is reliably lower counts as much.

Average precision depends on the share of concept rows. Here it is always one half, because that is how rows are
sampled, so a neuron that knows nothing has about 0.5.
"""

import numpy as np
from jaxtyping import Bool, Float

from unlearning_core.activations.statistics import CONCEPT
from unlearning_core.rankers.parameters import DirectionParams as Params
from unlearning_core.rankers.parameters import directed
from unlearning_core.rankers.ranking_input import RankingInput


def score(given: RankingInput, params: Params) -> Float[np.ndarray, "layers width"]:
    """Average precision, in (0, 1]; raises InputError where the pass sampled no rows."""
    concept = given.rows.y == CONCEPT
    scores = []
    for values in given.rows_by_layer():
        order = np.argsort(values, axis=1)
        ascending, labels = np.take_along_axis(values, order, 1), concept[order]
        higher = average_precision(ascending[:, ::-1], labels[:, ::-1])
        scores.append(directed(higher, average_precision(ascending, labels), params.direction))
    return np.stack(scores)


def average_precision(
    values: Float[np.ndarray, "neurons rows"], concept: Bool[np.ndarray, "neurons rows"]
) -> Float[np.ndarray, " neurons"]:
    """Average precision of each line of `values`, which are sorted by what is to come first.

    `concept` says whether each is a concept row.
    """
    # Rows that tie share a threshold: only the last of them is a point of the curve.
    last = np.ones(values.shape, bool)
    last[:, :-1] = values[:, 1:] != values[:, :-1]
    found = np.cumsum(concept, axis=1, dtype=np.int32)
    at_points = np.maximum.accumulate(np.where(last, found, 0), axis=1)
    gained = np.diff(at_points, axis=1, prepend=0)
    precision = found / np.arange(1, values.shape[1] + 1)
    return (gained * precision).sum(1) / found[:, -1]
