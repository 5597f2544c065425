"""How far two rankings agree, as plotly figures. No torch, no streamlit."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from unlearning_core.figures.style import BLUE, GREY, RED, styled

_CELLS = 40
"""Cells a side into which ranks are gathered: a point a neuron would be slow to draw and hide what lies below it."""

_NAME = 30
"""Signs of a ranking's name that are written beside its row."""

_OPAQUE = [[0, BLUE], [0.5, "#C9CDD3"], [1, RED]]
"""Not clear in the middle: plotly chooses the colour of a cell's number by the cell's own."""

_HEIGHT, _MARGIN = 360, {"l": 50, "r": 10, "t": 15, "b": 110}


def overlap_curve(curve: pd.DataFrame, first: int) -> go.Figure:
    """The share that the tops of two rankings have in common over the length of the top, and what chance gives.

    Args:
        curve: columns first, both, share, chance (`Agreement.curve`).
        first: the length that the person looks at; marked by a line.
    """
    figure = go.Figure()
    figure.add_scatter(
        x=curve["first"], y=100 * curve["share"], customdata=curve["both"], name="shared", mode="lines",
        line={"color": BLUE, "width": 3},
        hovertemplate="of the first %{x:,}: %{customdata:,} in both (%{y:.3g} %)<extra></extra>",
    )  # fmt: skip
    figure.add_scatter(
        x=curve["first"], y=100 * curve["chance"], name="by chance", mode="lines",
        line={"color": GREY, "width": 2, "dash": "dash"},
        hovertemplate="of the first %{x:,}: %{y:.3g} % by chance<extra></extra>",
    )  # fmt: skip
    figure.add_vline(first, line={"color": GREY, "width": 1})
    most = int(curve["first"].max())
    ticks = [10**power for power in range(len(str(most))) if 10**power <= most]
    figure.update_xaxes(title="first neurons", type="log", tickvals=ticks, ticktext=[f"{tick:,}" for tick in ticks])
    figure.update_yaxes(title="in both, %", range=[0, 103])
    figure = styled(figure, height=_HEIGHT)
    return figure.update_layout(legend={"y": -0.28, "x": 0.5, "xanchor": "center"}, margin=_MARGIN)


def agreement_grid(names: Sequence[str], values: np.ndarray, *, percent: bool) -> go.Figure:
    """Rankings against one another, each pair a cell with its number; rows carry the names, columns their numbers.

    Args:
        names: of the rankings, in the order of rows and columns.
        values: [rankings, rankings]; correlations from -1 to 1, or shares from 0 to 1.
        percent: whether they are shares.
    """
    number = np.arange(1, len(names) + 1)
    text = [[f"{100 * value:.0f} %" if percent else f"{value:z.2f}" for value in row] for row in values]
    hover = [
        [f"{one}<br>{other}<br><b>{text[i][j]}</b>" for j, other in enumerate(names)] for i, one in enumerate(names)
    ]
    cells = go.Heatmap(
        z=values.astype(np.float32), x=number, y=number, zmin=-1, zmax=1, colorscale=_OPAQUE, showscale=False,
        hovertext=hover, hovertemplate="%{hovertext}<extra></extra>", xgap=2, ygap=2, name="agreement",
        text=text, texttemplate="%{text}", textfont={"size": 12},
    )  # fmt: skip
    figure = go.Figure(cells)
    rows = [
        f"{name if len(name) <= _NAME else name[: _NAME - 1] + '…'}  {place}" for place, name in enumerate(names, 1)
    ]
    bare = {"showgrid": False, "zeroline": False}
    figure.update_xaxes(tickvals=number, ticktext=[str(place) for place in number], side="top", **bare)
    figure.update_yaxes(
        tickvals=number, ticktext=rows, autorange="reversed", automargin=True, tickfont={"size": 11}, **bare
    )
    return styled(figure, height=50 + 29 * len(names)).update_layout(margin={"l": 10, "r": 5, "t": 30, "b": 10})


def rank_density(neurons: pd.DataFrame, one: str, other: str) -> go.Figure:
    """Where the neurons of one ranking stand in another: how many neurons each pair of rank ranges holds.

    Args:
        neurons: columns rank_one and rank_other (`Agreement.neurons`).
        one: what the axis across is called.
        other: what the axis up is called.
    """
    cells = min(_CELLS, len(neurons))
    edges = np.linspace(0, len(neurons), cells + 1)
    counts, _, _ = np.histogram2d(neurons["rank_one"], neurons["rank_other"], bins=[edges, edges])
    by_chance = len(neurons) / cells**2
    middles = 1 + (edges[:-1] + edges[1:]) / 2
    grid = go.Heatmap(
        z=(counts.T / by_chance).astype(np.float32), x=middles, y=middles, customdata=counts.T.astype(np.uint32),
        zmin=0, zmax=max(2.0, float(np.quantile(counts, 0.995)) / by_chance), colorscale="Cividis",
        colorbar={
            "title": {"text": "times chance", "side": "bottom"}, "orientation": "h", "y": -0.26,
            "yanchor": "top", "thickness": 10,
        },
        hovertemplate="rank about %{x:,.0f} and %{y:,.0f}: %{customdata:,} neurons, "
        "%{z:.2g} times what chance gives<extra></extra>",
    )  # fmt: skip
    figure = go.Figure(grid)
    look = {"showgrid": False, "zeroline": False, "tickformat": ",d", "nticks": 4, "tickangle": 0}
    figure.update_xaxes(title=f"rank, {one}", **look).update_yaxes(title=f"rank, {other}", **look)
    return styled(figure, height=_HEIGHT).update_layout(margin=_MARGIN)
