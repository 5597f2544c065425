"""Standard errors of ratios against a bootstrap over the same units."""

import math

import numpy as np
import pytest
from scipy.stats import binomtest

from unlearning_core.evaluation.ratio import Estimate, format_likelihood, ratio_estimate, share_estimate


def _units(seed: int, number: int = 300) -> tuple[np.ndarray, np.ndarray]:
    """Sentences of 1 to 20 tokens whose nats share a sentence's own difficulty, so that clustering matters."""
    random = np.random.default_rng(seed)
    counts = random.integers(1, 21, number)
    difficulty = random.gamma(4.0, 0.8, number)
    sums = np.array([random.gamma(2.0, level / 2, n).sum() for n, level in zip(counts, difficulty, strict=True)])
    return sums, counts


def _bootstrap(sums: np.ndarray, counts: np.ndarray, seed: int, draws: int = 4000) -> float:
    picks = np.random.default_rng(seed).integers(0, len(sums), (draws, len(sums)))
    return float((sums[picks].sum(axis=1) / counts[picks].sum(axis=1)).std(ddof=1))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_standard_error_agrees_with_a_bootstrap_over_units(seed: int) -> None:
    sums, counts = _units(seed)
    estimate = ratio_estimate(sums, counts)
    assert estimate.value == pytest.approx(sums.sum() / counts.sum())
    assert estimate.stderr == pytest.approx(_bootstrap(sums, counts, seed + 100), rel=0.08)


def test_tokens_of_one_sentence_do_not_count_as_independent() -> None:
    sums, counts = np.repeat([2.0, 4.0], 20) * 30, np.full(40, 30)
    tokens = np.repeat(sums / counts, 30)
    naive = tokens.std(ddof=1) / math.sqrt(len(tokens))
    assert ratio_estimate(sums, counts).stderr > 5 * naive


def test_units_without_anything_to_measure_change_nothing() -> None:
    sums, counts = _units(3, 50)
    padded = ratio_estimate(np.append(sums, [0.0, 0.0]), np.append(counts, [0, 0]))
    assert padded == ratio_estimate(sums, counts)


def test_one_unit_has_no_standard_error_and_none_has_no_value() -> None:
    one = ratio_estimate(np.array([3.0]), np.array([2]))
    assert one.value == 1.5
    assert math.isnan(one.stderr)
    assert math.isnan(ratio_estimate(np.array([]), np.array([])).value)


@pytest.mark.parametrize(
    ("times", "said"),
    [(31, "31 x less likely"), (1.07, "1.07 x less likely"), (1 / 2.5, "2.5 x more likely"), (1, "as likely as before"),
     (157_673, "160,000 x less likely"), (998_000, "1.0 million x less likely"), (1.26e6, "1.3 million x less likely"),
     (9.96e6, "10 million x less likely"), (160e6, "160 million x less likely"),
     (2e9, "over 1,000 million x less likely")],
)  # fmt: skip
def test_a_change_of_the_loss_is_said_as_times_less_likely(times: float, said: str) -> None:
    assert format_likelihood(Estimate(math.log(times), 0.01))[0] == said


def test_the_interval_of_times_less_likely_has_the_ends_of_the_95_percent_interval() -> None:
    assert (
        format_likelihood(Estimate(math.log(31), 0.1))[1]
        == f"{31 * math.exp(-0.196):.0f} to {31 * math.exp(0.196):.0f} x"
    )
    assert format_likelihood(Estimate(0.01, 0.02))[1] == "1.03 x more to 1.05 x less likely"
    assert format_likelihood(Estimate(1.0, math.nan)) == ("2.7 x less likely", "")


@pytest.mark.parametrize(("hits", "asked"), [(0, 24), (24, 24), (0, 1), (3, 3)])
def test_none_or_all_of_a_few_has_the_interval_of_wilson(hits: int, asked: int) -> None:
    found = share_estimate(np.repeat([1.0, 0.0], [hits, asked - hits]))
    expected = binomtest(hits, asked).proportion_ci(method="wilson")
    assert found.value == hits / asked
    assert found.ends == pytest.approx((expected.low, expected.high), abs=1e-5)


def test_a_share_between_is_that_of_the_ratio_estimator_and_of_nothing_there_is_none() -> None:
    hits, asked = np.array([1.0, 0.0, 2.0]), np.array([2, 0, 2])
    assert share_estimate(hits, asked) == ratio_estimate(hits, asked)
    assert math.isnan(share_estimate(np.array([]), np.array([])).value)
    of_questions = share_estimate(np.zeros(3), np.array([8, 8, 8]))
    assert of_questions.ends == share_estimate(np.zeros(3)).ends  # samples of one question are not independent
