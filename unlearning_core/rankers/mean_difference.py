"""Standardised mean difference: the distance of the class means in units of the spread within a class.

score = (m_concept - m_retain) / sqrt((v_concept + v_retain) / 2), with the sample variances v (Cohen 1988, chapter 2;
with both classes weighted alike, as in Austin 2009, so that the many retain rows do not set the scale alone). Unlike
`probeless` it has no scale, and unlike `probeless` with `standardise` the distance itself is not in the denominator.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from unlearning_core.activations.statistics import CONCEPT, RETAIN
from unlearning_core.progress import ProgressCallback
from unlearning_core.rankers.sampled import DIRECTION, Direction, directed

if TYPE_CHECKING:
    from unlearning_core.activations.collect import Activations


class Params(BaseModel):
    """Parameters of the method."""

    model_config = ConfigDict(extra="forbid")

    direction: Direction = Field("either", description=DIRECTION)


def score(
    activations: Activations, outgoing_norm: np.ndarray, params: Params, *, seed: int, progress: ProgressCallback
) -> np.ndarray:
    """The difference in standard deviations, `[layers, width]`; 0 for a neuron that never changes within a class."""
    statistics = activations.statistics
    mean, spread = statistics.mean(), statistics.sample_std()
    within = np.sqrt((spread**2).mean(0))
    difference = mean[CONCEPT] - mean[RETAIN]
    # Rounding of sums leaves a spread of about 1e-8 of the value in a neuron that is constant.
    constant = within <= 1e-7 * np.sqrt((mean**2).mean(0))
    standardised = np.divide(difference, within, out=np.zeros_like(difference), where=~constant)
    return directed(standardised, -standardised, params.direction)
