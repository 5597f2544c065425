"""Standardised mean difference: the distance of the class means in units of the spread within a class.

score = (m_concept - m_retain) / sqrt((v_concept + v_retain) / 2), with the sample variances v (Cohen 1988, chapter 2;
with both classes weighted alike, as in Austin 2009, so that the many retain rows do not set the scale alone). Unlike
`probeless` it has no scale, and unlike `probeless` with `standardise` the distance itself is not in the denominator.
"""

import numpy as np
from jaxtyping import Float

from unlearning_core.activations.statistics import CONCEPT, RETAIN
from unlearning_core.rankers.parameters import DirectionParams as Params
from unlearning_core.rankers.parameters import directed
from unlearning_core.rankers.ranking_input import RankingInput


def score(given: RankingInput, params: Params) -> Float[np.ndarray, "layers width"]:
    """The difference in standard deviations; 0 for a neuron that never changes within a class."""
    statistics = given.activations.statistics
    mean, spread = statistics.mean(), statistics.sample_std()
    within = np.sqrt((spread**2).mean(0))
    difference = mean[CONCEPT] - mean[RETAIN]
    # Rounding of sums leaves a spread of about 1e-8 of the value in a neuron that is constant.
    constant = within <= 1e-7 * np.sqrt((mean**2).mean(0))
    standardised = np.divide(difference, within, out=np.zeros_like(difference), where=~constant)
    return directed(standardised, -standardised, params.direction)
