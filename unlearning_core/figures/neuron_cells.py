"""Neurons as cells wide enough to be hit: all layers gathered into a few columns, and a stretch of one layer enlarged.

A click on a heatmap tells Streamlit nothing; a click on a marker does. So unseen markers lie on the middles of the
cells, and as those form a lattice, the marker nearest to the pointer is that of the cell under it. No torch, no
streamlit.
"""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from unlearning_core.figures.heatmap import expert_names, limits, small
from unlearning_core.figures.score_grid import OrderBy, bin_scores, score_matrix, standardise
from unlearning_core.figures.style import DIVERGING, crosses, layer_axis, styled

COLUMNS = 48
"""Cells of a layer in the overview: each is wide enough to be hit in half a page."""

STRETCH = 2_048
"""Neurons that are enlarged at once."""

_NARROW, _WIDE = 32, 64
"""Neurons in a row of the enlarged stretch: so many where it is short, and where it is long."""

_MARGINS = {"l": 46, "r": 8, "t": 8, "b": 42}


@dataclass(frozen=True, eq=False)
class NeuronScores:
    """The scores of all neurons of a site, [layers, width], NaN where there is no neuron.

    Attributes:
        raw: as the method gives them.
        drawn: what the colours show: `raw`, or its distance from its layer's mean in standard deviations.
        deviations: that distance.
        ranks: 1 is the first.
        names: what a place is called in a mixture of experts, [width]; None elsewhere.
        quantity: what the method calls its score, with its unit.
        ranked: how many neurons are ranked.
        standardised: whether `drawn` is the distance.
    """

    raw: np.ndarray
    drawn: np.ndarray
    deviations: np.ndarray
    ranks: np.ndarray
    names: np.ndarray | None
    quantity: str
    ranked: int
    standardised: bool

    @property
    def limit(self) -> float:
        """Where the scale of colours ends: what is further out has the last colour."""
        return limits(self.drawn, standardised=self.standardised)[1]

    @classmethod
    def of(cls, ranking: pd.DataFrame, site: str, quantity: str, *, standardised: bool = True) -> "NeuronScores":
        """From a ranking; raises ValueError where it holds no neuron of `site`."""
        raw, ranks = score_matrix(ranking, site), score_matrix(ranking, site, "rank") + 1
        deviations, names = standardise(raw), expert_names(ranking, site, raw.shape)
        drawn = deviations if standardised else raw
        return cls(raw, drawn, deviations, ranks, names, quantity, len(ranking), standardised)


def overview(scores: NeuronScores, order_by: OrderBy = "index", chosen: tuple[int, int] | None = None) -> go.Figure:
    """All layers (up) in at most `COLUMNS` cells each; a cell shows its strongest neuron, and a click means that one.

    Args:
        scores: of all neurons.
        order_by: neighbours by index, or by score within the layer, highest first.
        chosen: (layer, neuron) whose cell is framed.
    """
    bins = bin_scores(scores.drawn, COLUMNS * len(scores.drawn), order_by)
    layers = len(bins.values)
    lines, columns = np.nonzero(bins.neurons >= 0)
    places = np.arange(bins.values.shape[1]) * bins.size
    figure = _drawn(scores, bins.values, places, np.arange(layers))
    figure.add_trace(_clickable(scores, places[columns], lines, lines, bins.neurons[lines, columns], bins.size))
    if chosen is not None:
        _frame(figure, int(bins.cells[chosen]) * bins.size, chosen[0], 11)
    height = max(90, min(220, 22 * layers))
    title = "place within the layer, strongest first" if order_by == "score" else "neuron"
    figure.update_xaxes(title=title, range=[-bins.size / 2, places[-1] + bins.size / 2])
    figure.update_yaxes(title="layer", range=[-0.5, layers - 0.5], **layer_axis(layers, height))
    return _laid_out(figure, height + 50)


def stretch_of(scores: NeuronScores, layer: int, neuron: int, order_by: OrderBy = "index") -> np.ndarray:
    """The neurons of a layer that are enlarged together with `neuron`, itself too; int [at most STRETCH], in order.

    Whole stretches follow one another from the first neuron of the layer, so that each has one.
    """
    there = np.flatnonzero(np.isfinite(scores.raw[layer]))
    if order_by == "score":
        there = there[np.argsort(-scores.raw[layer, there], kind="stable")]
    begin = int(np.flatnonzero(there == neuron)[0]) // STRETCH * STRETCH
    return there[begin : begin + STRETCH]


