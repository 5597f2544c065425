"""Structured Wanda difference: how much more a neuron puts out for the concept than for everything else.

score = (a_concept - a_retain) x |w|, where a is the root mean square activation, so that classes of different size
compare, and |w| the L2 norm of the weights that leave the neuron. Wanda scores a weight by |weight| x norm of its input
(Sun et al., "A Simple and Effective Pruning Approach for Large Language Models", ICLR 2024); the sum over a neuron's
outgoing weights and the difference between two texts follow Wei et al. ("Assessing the Brittleness of Safety
Alignment", ICML 2024), who keep the two rankings apart. Unlike a ratio it passes over neurons too faint to matter.
"""

import numpy as np
from jaxtyping import Float
from pydantic import Field

from unlearning_core.activations.statistics import CONCEPT, RETAIN
from unlearning_core.rankers import parameters
from unlearning_core.rankers.ranking_input import RankingInput


class Params(parameters.Params):
    relative: bool = Field(
        True,
        description="Divide by what the mean neuron of the layer puts out for other text, so that layers of different "
        "scale compare. Off: absolute, so that layers that put out more come first.",
    )


def score(given: RankingInput, params: Params) -> Float[np.ndarray, "layers width"]:
    """Concept output minus retain output; negative where retain text uses the neuron more."""
    norm = 1.0 if given.outgoing_norm is None else given.outgoing_norm
    output = given.activations.statistics.rms() * norm
    difference = output[CONCEPT] - output[RETAIN]
    if not params.relative:
        return difference
    typical = output[RETAIN].mean(axis=1, keepdims=True)
    return np.divide(difference, typical, out=difference.copy(), where=typical > 0)
