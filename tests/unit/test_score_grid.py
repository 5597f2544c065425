"""The grid behind the heatmap: standardised layers and cells that lose no strong neuron."""

import numpy as np
import pandas as pd
import pytest

from unlearning_core.figures.score_grid import OrderBy, bin_scores, score_matrix, standardise


def test_a_ranking_becomes_a_matrix_whatever_the_order_of_its_rows() -> None:
    scores = np.random.default_rng(0).normal(size=(3, 5))
    layer, index = (part.ravel() for part in np.indices((3, 5)))
    frame = pd.DataFrame({"site": "mlp", "layer": layer, "index": index, "score": scores.ravel()})
    other = frame.assign(site="head", score=0.0)
    mixed = pd.concat([frame, other]).sample(frac=1, random_state=1)
    np.testing.assert_array_equal(score_matrix(mixed, "mlp"), scores)


def test_a_site_that_was_not_ranked_is_refused() -> None:
    with pytest.raises(ValueError, match="head"):
        score_matrix(pd.DataFrame({"site": ["mlp"], "layer": [0], "index": [0], "score": [1.0]}), "head")


def test_each_layer_is_standardised_on_its_own() -> None:
    scores = np.random.default_rng(0).normal(size=(4, 200)) * np.array([[1], [100], [1e-3], [0]]) + 7.3
    scores[1, 5] = np.nan
    found = standardise(scores)
    np.testing.assert_allclose(np.nanmean(found, axis=1), 0, atol=1e-9)
    np.testing.assert_allclose(np.nanstd(found, axis=1), [1, 1, 1, 0], atol=1e-9)
    assert np.isnan(found[1, 5])


@pytest.mark.parametrize("order_by", ["index", "score"])
@pytest.mark.parametrize("most_cells", [1, 12, 40, 10_000])
def test_a_cell_shows_the_strongest_of_its_neurons(order_by: OrderBy, most_cells: int) -> None:
    scores = np.random.default_rng(2).normal(size=(4, 53))
    bins = bin_scores(scores, most_cells, order_by)
    assert bins.values.size <= max(most_cells, 4)
    for layer in range(4):
        for cell in range(bins.values.shape[1]):
            members = np.flatnonzero(bins.cells[layer] == cell)
            assert 1 <= len(members) <= bins.size
            assert bins.values[layer, cell] == scores[layer, members].max()
            assert bins.neurons[layer, cell] == members[scores[layer, members].argmax()]


def test_by_score_the_cells_of_a_layer_descend() -> None:
    bins = bin_scores(np.random.default_rng(3).normal(size=(4, 53)), 40, "score")
    assert (np.diff(bins.values, axis=1) <= 0).all()


def test_cells_without_a_neuron_are_empty() -> None:
    scores = np.array([[1.0, 2.0, 3.0, 4.0], [5.0, np.nan, np.nan, np.nan]])
    bins = bin_scores(scores, 4)
    np.testing.assert_array_equal(bins.values, [[2.0, 4.0], [5.0, np.nan]])
    np.testing.assert_array_equal(bins.neurons, [[1, 3], [0, -1]])
