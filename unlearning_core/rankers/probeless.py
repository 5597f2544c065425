"""Probeless: the distance between the mean activations of the two classes (Antverg and Belinkov, ICLR 2022).

The seed system's method and NeuroX's `interpretation.probeless`: with two classes NeuroX's sum over pairs of classes
is one difference, so the order is that of |mean over concept rows - mean over retain rows|.
"""

import numpy as np
from jaxtyping import Float
from pydantic import Field

from unlearning_core.activations.statistics import CONCEPT, RETAIN
from unlearning_core.rankers import parameters
from unlearning_core.rankers.ranking_input import RankingInput


class Params(parameters.Params):
    standardise: bool = Field(
        False,
        description="Divide each neuron's difference by its standard deviation, so that layers of different scale "
        "compare. Off: the published method, as NeuroX calculates it.",
    )


def score(given: RankingInput, params: Params) -> Float[np.ndarray, "layers width"]:
    """|difference of the class means|; 0 for a neuron that never changes."""
    mean = given.activations.statistics.mean()
    difference = np.abs(mean[CONCEPT] - mean[RETAIN])
    if not params.standardise:
        return difference
    spread = given.activations.statistics.pooled_std()
    return np.divide(difference, spread, out=np.zeros_like(difference), where=spread > 0)
