"""Structured Wanda difference: how much more a neuron puts out for the concept than for everything else.

score = (a_concept - a_retain) x |w|, where a is the root mean square activation, so that classes of different size
compare, and |w| the L2 norm of the weights that leave the neuron. Wanda scores a weight by |weight| x norm of its input
(Sun et al., "A Simple and Effective Pruning Approach for Large Language Models", ICLR 2024); the sum over a neuron's
outgoing weights and the difference between two texts follow Wei et al. ("Assessing the Brittleness of Safety
Alignment", ICML 2024), who keep the two rankings apart. Unlike a ratio it passes over neurons too faint to matter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from unlearning_core.activations.statistics import CONCEPT, RETAIN
from unlearning_core.progress import ProgressCallback

if TYPE_CHECKING:
    from unlearning_core.activations.collect import Activations


class Params(BaseModel):
    """Parameters of the method."""

    model_config = ConfigDict(extra="forbid")

    relative: bool = Field(
        True,
        description="Divide by what the mean neuron of the layer puts out for other text, so that layers of different "
        "scale compare. Off: absolute, so that layers that put out more come first.",
    )


def score(
    activations: Activations, outgoing_norm: np.ndarray, params: Params, *, seed: int, progress: ProgressCallback
) -> np.ndarray:
    """Concept output minus retain output, `[layers, width]`, negative where retain text uses the neuron more."""
    output = activations.statistics.rms() * outgoing_norm
    difference = output[CONCEPT] - output[RETAIN]
    if not params.relative:
        return difference
    typical = output[RETAIN].mean(axis=1, keepdims=True)
    return np.divide(difference, typical, out=difference.copy(), where=typical > 0)
