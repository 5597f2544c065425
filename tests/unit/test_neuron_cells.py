"""Cells that are clicked: each means one neuron, and its hover text says which, with its rank and number."""

from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from unlearning_core.figures.heatmap import PAYLOAD
from unlearning_core.figures.neuron_cells import COLUMNS, STRETCH, Colours, NeuronScores, enlarged, overview, stretch_of
from unlearning_core.figures.score_grid import OrderBy


def ranking(layers: int, width: int) -> pd.DataFrame:
    """Every neuron with a random score of its layer's own scale, ranked by it."""
    layer, index = (part.ravel() for part in np.indices((layers, width)))
    score = np.random.default_rng(0).normal(size=layers * width) * 10.0**layer
    frame = pd.DataFrame({"site": "mlp", "layer": layer, "index": index, "score": score})
    frame = frame.sort_values("score", ascending=False, ignore_index=True)
    return frame.assign(rank=np.arange(len(frame)))


def scores_of(frame: pd.DataFrame, colours: Colours = "layer") -> NeuronScores:
    return NeuronScores.of(frame, "mlp", "mutual information (nats)", colours)


def trace(figure: go.Figure, name: str) -> Any:
    return next(one for one in figure.data if one.name == name)


def facts(figure: go.Figure) -> pd.DataFrame:
    """What a click and the hover text say of each cell."""
    found = trace(figure, "neurons")
    columns = ["layer", "index", "rank", "score", "deviation"]
    return pd.DataFrame(found.customdata, columns=columns).assign(x=found.x, y=found.y)


def with_truth(frame: pd.DataFrame, cells: pd.DataFrame) -> pd.DataFrame:
    return cells.astype({"layer": int, "index": int}).merge(frame, on=["layer", "index"], suffixes=("", "_true"))


