"""The headline numbers of two runs beside each other, state by state. No torch, no streamlit."""

from collections.abc import Sequence

import plotly.graph_objects as go

from unlearning_core.evaluation.metric import Metric, Values
from unlearning_core.evaluation.registry import estimate_of
from unlearning_core.figures.style import BLUE, GREY, ORANGE, panels, styled

_LOOKS = ((BLUE, ""), (ORANGE, "/"))
"""Colour and pattern of the first and the second run: told apart without colours too."""


def two_runs(runs: Sequence[Values], names: Sequence[str], metrics: Sequence[Metric]) -> go.Figure:
    """A panel a metric, in it a pair of bars for each state that either run has, with 95 % intervals.

    Args:
        runs: two `metrics.json`, the first run's and the second's.
        names: what the two are called in the legend.
    """
    figure = panels([metric.full_title for metric in metrics], gap=min(0.06, 0.5 / max(len(metrics), 1)))
    states = list(dict.fromkeys(state for values in runs for state in values))
    for column, metric in enumerate(metrics, start=1):
        for values, name, (colour, pattern) in zip(runs, names, _LOOKS, strict=True):
            known = [(state, found) for state in states if (found := estimate_of(values.get(state, {}), metric.name))]
            ends = [found.ends or (found.value, found.value) for _, found in known]
            bars = go.Bar(
                x=[state for state, _ in known], y=[found.value for _, found in known], name=name,
                legendgroup=name, showlegend=column == 1,
                marker={"color": colour, "pattern": {"shape": pattern, "bgcolor": colour, "fgcolor": "white"}},
                error_y={
                    "array": [high - found.value for (_, found), (_, high) in zip(known, ends, strict=True)],
                    "arrayminus": [found.value - low for (_, found), (low, _) in zip(known, ends, strict=True)],
                    "color": GREY, "thickness": 1.4,
                },
                customdata=ends,
                hovertemplate="%{x}: %{y:.3g} (%{customdata[0]:.3g} to %{customdata[1]:.3g})",
            )  # fmt: skip
            figure.add_trace(bars, row=1, col=column)
    figure.update_xaxes(categoryorder="array", categoryarray=states)
    figure.update_yaxes(rangemode="tozero")
    # Below the panels, whose titles stand above them.
    legend = {"orientation": "h", "x": 0, "xanchor": "left", "y": -0.15, "yanchor": "top"}
    return styled(figure, height=320).update_layout(barmode="group", legend=legend, margin_b=70)
