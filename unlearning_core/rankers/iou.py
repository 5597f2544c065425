"""IoU: how well the rows on which a neuron is most active coincide with those of the concept.

score = |A and C| / |A or C|, where A are a fixed share of the rows, those on which the neuron is most active, and C the
concept's rows (network dissection, Bau et al. 2017; compositional explanations, Mu and Andreas 2020; one of the methods
that Fan et al. 2023 compare). Of rows that tie for the last places of A as many are taken as fit, with the concept's
share among them. NeuroX's `iou_probe` calculates average precision instead: that is `average_precision`.

Rows are sampled, half of them the concept's, so that a neuron which knows nothing has active_share / (1 + active_share)
whatever the concept's share of the text is, and one that knows it for sure 2 active_share (up to a share of one half).
"""

import numpy as np
from jaxtyping import Bool, Float
from pydantic import Field

from unlearning_core.activations.statistics import CONCEPT
from unlearning_core.rankers import parameters
from unlearning_core.rankers.ranking_input import RankingInput


class Params(parameters.Params):
    active_share: float = Field(
        0.2,
        gt=0,
        lt=1,
        description="Share of the sampled rows, the most active first, on which a neuron counts as active. Half of "
        "the rows are the concept's.",
    )
    direction: parameters.DirectionParameter = "either"


def score(given: RankingInput, params: Params) -> Float[np.ndarray, "layers width"]:
    """Intersection over union; raises InputError where the pass sampled no rows."""
    concept = given.rows.y == CONCEPT
    most = max(1, round(params.active_share * len(concept)))
    both = ((_iou(values, concept, most), _iou(-values, concept, most)) for values in given.rows_by_layer())
    return np.stack([parameters.directed(higher, lower, params.direction) for higher, lower in both])


def _iou(
    values: Float[np.ndarray, "neurons rows"], concept: Bool[np.ndarray, " rows"], most: int
) -> Float[np.ndarray, " neurons"]:
    """IoU of each neuron's `most` most active rows with the concept's."""
    place = values.shape[1] - most
    threshold = np.partition(values, place, axis=1)[:, place, None]
    above, tied = values > threshold, values == threshold
    both = (above & concept).sum(1) + (most - above.sum(1)) * (tied & concept).sum(1) / tied.sum(1)
    return both / (most + concept.sum() - both)
