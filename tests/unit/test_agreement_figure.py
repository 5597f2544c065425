"""The figures of two rankings' agreement show what was counted, and stay small whatever the model."""

import numpy as np
import pandas as pd
import pytest

from unlearning_core.figures.agreement import overlap_curve, rank_density
from unlearning_core.figures.heatmap import PAYLOAD


def ranks(count: int, seed: int = 0) -> pd.DataFrame:
    return pd.DataFrame({"rank_one": np.arange(count), "rank_other": np.random.default_rng(seed).permutation(count)})


def test_the_curve_shows_shares_in_percent_beside_chance_and_marks_the_top() -> None:
    curve = pd.DataFrame({"first": [1, 10, 100], "both": [0, 5, 100], "share": [0, 0.5, 1], "chance": [0.01, 0.1, 1]})
    figure = overlap_curve(curve, 10)
    shared, chance = figure.data
    assert list(shared.x) == list(chance.x) == [1, 10, 100]
    assert list(shared.y) == pytest.approx([0, 50, 100])
    assert list(chance.y) == pytest.approx([1, 10, 100])
    assert chance.line.dash == "dash"
    assert [shape.x0 for shape in figure.layout.shapes] == [10]


def test_each_cell_counts_the_neurons_of_its_two_ranges_of_ranks() -> None:
    neurons = ranks(400)
    (grid,) = rank_density(neurons, "one", "other").data
    counts = np.zeros((40, 40), int)
    for one, other in neurons.to_numpy():
        counts[other // 10, one // 10] += 1
    np.testing.assert_array_equal(grid.customdata, counts)
    np.testing.assert_allclose(grid.z, counts / (400 / 1600), rtol=1e-6)


@pytest.mark.parametrize("count", [1, 7, 46_080, 458_752])
def test_ranks_of_any_model_fit_the_payload(count: int) -> None:
    figure = rank_density(ranks(count), "one", "other")
    assert len(figure.to_json()) < PAYLOAD / 5
    assert int(np.sum(figure.data[0].customdata)) == count