def enlarged(
    scores: NeuronScores, layer: int, neurons: np.ndarray, chosen: int | None = None, first: int = 0
) -> go.Figure:
    """Some neurons of a layer, each a cell of its own, in rows as one reads; a click means that neuron.

    Args:
        scores: of all neurons.
        layer: the layer.
        neurons: int [n], in the order in which they are laid out.
        chosen: the one that is framed.
        first: what the first cell is called: its neuron's number, or its place in the layer.
    """
    wide = _NARROW if len(neurons) <= _NARROW**2 else _WIDE
    lines, columns = np.divmod(np.arange(len(neurons)), wide)
    rows = int(lines[-1]) + 1
    values = np.full((rows, wide), np.nan)
    values[lines, columns] = scores.drawn[layer, neurons]
    figure = _drawn(scores, values, np.arange(wide), np.arange(rows))
    figure.add_trace(_clickable(scores, columns, lines, np.full(len(neurons), layer), neurons, 1))
    if chosen is not None and len(here := np.flatnonzero(neurons == chosen)):
        _frame(figure, int(columns[here[0]]), int(lines[here[0]]), 11)
    step = max(1, math.ceil(rows / 12))
    starts, ahead = np.arange(0, rows, step), np.arange(0, wide, wide // 8)
    figure.update_xaxes(tickvals=ahead, ticktext=[f"+{number}" for number in ahead], range=[-0.5, wide - 0.5])
    figure.update_yaxes(
        tickvals=starts, ticktext=[f"{first + wide * row:,}" for row in starts], range=[rows - 0.5, -0.5]
    )
    height = max(60, min(270, 18 * rows))
    return _laid_out(figure, height + 36).update_layout(margin_b=28)


def _drawn(scores: NeuronScores, values: np.ndarray, x: np.ndarray, y: np.ndarray) -> go.Figure:
    low, high = limits(scores.drawn, standardised=scores.standardised)
    return go.Figure(
        go.Heatmap(
            z=values.astype(np.float32), x=small(x), y=small(y), zmin=low, zmax=high, name="score", hoverinfo="skip",
            colorscale=DIVERGING if scores.standardised else "Cividis", showscale=False,
        )
    )  # fmt: skip


def _clickable(
    scores: NeuronScores, x: np.ndarray, y: np.ndarray, layers: np.ndarray, neurons: np.ndarray, size: int
) -> go.Scattergl:
    here = layers, neurons
    facts = np.column_stack([layers, neurons, scores.ranks[here], scores.raw[here], scores.deviations[here]])
    called = "neuron %{customdata[1]:d}" if scores.names is None else "expert %{hovertext}"
    among = f"<br>strongest of the {size:,} in this cell" if size > 1 else ""
    unseen = {"marker": {"opacity": 0}}
    return go.Scattergl(
        x=small(x), y=small(y), mode="markers", showlegend=False, name="neurons", selected=unseen, unselected=unseen,
        customdata=facts.astype(np.float32),  # exact for every number of a neuron and every rank up to 16 million
        marker={"symbol": "square", "size": 7, "opacity": 0},
        hovertext=None if scores.names is None else scores.names[neurons],
        hovertemplate=f"<b>layer %{{customdata[0]:d}}, {called}</b><br>rank %{{customdata[2]:,d}} of {scores.ranked:,}"
        f"<br>{scores.quantity}: %{{customdata[3]:.4g}}<br>%{{customdata[4]:+.2f}} SD from its layer's mean{among}"
        "<extra></extra>",
    )  # fmt: skip


def _frame(figure: go.Figure, x: int, y: int, size: float) -> None:
    for trace in crosses([x], [y], "square-open", size, name="chosen", hoverinfo="skip"):
        figure.add_trace(trace)


def _laid_out(figure: go.Figure, height: int) -> go.Figure:
    """Dragging zooms, double-clicking zooms out."""
    figure.update_xaxes(showgrid=False, zeroline=False).update_yaxes(showgrid=False, zeroline=False)
    look = {"margin": _MARGINS, "dragmode": "zoom", "clickmode": "event+select", "hoverdistance": -1}
    return styled(figure, height=height).update_layout(**look)
