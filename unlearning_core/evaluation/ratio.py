"""Ratios of sums over independent units (sentences, generated texts) and their standard errors."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Estimate:
    """A number and how far it may be off.

    Attributes:
        value: the estimate; NaN when there was nothing to measure.
        stderr: its standard error; NaN when fewer than two units hold anything to measure.
    """

    value: float
    stderr: float


def ratio_estimate(numerators: Sequence[float] | np.ndarray, denominators: Sequence[float] | np.ndarray) -> Estimate:
    """sum(numerators) / sum(denominators), its standard error clustered by unit.

    Tokens of one sentence are not independent, sentences are: the unit is the cluster, and the estimator is the
    ratio estimator of survey sampling (Cochran, Sampling Techniques, 1977, section 2.11; with m units and
    r = sum y / sum n, SE^2 = m / (m - 1) * sum (y_i - r n_i)^2 / (sum n)^2).

    Args:
        numerators: [units] sums within a unit, such as nats.
        denominators: [units] how many things each sum is over; a unit with zero counts for nothing.
    """
    sums = np.asarray(numerators, dtype=np.float64)
    counts = np.asarray(denominators, dtype=np.float64)
    sums, counts = sums[counts > 0], counts[counts > 0]
    units, total = len(counts), float(counts.sum())
    if units == 0:
        return Estimate(math.nan, math.nan)
    value = float(sums.sum()) / total
    if units == 1:
        return Estimate(value, math.nan)
    residuals = sums - value * counts
    return Estimate(value, math.sqrt(units / (units - 1) * float(residuals @ residuals)) / total)
