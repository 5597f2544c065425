"""The ranking table: every neuron once, best first, protected last, the same every time."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.tiny_input import statistics_of
from unlearning_core.activations.collect import Activations
from unlearning_core.errors import InputError, WorkFailed
from unlearning_core.rankers.ranking import COLUMNS, rank
from unlearning_core.rankers.ranking_input import RankingInput
from unlearning_core.rankers.registry import RANKERS, Ranker

LAYERS, WIDTH = 3, 6


def fixed(score: np.ndarray) -> Ranker:
    """A method that always gives `score`."""
    return replace(RANKERS["random"], name="fixed", calculate=lambda given, params: score)


def of_shape(layers: int, width: int) -> Any:
    """What a ranking asks of a model that it does not run."""
    return SimpleNamespace(map=SimpleNamespace(shapes={"mlp": (layers, width)}, experts=None))


@pytest.fixture
def given() -> RankingInput:
    generator = np.random.default_rng(0)
    classes = np.array([0, 1] * 5)
    statistics = statistics_of(generator.normal(size=(10, LAYERS, WIDTH)), classes)
    massive = pd.DataFrame(
        {"site": "mlp", "layer": [1, 0], "index": [2, 4], "contribution": [900.0, 800.0], "typical": [1.0, 1.0]}
    )
    return RankingInput(Activations("mlp", statistics, None, massive, 10, "before", "token", True), seed=3)


def test_every_neuron_stands_once_best_first(given: RankingInput) -> None:
    score = np.random.default_rng(1).random((LAYERS, WIDTH))
    ranking = rank(given, fixed(score), protect=False)
    assert tuple(ranking.columns) == COLUMNS
    assert ranking["rank"].tolist() == list(range(LAYERS * WIDTH))
    assert ranking["score"].is_monotonic_decreasing
    assert not ranking["protected"].any()
    assert set(ranking["site"]) == {"mlp"}
    expected = sorted((-score[i, j], i, j) for i in range(LAYERS) for j in range(WIDTH))
    assert ranking[["layer", "index"]].values.tolist() == [[i, j] for _, i, j in expected]


def test_massive_neurons_stand_last_in_the_order_of_their_scores(given: RankingInput) -> None:
    score = np.zeros((LAYERS, WIDTH))
    score[0, 4], score[1, 2], score[2, 3] = 10.0, 20.0, 5.0
    ranking = rank(given, fixed(score))
    assert ranking.iloc[0][["layer", "index"]].tolist() == [2, 3]
    assert ranking.tail(2)[["layer", "index"]].values.tolist() == [[1, 2], [0, 4]]
    assert ranking["protected"].tolist() == [False] * 16 + [True] * 2
    assert ranking["score"].tolist()[-2:] == [20.0, 10.0], "the score itself stays to be seen"
    unprotected = rank(given, fixed(score), protect=False)
    assert unprotected.head(2)[["layer", "index"]].values.tolist() == [[1, 2], [0, 4]]


def test_ties_stand_in_the_order_of_layer_and_index(given: RankingInput) -> None:
    ranking = rank(given, fixed(np.ones((LAYERS, WIDTH))), protect=False)
    assert ranking[["layer", "index"]].values.tolist() == [[i, j] for i in range(LAYERS) for j in range(WIDTH)]


@pytest.mark.parametrize("name", ["activation_ratio", "probeless", "random"])
def test_two_runs_give_the_same_ranking(given: RankingInput, name: str) -> None:
    pd.testing.assert_frame_equal(rank(given, name), rank(given, name))


def test_parameters_reach_the_method(given: RankingInput) -> None:
    rms = rank(given, "activation_ratio", {"measure": "rms"})
    absolute = rank(given, "activation_ratio", {"measure": "mean_absolute"})
    assert not rms["score"].equals(absolute["score"])
    pd.testing.assert_frame_equal(rms, rank(given, "activation_ratio", RANKERS["activation_ratio"].check()))


def test_activations_of_another_model_are_refused(given: RankingInput) -> None:
    rank(replace(given, model=of_shape(LAYERS, WIDTH)), "probeless")
    with pytest.raises(InputError, match=r"\(3, 6\)"):
        rank(replace(given, model=of_shape(LAYERS, 7)), "probeless")


@pytest.mark.parametrize(("label", "word"), [(0, "retain"), (1, "concept")])
def test_a_class_without_rows_is_named(given: RankingInput, label: int, word: str) -> None:
    statistics = statistics_of(np.ones((4, LAYERS, WIDTH)), np.full(4, 1 - label))
    with pytest.raises(InputError, match=f"no {word} rows"):
        rank(replace(given, activations=replace(given.activations, statistics=statistics)), "probeless")


def test_a_score_that_is_no_number_is_a_failure(given: RankingInput) -> None:
    with pytest.raises(WorkFailed, match="fixed"):
        rank(given, fixed(np.full((LAYERS, WIDTH), np.nan)))


def test_methods_are_listed_without_torch_or_neurox() -> None:
    code = (
        "import sys; from unlearning_core.rankers.registry import RANKERS; import unlearning_core.rankers.ranking; "
        "[r.unavailable() for r in RANKERS.values()]; "
        "print([m for m in ('torch', 'neurox', 'transformers', 'streamlit') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
