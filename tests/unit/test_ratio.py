"""Standard errors of ratios against a bootstrap over the same units."""

import math

import numpy as np
import pytest

from unlearning_core.evaluation.ratio import ratio_estimate


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
