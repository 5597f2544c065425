"""The methods that go by sampled rows, against scikit-learn one neuron at a time."""

from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, jaccard_score, mutual_info_score

from tests.tiny_input import statistics_of
from unlearning_core.activations.collect import Activations
from unlearning_core.activations.reservoir import Rows
from unlearning_core.errors import InputError, Stopped
from unlearning_core.progress import Progress
from unlearning_core.rankers.ranking_input import RankingInput
from unlearning_core.rankers.registry import get_ranker

COUNT, LAYERS, WIDTH = 120, 3, 24
NAMES = ("average_precision", "iou", "mutual_information")


@pytest.fixture(scope="module")
def values() -> np.ndarray:
    """Rows in which neurons 0 to 4 of layer 1 know the class; layer 0 is rectified, so that many of its rows tie."""
    generator = np.random.default_rng(5)
    drawn = generator.normal(size=(COUNT, LAYERS, WIDTH)).astype(np.float32)
    drawn[::2, 1, :3] += 2.5
    drawn[::2, 1, 3:5] -= 2.5
    drawn[:, 0] = np.maximum(drawn[:, 0], 0.0)
    drawn[:, 0, 0] = 0.0
    drawn[:, 0, 1] = np.round(drawn[:, 0, 1])
    drawn[:, 2] *= 30.0
    return drawn


