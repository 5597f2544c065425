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
from unlearning_core.figures.style import COLOURS, GREY, state_colour
from unlearning_core.figures.training_curves import gate_history, learning_curve, loss_curve, quiz_curve

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
@pytest.mark.parametrize("ratio", [0.0, 0.01, 0.6])
@pytest.mark.parametrize("power", [1, 3])
def test_a_heatmap_of_any_model_fits_the_payload(shape: tuple[int, int], ratio: float, power: int) -> None:
    assert len(heatmap(_scores(shape, power), cut=_cut(shape, ratio)).to_json()) < PAYLOAD


def test_a_heatmap_that_fits_shows_every_neuron_in_its_place_as_deviations_from_its_layers_mean() -> None:
    scores = _scores((30, 1536)) + 10.0 ** np.arange(-3, 3, 0.2)[:, None]
    cells = heatmap(_ranking(scores), "mlp").data[0]
    expected = (scores - scores.mean(1, keepdims=True)) / scores.std(1, keepdims=True)
    np.testing.assert_allclose(cells.z, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(cells.x, np.arange(1536))
    assert cells.zmin == -cells.zmax


def test_crosses_stand_on_the_cells_of_the_cut_neurons_and_are_seen_on_any_ground() -> None:
    cut = np.zeros((5, 40), bool)
    neurons = [(0, 3), (0, 4), (4, 39)]
    for layer, index in neurons:
        cut[layer, index] = True
    figure = heatmap(_scores((5, 40)), cut=cut)
    light, dark = (trace for trace in figure.data if trace.type == "scattergl")
    for trace in (light, dark):
        assert set(zip(trace.y.tolist(), trace.x.tolist(), strict=True)) == set(neurons)
    assert dark.name == "cut"
    assert light.marker.line.width > dark.marker.line.width


@pytest.mark.parametrize(("layers", "step"), [(6, 1), (12, 1), (24, 1), (80, 2)])
def test_every_layer_is_named_where_there_is_room(layers: int, step: int) -> None:
    assert heatmap(_scores((layers, 40))).layout.yaxis.dtick == step


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


def test_loss_curves_hold_every_step_a_smoothed_line_and_the_validation_points() -> None:
    losses = [2.9, 2.2, 2.7, 2.0, 2.5]
    events = [
        {"kind": "status", "state": "running", "step": 0},
        *({"kind": "train", "step": step, "loss": loss} for step, loss in enumerate(losses, start=1)),
        {"kind": "eval", "step": 5, "loss": 2.4},
        {"kind": "sample", "step": 5, "text": "a"},
    ]
    figure = loss_curve(events)
    assert list(_trace(figure, "each step").x) == [1, 2, 3, 4, 5]
    assert list(_trace(figure, "each step").y) == losses
    assert _trace(figure, "each step").mode == "markers"
    # Adam's moment, by hand: what was collected, divided by the weight that it has so far.
    collected, expected = 0.0, []
    for step, loss in enumerate(losses, start=1):
        collected = 0.9 * collected + 0.1 * loss
        expected.append(collected / (1 - 0.9**step))
    assert list(_trace(figure, "training, smoothed").y) == pytest.approx(expected)
    assert list(_trace(figure, "validation").y) == [2.4]
    assert not loss_curve([]).data


def test_a_long_loss_curve_is_thinned_and_keeps_its_last_point() -> None:
    figure = loss_curve({"kind": "train", "step": step, "loss": 1.0} for step in range(1, 50_001))
    for drawn in figure.data:
        assert len(drawn.x) <= 1000
        assert drawn.x[-1] == 50_000


def test_what_is_known_by_step_has_its_95_percent_intervals_as_a_band_and_no_whiskers() -> None:
    events = [
        {"kind": "measure", "step": 0, "total_steps": 40, "concept_nll": 5.0, "concept_nll_stderr": 0.5},
        {"kind": "measure", "step": 40, "total_steps": 40, "concept_nll": 4.0, "concept_nll_stderr": None},
    ]
    figure = learning_curve(events, {"concept": 3.0})
    line, band = _trace(figure, "concept words"), _trace(figure, "concept words, 95 % interval")
    assert list(line.y) == [5.0, 4.0]
    assert line.error_y.array is None
    assert list(band.x) == [0, 40, 40, 0]
    assert list(band.y) == pytest.approx([5 + 0.5 * 1.959964, 4.0, 4.0, 5 - 0.5 * 1.959964], rel=1e-4)
    assert band.fillcolor == "rgba(230,159,0,0.3)"
    assert [shape.y0 for shape in figure.layout.shapes] == [3.0]


def test_the_quiz_by_step_counts_the_right_answers_about_each_thing() -> None:
    def asked(step: int, *marks: tuple[str, bool]) -> dict[str, object]:
        answers = [{"about": about, "right": right, "prompt": "", "answer": ""} for about, right in marks]
        return {"kind": "quiz", "step": step, "total_steps": 20, "answers": answers}

    figure = quiz_curve(
        [
            asked(20, ("concept", False), ("concept", False), ("neighbour", True)),
            asked(0, ("concept", True), ("concept", False), ("neighbour", True)),
            {"kind": "train", "step": 1, "loss": 1.0},
        ],
        {"concept": "seats", "neighbour": "neighbours"},
    )
    assert {line.name: (list(line.x), list(line.y)) for line in figure.data} == {
        "about seats": ([0, 20], [1, 0]),
        "about neighbours": ([0, 20], [1, 1]),
    }
    low, high = figure.layout.yaxis.range
    assert low < 0
    assert high > 2
    assert not quiz_curve([], {"concept": "seats", "neighbour": "neighbours"}).data


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
    concept, retain = (figure.data[0] for figure in metric_bars(metrics).values())
    assert list(concept.y) == ["Base", "Pruned"]
    assert list(concept.x) == [2.0, 4.0]
    assert list(concept.error_x.array) == pytest.approx([0.196, 0.392])
    assert concept.error_x.color == GREY  # stands out from light and dark ground: tests/unit/test_sweep_figure.py
    assert list(retain.error_x.array) == pytest.approx([0.0, 0.0196])
    assert metric_bars({"base": {"forget_delta": 1.0}}) == {}


def test_states_have_the_colours_of_the_palette_in_their_order_and_none_twice() -> None:
    states = ["base", "pruned", "retrained", "distilled"]
    assert [state_colour(state, states) for state in states] == ["blue", "orange", "green", "violet"]
    assert state_colour("never_knew", states) == "gray"
    (figure,) = metric_bars({state: {"concept_nll": 1.0} for state in states}).values()
    bars = figure.data[0]
    assert list(bars.marker.color) == [COLOURS[name] for name in ("blue", "orange", "green", "violet")]


def test_importing_the_figures_loads_neither_torch_nor_streamlit() -> None:
    modules = "unlearning_core.figures.heatmap, unlearning_core.figures.metric_bars, unlearning_core.figures.sweep"
    check = f"import sys, {modules}; sys.exit(bool({{'torch', 'streamlit'}} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
