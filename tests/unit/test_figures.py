"""Figures: what they show is what they were given, and they stay small."""

import subprocess
import sys
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from unlearning_core.figures.distributions import layer_summary, score_histogram
from unlearning_core.figures.heatmap import PAYLOAD, heatmap
from unlearning_core.figures.metric_bars import metric_bars
from unlearning_core.figures.score_grid import OrderBy
from unlearning_core.figures.style import COLOURS, GREY, state_colour
from unlearning_core.figures.training_curves import gate_history, loss_curve

SHAPES = [(30, 1536), (32, 14_336), (80, 28_672), (33, 576), (6, 64), (1, 100_000)]


def _scores(shape: tuple[int, int], power: int = 3) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape) ** power


def _cut(shape: tuple[int, int], ratio: float) -> np.ndarray:
    return np.random.default_rng(1).random(shape) < ratio


def _trace(figure: go.Figure, name: str) -> Any:
    return next(trace for trace in figure.data if trace.name == name)


def _ranking(scores: np.ndarray) -> pd.DataFrame:
    layer, index = (part.ravel() for part in np.indices(scores.shape))
    return pd.DataFrame({"site": "mlp", "layer": layer, "index": index, "score": scores.ravel()})


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("order_by", ["index", "score"])
@pytest.mark.parametrize("selectable", [False, True])
@pytest.mark.parametrize("ratio", [0.0, 0.01, 0.6])
@pytest.mark.parametrize("power", [1, 3])
def test_a_heatmap_of_any_model_fits_the_payload(
    shape: tuple[int, int], order_by: OrderBy, selectable: bool, ratio: float, power: int
) -> None:
    figure = heatmap(_scores(shape, power), order_by=order_by, selectable=selectable, cut=_cut(shape, ratio))
    assert len(figure.to_json()) < PAYLOAD


def test_a_heatmap_that_fits_shows_every_neuron_in_its_place() -> None:
    scores = _scores((30, 1536))
    cells = heatmap(_ranking(scores), "mlp", standardised=False).data[0]
    np.testing.assert_allclose(cells.z, scores, rtol=1e-6)
    np.testing.assert_array_equal(cells.x, np.arange(1536))


def test_standardised_colours_are_symmetric_about_the_layers_mean() -> None:
    scores = _scores((4, 100)) + np.array([[0], [1000], [0], [0]])
    cells = heatmap(scores).data[0]
    assert cells.zmin == -cells.zmax
    np.testing.assert_allclose(np.mean(cells.z, axis=1), 0, atol=1e-5)


@pytest.mark.parametrize("order_by", ["index", "score"])
def test_crosses_stand_on_the_cells_of_the_cut_neurons(order_by: OrderBy) -> None:
    scores = _scores((5, 40))
    cut = np.zeros((5, 40), bool)
    neurons = [(0, 3), (0, 4), (4, 39)]
    for layer, index in neurons:
        cut[layer, index] = True
    figure = heatmap(scores, order_by=order_by, cut=cut)
    places = {
        (layer, index if order_by == "index" else int((scores[layer] > scores[layer, index]).sum()))
        for layer, index in neurons
    }
    crosses = _trace(figure, "cut")
    assert set(zip(crosses.y.tolist(), crosses.x.tolist(), strict=True)) == places


