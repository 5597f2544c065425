"""Random: the control. A method that beats no random cut of the same size has found nothing."""

import numpy as np
from jaxtyping import Float

from unlearning_core.rankers.parameters import Params
from unlearning_core.rankers.ranking_input import RankingInput


def score(given: RankingInput, params: Params) -> Float[np.ndarray, "layers width"]:
    """Uniform numbers in [0, 1) from the ranking's seed."""
    return np.random.default_rng(given.seed).random(given.activations.statistics.shape)