@pytest.mark.parametrize("order_by", ["index", "score"])
def test_each_cell_of_the_overview_names_its_strongest_neuron_with_rank_and_score(order_by: OrderBy) -> None:
    frame = ranking(4, 200)
    figure = overview(scores_of(frame), order_by)
    cells = with_truth(frame, facts(figure))
    size = 5
    assert len(cells) == 4 * 200 // size <= 4 * COLUMNS
    np.testing.assert_array_equal(cells["rank"], cells["rank_true"] + 1)
    np.testing.assert_allclose(cells["score"], cells["score_true"], rtol=1e-6)
    for layer, rows in frame.groupby("layer"):
        own = rows.sort_values("index" if order_by == "index" else "score", ascending=order_by == "index")
        for place in range(0, 200, size):
            best = own.iloc[place : place + size].sort_values("score").iloc[-1]
            here = cells[(cells["layer"] == layer) & (cells["x"] == place)]
            assert here["index"].tolist() == [best["index"]]
            deviation = (best["score"] - rows["score"].mean()) / rows["score"].std(ddof=0)
            assert here["deviation"].iloc[0] == pytest.approx(deviation, rel=1e-4)
            assert figure.data[0].z[int(layer), place // size] == pytest.approx(deviation, rel=1e-4)


def test_the_hover_text_says_layer_neuron_rank_of_how_many_and_what_the_number_is() -> None:
    text = trace(overview(scores_of(ranking(4, 200))), "neurons").hovertemplate
    for part in ("layer %{customdata[0]:d}", "neuron %{customdata[1]:d}", "rank %{customdata[2]:,d} of 800"):
        assert part in text
    assert "mutual information (nats): %{customdata[3]" in text
    assert "strongest of the 5 in this cell" in text
    small = trace(overview(scores_of(ranking(2, COLUMNS))), "neurons").hovertemplate
    assert "in this cell" not in small


def test_by_default_colours_show_the_place_in_the_ranking_and_the_first_has_the_last_colour_and_a_star() -> None:
    frame = ranking(4, 200)
    # As methods do that put some neurons last whatever their score: the largest score is not the first.
    frame = frame.assign(rank=(frame["rank"] - 3) % len(frame))
    scores = NeuronScores.of(frame, "mlp", "score")
    figure = overview(scores, chosen=(0, 0))
    first = frame[frame["rank"] == 0].iloc[0]
    place = int(first["index"]) // 5
    assert figure.data[0].z.max() == figure.data[0].z[int(first["layer"]), place] == pytest.approx(np.log10(800))
    assert (figure.data[0].zmin, figure.data[0].zmax) == (0.0, pytest.approx(np.log10(800)))
    star = trace(figure, "first")
    assert (list(star.x), list(star.y), star.marker.symbol) == ([5 * place], [first["layer"]], "star")
    cells = with_truth(frame, facts(figure))
    drawn = figure.data[0].z[cells["layer"], cells["x"].astype(int) // 5]
    np.testing.assert_allclose(drawn, np.log10(800 / (cells["rank_true"] + 1)), rtol=1e-6)
    best = frame.assign(cell=frame["index"] // 5).groupby(["layer", "cell"])["rank"].min()
    assert sorted(best) == sorted(cells["rank_true"])
    layer = int(first["layer"])
    below = enlarged(scores, layer, stretch_of(scores, layer, int(first["index"])))
    found = trace(below, "first")
    assert (list(found.x), list(found.y)) == ([first["index"] % 32], [first["index"] // 32])
    other = (layer + 1) % 4
    assert "first" not in [one.name for one in enlarged(scores, other, stretch_of(scores, other, 0)).data]


def test_a_click_frames_its_cell_in_the_browser_and_hides_the_frame_of_the_figure_but_not_the_star() -> None:
    figure = overview(scores_of(ranking(3, 100)), chosen=(0, 1))
    seen = {one.name: (one.selected.marker.opacity, one.unselected.marker.opacity) for one in figure.data[1:]}
    assert seen["neurons"] == (1, 0)
    assert seen["chosen"][1] == 0
    assert seen["first"][1] == 1


@pytest.mark.parametrize(("width", "wide"), [(12, 12), (768, 32), (1536, 64)])
def test_an_enlarged_layer_has_a_cell_for_each_neuron_in_reading_order(width: int, wide: int) -> None:
    frame = ranking(3, width)
    scores = scores_of(frame, "score")
    there = stretch_of(scores, 1, 5)
    figure = enlarged(scores, 1, there, chosen=5)
    cells = facts(figure)
    assert cells["index"].tolist() == list(range(width))
    assert (cells["layer"] == 1).all()
    np.testing.assert_array_equal(cells["x"], np.arange(width) % wide)
    np.testing.assert_array_equal(cells["y"], np.arange(width) // wide)
    own = frame[frame["layer"] == 1].sort_values("index")
    np.testing.assert_array_equal(cells["rank"], own["rank"] + 1)
    np.testing.assert_allclose(figure.data[0].z.ravel()[:width], own["score"], rtol=1e-6)
    frame_at = {
        (int(one.x[0]), int(one.y[0])) for one in figure.data if one.name in ("chosen", None) and len(one.x) == 1
    }
    assert frame_at == {(5, 0)}
    assert "in this cell" not in trace(figure, "neurons").hovertemplate
    assert figure.layout.dragmode == "zoom"


@pytest.mark.parametrize("order_by", ["index", "score"])
def test_a_long_layer_is_enlarged_a_stretch_at_a_time_and_every_neuron_is_in_one(order_by: OrderBy) -> None:
    scores = scores_of(ranking(2, 5000))
    order = np.arange(5000) if order_by == "index" else np.argsort(-scores.raw[1])
    for begin in (0, STRETCH, 2 * STRETCH):
        for neuron in (order[begin], order[min(begin + STRETCH, 5000) - 1]):
            np.testing.assert_array_equal(stretch_of(scores, 1, neuron, order_by), order[begin : begin + STRETCH])


@pytest.mark.parametrize("shape", [(32, 14_336), (80, 28_672), (1, 100_000)])
def test_pictures_of_large_models_stay_small(shape: tuple[int, int]) -> None:
    scores = scores_of(ranking(*shape).assign(score=np.random.default_rng(1).normal(size=shape[0] * shape[1])))
    assert len(overview(scores, chosen=(0, 7)).to_json()) < PAYLOAD
    assert len(enlarged(scores, 0, stretch_of(scores, 0, 9000), chosen=9000).to_json()) < PAYLOAD
