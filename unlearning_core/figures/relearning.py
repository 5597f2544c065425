"""The relearning race as a plotly figure. No torch, no streamlit."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from unlearning_core.evaluation.ratio import Z95
from unlearning_core.evaluation.recovery import HALF, NEARLY_ALL, gap_of, worst
from unlearning_core.figures.style import COLOURS, GREY, panels, state_colour, styled

_MARKS = ("circle", "square", "diamond", "triangle-up", "cross")
_DASHES = ("solid", "dash", "dot", "longdash", "dashdot")
_MASKS = {"kept": ", mask kept", "released": ", mask released", "none": ""}


def relearning_race(races: Mapping[str, pd.DataFrame], learning_rate: float | None = None) -> go.Figure:
    """The concept's loss over the steps of an attacker's training, a line a state, with 95 % intervals.

    Levels are drawn at half and at 90 % of the gap between a model that has forgotten and the base; they are the same
    for all states.

    Args:
        races: by state, in their order, the frame `race` of the part `relearn`.
        learning_rate: the one to draw; by default each state's worst, that at which it is half-way back first.
    """
    figure = go.Figure()
    _draw(figure, races, learning_rate, names=True)
    _levels(figure, races)
    figure.update_xaxes(title="training steps", rangemode="tozero")
    figure.update_yaxes(title="concept loss (nats/token)")
    # Below: on a phone a legend above covers the curves.
    below = {"y": -0.25, "x": 0.5, "xanchor": "center", "yanchor": "top"}
    return styled(figure, height=400).update_layout(legend=below, margin={"b": 100})


def relearning_rates(races: Mapping[str, pd.DataFrame]) -> go.Figure:
    """The same as small multiples, a panel for each learning rate; of two masks the one that is back first."""
    rates = sorted({float(rate) for race in races.values() for rate in race["learning_rate"]})
    figure = panels([f"rate {rate:g}" for rate in rates], gap=0.02, shared_yaxes=True)
    for column, rate in enumerate(rates, start=1):
        _draw(figure, races, rate, names=column == 1, place={"row": 1, "col": column})
    _levels(figure, races, {"row": 1, "col": "all"})
    figure.update_xaxes(title="steps", rangemode="tozero")
    figure.update_yaxes(title="concept loss (nats/token)", row=1, col=1)
    legend = {"y": -0.3, "yanchor": "top", "x": 0.5, "xanchor": "center"}
    return styled(figure, height=340).update_layout(legend=legend, margin={"b": 100})


def _draw(
    figure: go.Figure,
    races: Mapping[str, pd.DataFrame],
    rate: float | None,
    *,
    names: bool,
    place: Mapping[str, Any] | None = None,
) -> None:
    """A line a state into the figure, or into the panel at `place`."""
    states = [state for state in races if state != "never_knew"]
    for number, (state, race) in enumerate(races.items()):
        rows = race if rate is None else race[race["learning_rate"] == rate]
        if not rows.empty:
            figure.add_trace(_line(rows, state, states, number, names), **(place or {}))


def _line(rows: pd.DataFrame, state: str, states: Sequence[str], number: int, named: bool) -> go.Scatter:
    first = worst(rows, HALF)
    line = rows[(rows["learning_rate"] == first["learning_rate"]) & (rows["mask"] == first["mask"])].sort_values("step")
    title = f"{state.replace('_', '-')}{_MASKS[first['mask']]}"
    colour = COLOURS[state_colour(state, states)]
    margins = Z95 * line["concept_stderr"].fillna(0.0)
    return go.Scatter(
        x=line["step"], y=line["concept_nats"], name=title, legendgroup=state, showlegend=named, mode="lines+markers",
        error_y={"array": margins, "thickness": 1, "width": 2, "color": colour},
        line={"color": colour, "dash": _DASHES[number % len(_DASHES)], "width": 2},
        marker={"symbol": _MARKS[number % len(_MARKS)], "size": 6},
        customdata=list(zip(line["samples"], line["retain_nats"], strict=True)),
        hovertemplate=f"{title}, learning rate {first['learning_rate']:g}<br>step %{{x}} (%{{customdata[0]}} texts): "
        "%{y:.3f} ± %{error_y.array:.2f}<br>other text %{customdata[1]:.3f}<extra></extra>",
    )  # fmt: skip


def _levels(figure: go.Figure, races: Mapping[str, pd.DataFrame], place: Mapping[str, Any] | None = None) -> None:
    """Lines where half and where 90 % of the gap is back, and at its ends."""
    gap = gap_of(next(iter(races.values())))
    for share, dash in ((0.0, "dot"), (HALF, "dash"), (NEARLY_ALL, "dash"), (1.0, "dot")):
        text = {0.0: "never known", 1.0: "base"}.get(share, f"{100 * share:.0f} % back")
        figure.add_hline(y=gap.level(share), line={"color": GREY, "width": 1, "dash": dash}, **(place or {}))
        # Once, not in every panel; the base's name goes below its line, where it is free.
        figure.add_annotation(
            text=text, x=1, xref="paper", xanchor="right", y=gap.level(share), showarrow=False,
            yanchor="top" if share == 1.0 else "bottom", font={"size": 11, "color": GREY},
            yref="y",
        )  # fmt: skip
