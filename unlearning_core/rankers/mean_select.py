"""Mean select: the distance of the class means as a share of the neuron's whole range.

score = (m_concept - m_retain) / (max - min) over all rows: the selectivity index that NeuroX has as
`selectivity_probe` and Fan et al. compare under the names Selectivity and MeanSelect ("Evaluating Neuron
Interpretation Methods of NLP Models", NeurIPS 2023; their repository, fdalvi/neuron-comparative-analysis). It is
between -1 and 1 and has no scale; one outlying row widens the range and lowers it.
"""

import numpy as np
from jaxtyping import Float

from unlearning_core.activations.statistics import CONCEPT, RETAIN
from unlearning_core.rankers.parameters import DirectionParams as Params
from unlearning_core.rankers.parameters import directed
from unlearning_core.rankers.ranking_input import RankingInput


def score(given: RankingInput, params: Params) -> Float[np.ndarray, "layers width"]:
    """The difference as a share of the range; 0 for a neuron that never changes."""
    statistics = given.activations.statistics
    mean = statistics.mean()
    difference = mean[CONCEPT] - mean[RETAIN]
    reach = statistics.max.max(0) - statistics.min.min(0)
    share = np.divide(difference, reach, out=np.zeros_like(difference), where=reach > 0)
    return directed(share, -share, params.direction)
