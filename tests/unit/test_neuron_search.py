"""Neurons found in a ranking by what a person types, and the figure of one neuron's activations."""

import numpy as np
import pandas as pd
import pytest

from unlearning_core.errors import InputError
from unlearning_core.figures.distributions import activation_histogram
from unlearning_core.neurons.neuron import Neuron
from unlearning_core.neurons.reading import Histogram
from unlearning_core.neurons.search import search


def ranking_of(layers: int = 3, width: int = 20) -> pd.DataFrame:
    layer, index = np.divmod(np.arange(layers * width), width)
    generator = np.random.default_rng(0)
    frame = pd.DataFrame({"site": "mlp", "layer": layer, "index": index, "score": generator.normal(size=len(layer))})
    frame["rank"] = frame["score"].rank(ascending=False).astype(int) - 1
    return frame.assign(protected=index % 7 == 0).sample(frac=1, random_state=1)


def places(rows: pd.DataFrame) -> set[tuple[int, int]]:
    return set(zip(rows["layer"], rows["index"], strict=True))


@pytest.mark.parametrize(
    ("typed", "wanted"),
    [("17", {17}), ("3, 5", {3, 5}), ("4-6", {4, 5, 6}), (" 2 - 3,19 ", {2, 3, 19}), ("", set(range(20)))],
)
def test_indices_are_numbers_and_ranges(typed: str, wanted: set[int]) -> None:
    found = search(ranking_of(), layers=[1], indices=typed)
    assert places(found) == {(1, index) for index in wanted}
    assert found["rank"].is_monotonic_increasing


@pytest.mark.parametrize("typed", ["chair", "3-", "-1", "1.5", "2:5", ":5", "shared:"])
def test_what_is_no_number_is_named(typed: str) -> None:
    with pytest.raises(InputError, match="100-200"):
        search(ranking_of(), indices=typed)


def test_protected_and_named_neurons_are_found_alone() -> None:
    assert places(search(ranking_of(), protected=True)) == {
        (layer, index) for layer in range(3) for index in (0, 7, 14)
    }
    among = [Neuron("mlp", 2, 7), Neuron("head", 0, 3), Neuron("mlp", 0, 3)]
    assert places(search(ranking_of(), among=among)) == {(2, 7), (0, 3)}
    assert places(search(ranking_of(), among=among, protected=False)) == {(0, 3)}
    assert search(ranking_of(), among=[]).empty


def test_bars_are_shares_of_their_own_class() -> None:
    found = Histogram(np.array([-1.0, 0.0, 2.0]), np.array([1, 3]), np.array([0, 50]), 0.4, 1.0)
    others, concept = activation_histogram(found).data
    assert concept.y.tolist() == [25.0, 75.0]
    assert np.isnan(others.y[0])
    assert others.y[1] == 100.0
    assert concept.x.tolist() == [-0.5, 1.0]
    assert concept.width.tolist() == [1.0, 2.0]
