"""The curves of an ablation sweep as a plotly figure. No torch, no streamlit."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from unlearning_core.evaluation.curves import BUDGET, Curve, curve
from unlearning_core.evaluation.ratio import Z95
from unlearning_core.evaluation.sweep import ORDERS, Order
from unlearning_core.figures.style import BLUE, GREEN, GREY, ORANGE, PURPLE, RED, panels, styled

_ORDERS: dict[Order, tuple[str, tuple[str, str, str]]] = {
    "top": ("from the top", (ORANGE, "solid", "circle")),
    "bottom": ("from the bottom", (BLUE, "dash", "diamond")),
    "random": ("at random", (GREY, "dot", "square")),
}
"""Name, colour, dash and marker of each order: none is told by its colour alone."""

_NEIGHBOURS = ("neighbours, from the top", (ORANGE, "dashdot", "x"))
"""Name and look of what the cut from the top costs the neighbours: a part of the loss elsewhere."""

_OTHERS = ((RED, "longdash", "triangle-up"), (PURPLE, "dashdot", "cross"), (GREEN, "longdashdot", "star"))
"""Colour, dash and marker of the curves of other rankings."""

MOST_OTHERS = len(_OTHERS)

_PANELS = (("forget", "Concept loss"), ("retain", "Loss on other text"))
_BAND = "rgba(127,127,127,0.25)"
_LEAST, _MOST = 0.0005, 0.25


def sweep_curves(
    points: pd.DataFrame,
    *,
    ratio: float,
    suggested: float | None = None,
    others: Mapping[str, pd.DataFrame] | None = None,
) -> go.Figure:
    """Change of the loss on the concept and elsewhere over the share cut, in two panels of one axis.

    Where the sentences have neighbours, the second panel has their part too.

    Error bars are 95 % intervals (1.96 standard errors each way); the band holds all random draws.

    Args:
        points: what `sweep` returned, or what was measured so far.
        ratio: where the person stands now; marked by a line in both panels.
        suggested: a ratio to start from; marked likewise.
        others: by name, sweeps of other rankings, whose curves from the top are drawn too; at most `MOST_OTHERS`.
    """
    others = others or {}
    figure = panels([title for _, title in _PANELS], shared_xaxes=True)
    orders = [order for order in reversed(ORDERS) if (points["order"] == order).any()]  # the top over the others
    for column, (name, _) in enumerate(_PANELS, start=1):
        for order in orders:
            found = curve(points, order)
            if order == "random" and len(found.ratios) > 1:
                figure.add_trace(_band(found, name), row=1, col=column)
            line = _line(found, name, *_ORDERS[order], thick=order == "top", legend=column == 1)
            figure.add_trace(line, row=1, col=column)
        for (title, rows), look in zip(others.items(), _OTHERS, strict=False):
            found = curve(rows, "top")
            figure.add_trace(_line(found, name, title, look, legend=column == 1), row=1, col=column)
    top = curve(points, "top")
    if top.has_neighbours:
        figure.add_trace(_line(top, "neighbour", *_NEIGHBOURS, legend=True), row=1, col=2)
    figure.add_hline(BUDGET, line={"color": GREY, "width": 1, "dash": "dash"}, row=1, col=2)
    for place, label, colour, dash in ((suggested, "suggested", GREEN, "dash"), (ratio, "your cut", GREY, "solid")):
        if place:
            line = {"color": colour, "width": 2, "dash": dash}
            figure.add_vline(100 * place, line=line, row=1, col="all")
            # A trace of its own, so that the legend says what the line is.
            figure.add_scatter(x=[None], y=[None], mode="lines", line=line, name=label, row=1, col=1)
    low, high = min([_LEAST, *([ratio] if ratio else [])]), max(_MOST, ratio)
    ticks = [tick for tick in (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100) if 100 * low <= tick <= 100 * high]
    figure.update_xaxes(
        title="neurons cut, %", type="log", range=np.log10([100 * low, 100 * high]).tolist(), tickvals=ticks,
        ticktext=[f"{tick:g}" for tick in ticks],
    )  # fmt: skip
    figure.update_yaxes(zeroline=True, zerolinecolor=GREY, zerolinewidth=1)
    figure.update_yaxes(title="change, nats/token", row=1, col=1)
    figure.update_yaxes(range=_retain_range(pd.concat([points, *others.values()])), row=1, col=2)
    below = 90 + 25 * len(others)  # the legend, which needs more lines on a narrow page
    figure = styled(figure, height=240 + below)
    legend = {"y": -0.27, "yanchor": "top", "x": 0.5, "xanchor": "center"}
    return figure.update_layout(legend=legend, margin={"b": below})


def _line(
    found: Curve, name: str, title: str, look: tuple[str, str, str], *, legend: bool, thick: bool = False
) -> go.Scatter:
    colour, dash, symbol = look
    above = found.ratios > 0
    values, errors = getattr(found, name)[above], Z95 * getattr(found, f"{name}_stderr")[above]
    bars: dict[str, Any] = {"error_y": {"array": errors, "color": colour, "thickness": 1}} if thick else {}
    return go.Scatter(
        x=100 * found.ratios[above], y=values, customdata=np.column_stack([found.neurons[above], errors]),
        name=title, legendgroup=title, showlegend=legend, mode="lines+markers",
        line={"color": colour, "dash": dash, "width": 3 if thick else 1.5},
        marker={"symbol": symbol, "size": 7 if thick else 5},
        hovertemplate=f"%{{x:.3g}} % {title}, about %{{customdata[0]:,.0f}} neurons: %{{y:+.3f}} "
        "± %{customdata[1]:.3f}<extra></extra>", **bars,
    )  # fmt: skip


def _band(found: Curve, name: str) -> go.Scatter:
    above = found.ratios > 0
    places = 100 * found.ratios[above]
    low, high = getattr(found, f"{name}_low")[above], getattr(found, f"{name}_high")[above]
    return go.Scatter(
        x=np.concatenate([places, places[::-1]]), y=np.concatenate([low, high[::-1]]), fill="toself",
        fillcolor=_BAND, line={"width": 0}, mode="lines", hoverinfo="skip", showlegend=False,
        legendgroup=_ORDERS["random"][0], name="all random draws",
    )  # fmt: skip


def _retain_range(points: pd.DataFrame) -> list[float]:
    """Ten times the budget at most: where a curve leaves the panel the model is broken, and how much says nothing."""
    seen = points[["retain", "neighbour"]].to_numpy(float)
    seen = seen[np.isfinite(seen)]
    return [
        min(-0.02, 1.1 * float(seen.min(initial=0.0))),
        min(10 * BUDGET, max(2 * BUDGET, 1.1 * float(seen.max(initial=0.0)))),
    ]
