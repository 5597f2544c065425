"""The figures by layer and the distributions: they show what they were given, and tell the states apart."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from unlearning_core.figures.depth import depth_curves, lens_curves, probe_curves
from unlearning_core.figures.distributions import cumulative_shares
from unlearning_core.figures.style import COLOURS, GREY

STATES = ["base", "pruned", "retrained"]
LAYERS = [0, 1, 2]


def traces(figure: go.Figure, name: str) -> list:
    return [trace for trace in figure.data if trace.name == name]


def depth_table(control: float) -> pd.DataFrame:
    return pd.DataFrame({
        "layer": [1, 2], "never_knew_nats": [2.0, 4.0], "nats": [0.5, -0.1], "control_nats": [control, control],
        "share": [0.25, 0.0],
    })  # fmt: skip


def test_depth_shows_both_models_by_layer_and_the_share_of_each_layer() -> None:
    figure = depth_curves(depth_table(0.3), "pruned")
    (twin,), (edited,) = traces(figure, "never-knew model"), traces(figure, "pruned model")
    assert (twin.x.tolist(), twin.y.tolist()) == ([1, 2], [2.0, 4.0])
    assert (edited.y.tolist(), edited.customdata.tolist()) == ([0.5, -0.1], [0.25, 0.0])
    assert traces(figure, "never-knew model, on words that it knows")[0].y.tolist() == [0.3, 0.3]
    assert "%{customdata:.2f}" in edited.hovertemplate
    assert "customdata" not in twin.hovertemplate
    assert figure.layout.yaxis.rangemode == "tozero"


def test_without_a_control_there_is_no_line_for_it() -> None:
    assert len(depth_curves(depth_table(np.nan), "pruned").data) == 2


def test_the_lens_shows_the_first_place_on_top_and_every_state_in_its_look() -> None:
    tables = {
        state: pd.DataFrame({"layer": LAYERS, "nats": [9.0, 5.0, 2.0], "rank": [900, 90, 1 + n], "told": [0, 0.5, 1]})
        for n, state in enumerate((*STATES, "never_knew"))
    }  # fmt: skip
    figure = lens_curves(tables, STATES)
    for number, state in enumerate(tables):
        rank, told = traces(figure, state)
        assert rank.y.tolist() == [900, 90, 1 + number]
        assert told.y.tolist() == [0, 50, 100]
        assert (rank.showlegend, told.showlegend) == (True, False)
    assert traces(figure, "never_knew")[0].line.color == COLOURS["gray"]
    looks = [(traces(figure, state)[0].line.dash, traces(figure, state)[0].marker.symbol) for state in tables]
    assert len({dash for dash, _ in looks}) == len({symbol for _, symbol in looks}) == 4
    assert (figure.layout.yaxis.type, figure.layout.yaxis.autorange) == ("log", "reversed")
    assert figure.layout.yaxis2.range == (0, 100)


def test_the_probe_is_shown_beside_labels_without_meaning() -> None:
    tables = {
        "base": pd.DataFrame({"layer": LAYERS, "accuracy": [0.2, 0.5, 0.9], "control": [0.1, 0.1, 0.2]}),
        "pruned": pd.DataFrame({"layer": LAYERS, "accuracy": [0.2, 0.4, 0.8], "control": [0.1, 0.3, 0.2]}),
    }
    figure = probe_curves(tables, STATES)
    assert traces(figure, "base")[0].y.tolist() == pytest.approx([20, 50, 90])
    (control,) = traces(figure, "labels dealt out at random")
    assert control.y.tolist() == pytest.approx([10, 20, 20])
    assert control.line.color == GREY
    assert not probe_curves({}, STATES).data


def test_the_largest_gap_between_two_curves_is_the_statistic_of_the_test() -> None:
    from scipy.stats import ks_2samp

    random = np.random.default_rng(0)
    values = {"base": pd.Series(random.normal(0, 1, 30)), "never_knew": pd.Series(random.normal(1, 1, 25))}
    figure = cumulative_shares(values, STATES, "truth ratio")
    grid = np.sort(np.concatenate(list(values.values())))
    heights = []
    for state in values:
        (curve,) = traces(figure, state)
        assert curve.line.shape == "hv"
        assert (curve.y[0], curve.y[-1]) == (0, 100)
        heights.append(
            np.array([curve.y[np.flatnonzero(curve.x <= x)[-1]] if (curve.x <= x).any() else 0 for x in grid])
        )
    gap = np.abs(heights[0] - heights[1]).max() / 100
    assert gap == pytest.approx(ks_2samp(*values.values()).statistic)


def test_distributions_may_be_logarithmic_or_empty() -> None:
    figure = cumulative_shares({"base": pd.Series([], dtype=float)}, STATES, "truth ratio", logarithmic=True)
    assert figure.layout.xaxis.type == "log"
    assert len(figure.data[0].x) <= 1
