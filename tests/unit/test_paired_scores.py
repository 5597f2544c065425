"""The standard error of a change of score, against one that leaves out an example at a time, and against two alone."""

import math
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from unlearning_core.evaluation.paired_scores import change

COUNT = 400


def rows(values: np.ndarray, weights: np.ndarray | None = None, first: int = 0) -> pd.DataFrame:
    examples = [str(first + number) for number in range(len(values))]
    weight = math.nan if weights is None else weights
    return pd.DataFrame({"task": "one", "example": examples, "value": values, "weight": weight})


def jackknife(score: Callable[[np.ndarray], float], count: int) -> float:
    """Tukey's standard error of a score of all examples but one (a mask), the one going round."""
    left = np.array([score(np.arange(count) != out) for out in range(count)])
    return float(np.sqrt((count - 1) / count * np.square(left - left.mean()).sum()))


def mean(values: np.ndarray, weights: np.ndarray) -> float:
    return float(values.mean())


def perplexity(values: np.ndarray, weights: np.ndarray) -> float:
    return float(np.exp(-values.mean()))


def weighted_perplexity(values: np.ndarray, weights: np.ndarray) -> float:
    return float(np.exp(-values.sum() / weights.sum()))


def bits(values: np.ndarray, weights: np.ndarray) -> float:
    return float(-values.sum() / weights.sum() / np.log(2))


@pytest.mark.parametrize("score", [mean, perplexity, weighted_perplexity, bits])
def test_the_error_of_a_change_is_that_of_leaving_out_one_example_at_a_time(
    score: Callable[[np.ndarray, np.ndarray], float],
) -> None:
    pick = np.random.default_rng(0)
    weights = pick.integers(20, 60, COUNT).astype(float)
    base = -weights * pick.gamma(20, 0.1, COUNT) / (1 if score in (weighted_perplexity, bits) else 60)
    now = base * 1.1 + pick.normal(0, 0.05, COUNT)
    values = {name: score(column, weights) for name, column in (("base", base), ("now", now))}
    given = weights if score in (weighted_perplexity, bits) else None
    found = change(
        pd.Series({"value": values["base"], "stderr": 9.0}), pd.Series({"value": values["now"], "stderr": 9.0}),
        rows(base, given), rows(now, given),
    )  # fmt: skip
    assert found.paired
    assert found.difference.value == pytest.approx(values["now"] - values["base"])
    by_hand = jackknife(lambda kept: score(now[kept], weights[kept]) - score(base[kept], weights[kept]), COUNT)
    assert found.difference.stderr == pytest.approx(by_hand, rel=0.01)


def test_of_a_mean_it_is_the_spread_of_the_differences_over_the_root_of_their_number() -> None:
    base, now = np.array([1.0, 0, 1, 1, 0, 1]), np.array([1.0, 0, 0, 1, 1, 0])
    given = [pd.Series({"value": column.mean(), "stderr": 0.2}) for column in (base, now)]
    found = change(*given, rows(base), rows(now))
    assert found.difference.stderr == pytest.approx((now - base).std(ddof=1) / math.sqrt(6))


@pytest.mark.parametrize("why", ["other examples", "another kind of score", "nothing by example"])
def test_without_a_pairing_both_errors_count(why: str) -> None:
    base, now = np.array([1.0, 0, 1, 1]), np.array([1.0, 0, 0, 1])
    own, other = rows(base), rows(now, first=1 if why == "other examples" else 0)
    if why == "nothing by example":
        own, other = own.iloc[:0], other.iloc[:0]
    shift = 0.1 if why == "another kind of score" else 0.0
    given = [
        pd.Series({"value": column.mean() + shift, "stderr": error}) for column, error in ((base, 0.3), (now, 0.4))
    ]
    found = change(*given, own, other)
    assert not found.paired
    assert found.difference.stderr == pytest.approx(0.5)


def test_where_no_example_changed_the_error_is_unknown_and_not_0() -> None:
    same = np.array([1.0, 0, 1, 1])
    given = pd.Series({"value": 0.75, "stderr": 0.25})
    found = change(given, given, rows(same), rows(same))
    assert found.difference.value == 0
    assert math.isnan(found.difference.stderr)