CLASSES = np.tile([1, 0], COUNT // 2)


def seen(values: np.ndarray, classes: np.ndarray = CLASSES) -> Activations:
    rows = Rows(values, classes, np.arange(len(classes), dtype=np.uint64))
    statistics = statistics_of(values, classes)
    return Activations(
        "mlp", statistics, rows, pd.DataFrame(columns=["layer", "index"]), COUNT, "before", "token", True
    )


def score(name: str, values: np.ndarray, classes: np.ndarray = CLASSES, **params: Any) -> np.ndarray:
    return get_ranker(name).score(RankingInput(seen(values, classes)), params)


def each(values: np.ndarray, calculate: Callable[[np.ndarray], float]) -> np.ndarray:
    return np.apply_along_axis(calculate, 0, values)


def test_average_precision_is_scikit_learns_in_each_direction(values: np.ndarray) -> None:
    higher = each(values, lambda neuron: average_precision_score(CLASSES, neuron))
    lower = each(values, lambda neuron: average_precision_score(CLASSES, -neuron))
    np.testing.assert_allclose(score("average_precision", values, direction="higher"), higher, rtol=1e-12)
    np.testing.assert_allclose(score("average_precision", values, direction="lower"), lower, rtol=1e-12)
    np.testing.assert_allclose(score("average_precision", values), np.maximum(higher, lower), rtol=1e-12)


def test_average_precision_holds_for_classes_of_unequal_size(values: np.ndarray) -> None:
    classes = (np.arange(COUNT) % 7 == 0).astype(np.int64)
    expected = each(values, lambda neuron: average_precision_score(classes, neuron))
    np.testing.assert_allclose(score("average_precision", values, classes, direction="higher"), expected, rtol=1e-12)


@pytest.mark.parametrize("share", [0.005, 0.2, 0.5, 0.999])
def test_iou_is_the_jaccard_index_of_the_most_active_rows_and_the_concepts(values: np.ndarray, share: float) -> None:
    most = max(1, round(share * COUNT))

    def jaccard(neuron: np.ndarray) -> float:
        return jaccard_score(CLASSES, neuron >= np.sort(neuron)[COUNT - most])

    distinct = values[:, 1:]
    higher, lower = each(distinct, jaccard), each(-distinct, jaccard)
    np.testing.assert_allclose(score("iou", distinct, active_share=share, direction="higher"), higher, rtol=1e-12)
    np.testing.assert_allclose(score("iou", distinct, active_share=share, direction="lower"), lower, rtol=1e-12)
    np.testing.assert_allclose(score("iou", distinct, active_share=share), np.maximum(higher, lower), rtol=1e-12)


@pytest.mark.parametrize("neuron", [[2, 2, 2, 2, 0, 0, 0, 0], [5, 1, 1, 3, 1, 1, 0, 1], [0, 0, 0, 0, 0, 0, 0, 0]])
def test_iou_takes_of_tied_rows_what_falls_to_them_on_average(neuron: list[int]) -> None:
    classes, most = np.array([1, 1, 1, 1, 0, 0, 0, 0]), 3
    best = max(sum(neuron[row] for row in rows) for rows in combinations(range(8), most))
    choices = [rows for rows in combinations(range(8), most) if sum(neuron[row] for row in rows) == best]
    both = np.mean([classes[list(rows)].sum() for rows in choices])
    found = score("iou", np.array(neuron, np.float32)[:, None, None], classes, active_share=3 / 8, direction="higher")
    assert found[0, 0] == pytest.approx(both / (most + 4 - both))


@pytest.mark.parametrize("bins", [2, 8, 15])
def test_mutual_information_is_scikit_learns_of_class_and_quantile(values: np.ndarray, bins: int) -> None:
    def information(neuron: np.ndarray) -> float:
        place = np.searchsorted(np.sort(neuron), neuron, side="right") - 1  # ties stand where the last of them does
        return mutual_info_score(CLASSES, place * bins // COUNT)

    found = score("mutual_information", values, bins=bins)
    np.testing.assert_allclose(found, each(values, information), rtol=1e-9, atol=1e-12)


def test_mutual_information_sees_what_leaves_the_means_alike() -> None:
    generator = np.random.default_rng(0)
    values = generator.normal(size=(COUNT, 1, 2)).astype(np.float32)
    values[CLASSES == 1, 0, 0] *= 6.0
    found = score("mutual_information", values)
    assert found[0, 0] > 0.2 > found[0, 1]
    certain = np.where(CLASSES == 1, 1.0, 0.0).astype(np.float32)[:, None, None]
    assert score("mutual_information", certain)[0, 0] == pytest.approx(np.log(2))


def test_a_constant_neuron_knows_nothing(values: np.ndarray) -> None:
    assert score("iou", values, active_share=0.2)[0, 0] == pytest.approx(0.2 / 1.2)
    assert score("mutual_information", values)[0, 0] == 0
    assert score("average_precision", values)[0, 0] == 0.5


@pytest.mark.parametrize("name", NAMES)
def test_the_neurons_that_know_come_first_and_scale_does_not_count(name: str, values: np.ndarray) -> None:
    found = score(name, values)
    assert set(np.argsort(-found.ravel())[:5]) == {WIDTH + neuron for neuron in range(5)}
    scaled = values * np.array([1e-3, 1.0, 1e3], np.float32)[None, :, None]
    np.testing.assert_allclose(score(name, scaled), found, rtol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_rows_of_both_classes_are_needed(name: str, values: np.ndarray) -> None:
    bare = Activations("mlp", seen(values).statistics, None, pd.DataFrame(), COUNT, "before", "token", True)
    with pytest.raises(InputError, match=f"{name}.*rows above 0"):
        get_ranker(name).score(RankingInput(bare))
    with pytest.raises(InputError, match="both classes"):
        score(name, values, np.ones(COUNT, np.int64))


@pytest.mark.parametrize("name", NAMES)
def test_few_rows_are_enough_for_a_number(name: str) -> None:
    found = score(name, np.array([[[1.0, 2.0]], [[0.0, 3.0]]], np.float32), np.array([1, 0]))
    assert np.isfinite(found).all()


@pytest.mark.parametrize("name", NAMES)
def test_layers_are_counted_and_a_stop_is_heard(name: str, values: np.ndarray) -> None:
    heard: list[Progress] = []
    get_ranker(name).score(RankingInput(seen(values), progress=heard.append))
    assert [(report.done, report.total) for report in heard] == [(0, 3), (1, 3), (2, 3), (3, 3)]

    def stop(progress: Progress) -> None:
        raise Stopped("enough")

    with pytest.raises(Stopped):
        get_ranker(name).score(RankingInput(seen(values), progress=stop))