def test_a_click_names_the_layer_and_the_strongest_neuron_of_the_cell() -> None:
    scores = _scores((32, 4000))
    markers = _trace(heatmap(scores, selectable=True, standardised=False), "neurons")
    cells = heatmap(scores, selectable=True, standardised=False).data[0]
    layers, neurons = markers.customdata[:, :2].astype(int).T
    np.testing.assert_allclose(cells.z.ravel(), scores[layers, neurons], rtol=1e-6)
    size = int(cells.x[1])
    np.testing.assert_array_equal(markers.customdata[:, 2], cells.z.ravel())
    assert (markers.customdata[:, 1] // size * size == markers.x).all()


def test_many_cuts_become_a_veil_with_the_share_of_each_cell() -> None:
    shape = (32, 14_336)
    cut = np.zeros(shape, bool)
    cut[:20] = True
    veil = _trace(heatmap(_scores(shape), cut=cut), "cut")
    assert (veil.z[:20, :-1] == 100).all()
    assert (veil.z[20:] == 0).all()


def test_the_layer_summary_counts_the_cut_neurons() -> None:
    cut = _cut((7, 90), 0.2)
    bars = layer_summary(cut).data[0]
    assert bars.y.tolist() == [int(row.sum()) for row in cut]


def test_the_histogram_counts_every_neuron_once() -> None:
    scores = _scores((4, 250))
    figure = score_histogram(_ranking(scores).sample(frac=1, random_state=0), "mlp")
    assert figure.data[0].y.sum() == 1000
    (bars,) = figure.data
    assert np.average(bars.x, weights=bars.y) == pytest.approx(scores.mean(), abs=bars.width[0])


def test_loss_curves_hold_training_and_validation_points() -> None:
    events = [
        {"kind": "status", "state": "running", "step": 0},
        *({"kind": "train", "step": step, "loss": 3 - step / 10} for step in range(1, 6)),
        {"kind": "eval", "step": 5, "loss": 2.4},
        {"kind": "sample", "step": 5, "text": "a"},
    ]
    figure = loss_curve(events)
    assert list(_trace(figure, "training").x) == [1, 2, 3, 4, 5]
    assert list(_trace(figure, "validation").y) == [2.4]
    assert not loss_curve([]).data


def test_a_long_loss_curve_is_thinned_and_keeps_its_last_point() -> None:
    figure = loss_curve({"kind": "train", "step": step, "loss": 1.0} for step in range(1, 50_001))
    assert len(figure.data[0].x) <= 1000
    assert figure.data[0].x[-1] == 50_000


def test_the_course_of_gates_has_a_line_for_each_number_from_step_1() -> None:
    history = [{"step": n, "forget": 0.1 * n, "divergence": 0.01 * n, "closed": 3 * n} for n in range(4)]
    lines = {trace.name: trace for trace in gate_history(history).data}
    names = {"forget": "concept loss, rise", "divergence": "divergence on other text", "closed": "closed"}
    for key, name in names.items():
        assert list(lines[name].x) == [1, 2, 3, 4]
        assert list(lines[name].y) == [line[key] for line in history]
    assert lines["closed"].xaxis != lines["divergence on other text"].xaxis


def test_metric_bars_show_each_stage_with_a_95_percent_interval() -> None:
    metrics = {
        "base": {"concept_nll": 2.0, "concept_nll_stderr": 0.1, "retain_nll": 3.0, "retain_nll_stderr": None},
        "pruned": {"concept_nll": 4.0, "concept_nll_stderr": 0.2, "retain_nll": 3.1, "retain_nll_stderr": 0.01},
    }
    concept, retain = metric_bars(metrics).data
    assert list(concept.x) == ["Base", "Pruned"]
    assert list(concept.y) == [2.0, 4.0]
    assert list(concept.error_y.array) == pytest.approx([0.196, 0.392])
    assert concept.error_y.color == GREY  # stands out from light and dark ground: tests/unit/test_sweep_figure.py
    assert list(retain.error_y.array) == pytest.approx([0.0, 0.0196])
    assert len(metric_bars({"base": {"forget_delta": 1.0}}).data) == 0


def test_states_have_the_colours_of_the_palette_in_their_order_and_none_twice() -> None:
    states = ["base", "pruned", "retrained", "distilled"]
    assert [state_colour(state, states) for state in states] == ["blue", "orange", "green", "violet"]
    assert state_colour("never_knew", states) == "gray"
    bars = metric_bars({state: {"concept_nll": 1.0} for state in states}).data[0]
    assert list(bars.marker.color) == [COLOURS[name] for name in ("blue", "orange", "green", "violet")]


def test_importing_the_figures_loads_neither_torch_nor_streamlit() -> None:
    modules = "unlearning_core.figures.heatmap, unlearning_core.figures.metric_bars, unlearning_core.figures.sweep"
    check = f"import sys, {modules}; sys.exit(bool({{'torch', 'streamlit'}} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
