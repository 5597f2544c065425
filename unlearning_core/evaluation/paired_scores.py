"""How much a benchmark's score changed between two models that were given the same examples, and its standard error.

The same examples are hard for both models, so the error of the difference is that of the differences by example, which
is smaller than what the two errors alone would give (Miller 2024, "Adding Error Bars to Evals", arXiv 2411.00640,
section 4.2). Scores that are no mean of examples, such as perplexities, are linearised first (delta method; Cochran,
Sampling Techniques, 1977, section 2.11).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from unlearning_core.evaluation.ratio import Estimate

_Linear = tuple[float, np.ndarray]
"""A score, and by how much each example moves it: their sum is 0."""


@dataclass(frozen=True)
class Change:
    """The difference of a score to the base's.

    Attributes:
        difference: with its standard error; NaN where it is not known.
        paired: whether the error is of the differences by example; else both errors count in full.
    """

    difference: Estimate
    paired: bool


def change(base: pd.Series, now: pd.Series, base_samples: pd.DataFrame, now_samples: pd.DataFrame) -> Change:
    """The change of a score between two models.

    Args:
        base: value and stderr of the base, as a row of `scores` (evaluation/benchmarks.py).
        now: of the other model.
        base_samples: the base's rows of `samples` of that task (of a group: of its tasks), metric and filter.
        now_samples: the other model's.

    Returns:
        Paired where both models have the same examples and the scores can be made from them. Where no example changed
        at all, the standard error is NaN, not 0: so few examples say nothing of it.
    """
    difference = float(now["value"] - base["value"])
    keys = ["task", "example"]
    same = base_samples[keys].reset_index(drop=True).equals(now_samples[keys].reset_index(drop=True))
    one, other = (_linear(samples, row["value"]) for samples, row in ((base_samples, base), (now_samples, now)))
    if same and one is not None and other is not None:
        moved = other - one
        count, spread = len(moved), float(np.square(moved).sum())
        stderr = math.sqrt(count / (count - 1) * spread) if count > 1 and spread > 0 else math.nan
        return Change(Estimate(difference, stderr), True)
    return Change(Estimate(difference, math.hypot(base["stderr"], now["stderr"])), False)


def _linear(samples: pd.DataFrame, value: float) -> np.ndarray | None:
    """By how much each example moves the score, whose value tells what kind of mean it is; None: no known kind."""
    if len(samples) == 0 or not np.isfinite(samples["value"]).all():
        return None
    values, weights = (samples[name].to_numpy(dtype=np.float64) for name in ("value", "weight"))
    if np.isfinite(weights).all():
        if weights.sum() <= 0:
            return None
        kinds: Sequence[Callable[[np.ndarray, np.ndarray], _Linear]] = (_perplexity, _bits)
    else:
        weights, kinds = np.ones_like(values), (_mean, _perplexity)
    for kind in kinds:
        found, moves = kind(values, weights)
        if math.isclose(found, value, rel_tol=1e-6, abs_tol=1e-9):
            return moves
    return None


def _mean(values: np.ndarray, weights: np.ndarray) -> _Linear:
    mean, total = float((values).sum() / weights.sum()), float(weights.sum())
    return mean, (values - mean * weights) / total


def _perplexity(values: np.ndarray, weights: np.ndarray) -> _Linear:
    """exp(-sum of log-likelihoods / sum of weights)."""
    mean, moves = _mean(values, weights)
    found = math.exp(min(-mean, 700.0))
    return found, -found * moves


def _bits(values: np.ndarray, weights: np.ndarray) -> _Linear:
    """Bits a byte: the mean in nats over ln 2."""
    mean, moves = _mean(values, weights)
    return -mean / math.log(2), -moves / math.log(2)
