"""Activation ratio: how much more active a neuron is for the concept than for everything else.

score = (a_concept + e) / (a_retain + e), where a is the root mean square, the mean absolute activation, the standard
deviation or the firing frequency (share of the rows with an activation above zero), the four of Pochinkov and Schoots
("Dissecting Language Models: Machine Unlearning via Selective Pruning", 2023), and e is a small share of the middle
neuron's a_retain in the same layer, so that a neuron that is nearly silent for both does not win by division. A ratio
has no scale: layers compare as they are. A neuron that serves retain text as much as the concept scores 1 however
active it is, which is what makes a cut by this score selective.

All four are per row, so that classes of different size compare (their code divides counts): the deviation is that of a
sample, over n - 1, and e is no less than half a row of the smaller class for a frequency, which no sample shows.
"""

from typing import Literal

import numpy as np
from jaxtyping import Float
from pydantic import Field

from unlearning_core.activations.statistics import CONCEPT, RETAIN, Statistics
from unlearning_core.errors import InputError
from unlearning_core.rankers import parameters
from unlearning_core.rankers.ranking_input import RankingInput


class Params(parameters.Params):
    measure: Literal["rms", "mean_absolute", "standard_deviation", "firing_frequency"] = Field(
        "rms",
        description="How activity is measured: root mean square (rare strong activations count more), mean absolute, "
        "standard deviation (a constant level does not count) or how often it is above zero.",
    )
    eps: float = Field(
        0.01,
        gt=0,
        le=10,
        description="Added to both sides of the ratio, as a share of the middle neuron's retain activity in the layer.",
    )


def score(given: RankingInput, params: Params) -> Float[np.ndarray, "layers width"]:
    """Concept activity over retain activity; 1 for a neuron that is never active.

    Raises:
        InputError: measure "standard_deviation" and a class has one row; "firing_frequency" and every neuron fires on
            every row (attention heads, whose activation is a norm), or the run was ranked before firing was counted.
    """
    statistics = given.activations.statistics
    active = _activity(statistics, params.measure)
    floor = params.eps * np.median(active[RETAIN], axis=1, keepdims=True)
    if params.measure == "firing_frequency":
        floor = np.maximum(floor, 0.5 / statistics.count.min())
    above, below = active[CONCEPT] + floor, active[RETAIN] + floor
    # A layer whose middle neuron is silent (ReLU, few texts) has no floor: the smallest float keeps the ratio defined.
    tiny = np.finfo(np.float64).tiny
    return np.where((above == 0) & (below == 0), 1.0, above / np.maximum(below, tiny))


def _activity(statistics: Statistics, measure: str) -> Float[np.ndarray, "2 layers width"]:
    """By class."""
    if measure == "rms":
        return statistics.rms()
    if measure == "mean_absolute":
        return statistics.mean_abs()
    if measure == "standard_deviation":
        if statistics.count.min() < 2:
            raise InputError(
                "The parameter 'measure' of the ranker 'activation_ratio' is 'standard_deviation', which needs two "
                f"rows of each class; there are {statistics.count[CONCEPT]} of the concept and "
                f"{statistics.count[RETAIN]} of other text. Give more sentences, or choose 'rms'."
            )
        return statistics.sample_std()
    frequency = statistics.frequency()
    if (frequency == 1).all():
        raise InputError(
            "The parameter 'measure' of the ranker 'activation_ratio' is 'firing_frequency', but every neuron is above "
            "zero everywhere (an attention head's activation is a norm). Choose 'rms', 'mean_absolute' or "
            "'standard_deviation'."
        )
    return frequency
