"""The methods that go by the streaming statistics, against numpy and scipy over all rows."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from tests.tiny_input import statistics_of
from unlearning_core.activations.collect import Activations
from unlearning_core.errors import InputError
from unlearning_core.rankers.ranking_input import RankingInput
from unlearning_core.rankers.registry import get_ranker

LAYERS, WIDTH = 3, 40
KNOWING = {(1, neuron) for neuron in range(5)}

Rows = tuple[np.ndarray, np.ndarray]


def drawn(retain: int, concept: int) -> Rows:
    """Rows `[n, layers, width]` in which five neurons of layer 1 know the class; layer 2 has 30 times the scale."""
    generator = np.random.default_rng(1)
    values = generator.normal(0.5, 1.0, (retain + concept, LAYERS, WIDTH))
    classes = np.repeat([0, 1], [retain, concept])
    values[classes == 1, 1, :5] = 1.5 + 3 * values[classes == 1, 1, :5]
    values[:, 2] *= 30.0
    values[:, 0, 39] = 0.0
    return values, classes


def score(name: str, rows: Rows, norm: np.ndarray | None = None, **params: Any) -> np.ndarray:
    values, classes = rows
    empty = pd.DataFrame(columns=["layer", "index"])
    seen = Activations("mlp", statistics_of(values, classes), None, empty, len(classes), "before", "token", True)
    return get_ranker(name).score(RankingInput(seen, norm), params)


def top(found: np.ndarray) -> set[tuple[int, int]]:
    order = np.argsort(-found.ravel())[:5]
    return {(int(place) // WIDTH, int(place) % WIDTH) for place in order}


def test_the_standardised_difference_is_welchs_t_without_the_sample_size() -> None:
    values, classes = rows = drawn(80, 80)
    with np.errstate(invalid="ignore"):
        t = stats.ttest_ind(values[classes == 1], values[classes == 0], equal_var=False).statistic
    expected = np.nan_to_num(t * np.sqrt(2 / 80))
    np.testing.assert_allclose(score("mean_difference", rows, direction="higher"), expected, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(score("mean_difference", rows, direction="lower"), -expected, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(score("mean_difference", rows), np.abs(expected), rtol=1e-9, atol=1e-12)


def test_the_standardised_difference_weighs_a_small_class_as_much_as_a_large_one() -> None:
    values, classes = rows = drawn(900, 12)
    one, other = values[classes == 1], values[classes == 0]
    with np.errstate(invalid="ignore"):
        expected = (one.mean(0) - other.mean(0)) / np.sqrt((one.var(0, ddof=1) + other.var(0, ddof=1)) / 2)
    np.testing.assert_allclose(score("mean_difference", rows), np.abs(np.nan_to_num(expected)), rtol=1e-9, atol=1e-12)


def test_one_row_of_the_concept_is_measured_by_the_spread_of_the_rest() -> None:
    rows = drawn(60, 1)
    values = rows[0]
    difference = values[60] - values[:60].mean(0)
    with np.errstate(invalid="ignore"):
        expected = np.nan_to_num(difference / (values[:60].std(0, ddof=1) / np.sqrt(2)))
    np.testing.assert_allclose(score("mean_difference", rows), np.abs(expected), rtol=1e-9)


def test_a_neuron_that_is_constant_stands_last_though_its_sums_are_rounded() -> None:
    values, classes = drawn(80, 80)
    values[:, 0, 0] = 1 / 3
    assert score("mean_difference", (values, classes))[0, 0] == 0


def test_mean_select_is_the_difference_as_a_share_of_the_range() -> None:
    values, classes = rows = drawn(90, 30)
    reach = np.ptp(values, axis=0)
    with np.errstate(invalid="ignore"):
        expected = np.nan_to_num((values[classes == 1].mean(0) - values[classes == 0].mean(0)) / reach)
    np.testing.assert_allclose(score("mean_select", rows, direction="higher"), expected, rtol=1e-9)
    np.testing.assert_allclose(score("mean_select", rows), np.abs(expected), rtol=1e-9)
    assert np.abs(expected).max() <= 1


@pytest.mark.parametrize(("retain", "concept"), [(90, 90), (400, 20)])
def test_the_deviation_ratio_takes_the_deviation_of_a_sample(retain: int, concept: int) -> None:
    values, classes = rows = drawn(retain, concept)
    active = [values[classes == label].std(0, ddof=1) for label in (0, 1)]
    floor = 0.05 * np.median(active[0], axis=1, keepdims=True)
    found = score("activation_ratio", rows, measure="standard_deviation", eps=0.05)
    np.testing.assert_allclose(found, (active[1] + floor) / (active[0] + floor), rtol=1e-9)
    assert found[0, 39] == 1.0


@pytest.mark.parametrize(("retain", "concept"), [(90, 90), (400, 20)])
def test_the_frequency_ratio_compares_shares_of_the_rows(retain: int, concept: int) -> None:
    values, classes = drawn(retain, concept)
    values -= 3.0 * np.abs(values).mean((0, 2), keepdims=True)
    active = [(values[classes == label] > 0).mean(0) for label in (0, 1)]
    floor = np.maximum(0.05 * np.median(active[0], axis=1, keepdims=True), 0.5 / min(retain, concept))
    found = score("activation_ratio", (values, classes), measure="firing_frequency", eps=0.05)
    np.testing.assert_allclose(found, (active[1] + floor) / (active[0] + floor), rtol=1e-12)
    assert found[0, 39] == 1.0, "a neuron that never fires"


def test_more_retain_rows_alone_change_no_measure_of_activity() -> None:
    values, classes = drawn(60, 60)
    often = np.concatenate([np.tile(np.flatnonzero(classes == 0), 20), np.flatnonzero(classes == 1)])
    for measure in ("rms", "mean_absolute", "firing_frequency"):
        once = score("activation_ratio", (values, classes), measure=measure)
        np.testing.assert_allclose(
            score("activation_ratio", (values[often], classes[often]), measure=measure), once, rtol=1e-9
        )


def test_what_has_no_measure_says_so() -> None:
    values, classes = drawn(60, 1)
    with pytest.raises(InputError, match="two rows of each class"):
        score("activation_ratio", (values, classes), measure="standard_deviation")
    with pytest.raises(InputError, match=r"'firing_frequency'.*norm.*'rms'"):
        score("activation_ratio", (np.abs(values) + 0.1, classes), measure="firing_frequency")


def test_the_wanda_difference_is_what_the_outgoing_weights_carry() -> None:
    values, classes = rows = drawn(90, 30)
    weights = np.random.default_rng(2).normal(size=(LAYERS, WIDTH, 7))
    put_out = np.sqrt((values[..., None] * weights) ** 2).astype(np.float64)
    size = [np.sqrt((put_out[classes == label] ** 2).sum(-1).mean(0)) for label in (0, 1)]
    norm = np.linalg.norm(weights, axis=-1)
    absolute = score("wanda_difference", rows, norm, relative=False)
    np.testing.assert_allclose(absolute, size[1] - size[0], rtol=1e-9, atol=1e-9)
    relative = score("wanda_difference", rows, norm)
    np.testing.assert_allclose(relative, (size[1] - size[0]) / size[0].mean(1, keepdims=True), rtol=1e-9, atol=1e-9)


def test_a_layer_that_is_silent_has_no_wanda_difference() -> None:
    values, classes = drawn(20, 20)
    values[:, 0] = 0.0
    assert (score("wanda_difference", (values, classes))[0] == 0).all()


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("mean_difference", {}),
        ("mean_select", {}),
        ("wanda_difference", {}),
        ("activation_ratio", {"measure": "standard_deviation"}),
        ("activation_ratio", {"measure": "mean_absolute"}),
    ],
)
def test_a_layer_of_larger_scale_does_not_come_first(name: str, params: dict[str, Any]) -> None:
    assert top(score(name, drawn(2000, 200), **params)) == KNOWING
