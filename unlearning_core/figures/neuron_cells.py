"""Neurons as cells wide enough to be hit: all layers gathered into a few columns, and a stretch of one layer enlarged.

A click on a heatmap tells Streamlit nothing; a click on a marker does. So unseen markers lie on the middles of the
cells, and as those form a lattice, the marker nearest to the pointer is that of the cell under it. No torch, no
streamlit.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from unlearning_core.figures.heatmap import expert_names, limits, small
from unlearning_core.figures.score_grid import OrderBy, bin_scores, score_matrix, standardise
from unlearning_core.figures.style import DIVERGING, SOONER, crosses, layer_axis, styled

Colours = Literal["rank", "layer", "score"]
"""What colours show: the place in the ranking, the distance from the mean of its layer, or the score itself."""

COLUMNS = 48
"""Cells of a layer in the overview: each is wide enough to be hit in half a page."""

STRETCH = 2_048
"""Neurons that are enlarged at once."""

_NARROW, _WIDE = 32, 64
"""Neurons in a row of the enlarged stretch: so many where it is short, and where it is long."""

_SEEN, _UNSEEN = {"marker": {"opacity": 1}}, {"marker": {"opacity": 0}}

_MARGINS = {"l": 46, "r": 8, "t": 8, "b": 42}


@dataclass(frozen=True, eq=False)
class NeuronScores:
    """The scores of all neurons of a site, [layers, width], NaN where there is no neuron.

    Attributes:
        raw: as the method gives them.
        drawn: what the colours show: `raw`, `deviations`, or log10(ranked / rank), which is 0 for the last of the
            ranking and one more each time that a tenth as many are before a neuron.
        deviations: the distance of `raw` from its layer's mean in standard deviations.
        ranks: 1 is the first.
        names: what a place is called in a mixture of experts, [width]; None elsewhere.
        quantity: what the method calls its score, with its unit.
        ranked: how many neurons are ranked.
        colours: which of these `drawn` is.
    """

    raw: np.ndarray
    drawn: np.ndarray
    deviations: np.ndarray
    ranks: np.ndarray
    names: np.ndarray | None
    quantity: str
    ranked: int
    colours: Colours

    @property
    def scale(self) -> tuple[float, float]:
        """The ends of the scale of colours: what is further out has the last colour. Of ranks none is."""
        if self.colours == "rank":
            return 0.0, math.log10(max(self.ranked, 2))
        return limits(self.drawn, standardised=self.colours == "layer")

    @classmethod
    def of(cls, ranking: pd.DataFrame, site: str, quantity: str, colours: Colours = "rank") -> "NeuronScores":
        """From a ranking; raises ValueError where it holds no neuron of `site`."""
        raw, ranks = score_matrix(ranking, site), score_matrix(ranking, site, "rank") + 1
        deviations, names = standardise(raw), expert_names(ranking, site, raw.shape)
        drawn = {"rank": np.log10(len(ranking) / ranks), "layer": deviations, "score": raw}[colours]
        return cls(raw, drawn, deviations, ranks, names, quantity, len(ranking), colours)


def overview(scores: NeuronScores, order_by: OrderBy = "index", chosen: tuple[int, int] | None = None) -> go.Figure:
    """All layers (up) in at most `COLUMNS` cells each; a cell shows its strongest neuron, and a click means that one.

    A star marks the first of the ranking.

    Args:
        scores: of all neurons.
        order_by: neighbours by index, or by what is drawn within the layer, strongest first.
        chosen: (layer, neuron) whose cell is framed.
    """
    bins = bin_scores(scores.drawn, COLUMNS * len(scores.drawn), order_by)
    layers = len(bins.values)
    lines, columns = np.nonzero(bins.neurons >= 0)
    places = np.arange(bins.values.shape[1]) * bins.size
    figure = _drawn(scores, bins.values, places, np.arange(layers))
    figure.add_trace(_clickable(scores, places[columns], lines, lines, bins.neurons[lines, columns], bins.size))
    for layer, neuron in np.argwhere(scores.ranks == 1):
        _mark(figure, int(bins.cells[layer, neuron]) * bins.size, int(layer), "star", 7, "first")
    if chosen is not None:
        _mark(figure, int(bins.cells[chosen]) * bins.size, chosen[0], "square-open", 11, "chosen")
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
        there = there[np.argsort(-scores.drawn[layer, there], kind="stable")]
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
    for here in np.flatnonzero(scores.ranks[layer, neurons] == 1):
        _mark(figure, int(columns[here]), int(lines[here]), "star", 7, "first")
    for here in np.flatnonzero(neurons == chosen) if chosen is not None else ():
        _mark(figure, int(columns[here]), int(lines[here]), "square-open", 11, "chosen")
    step = max(1, math.ceil(rows / 12))
    starts, ahead = np.arange(0, rows, step), np.arange(0, wide, wide // 8)
    figure.update_xaxes(tickvals=ahead, ticktext=[f"+{number}" for number in ahead], range=[-0.5, wide - 0.5])
    figure.update_yaxes(
        tickvals=starts, ticktext=[f"{first + wide * row:,}" for row in starts], range=[rows - 0.5, -0.5]
    )
    height = max(60, min(270, 18 * rows))
    return _laid_out(figure, height + 36).update_layout(margin_b=28)


def _drawn(scores: NeuronScores, values: np.ndarray, x: np.ndarray, y: np.ndarray) -> go.Figure:
    low, high = scores.scale
    return go.Figure(
        go.Heatmap(
            z=values.astype(np.float32), x=small(x), y=small(y), zmin=low, zmax=high, name="score", hoverinfo="skip",
            colorscale={"rank": SOONER, "layer": DIVERGING, "score": "Cividis"}[scores.colours], showscale=False,
        )
    )  # fmt: skip


def _clickable(
    scores: NeuronScores, x: np.ndarray, y: np.ndarray, layers: np.ndarray, neurons: np.ndarray, size: int
) -> go.Scattergl:
    here = layers, neurons
    facts = np.column_stack([layers, neurons, scores.ranks[here], scores.raw[here], scores.deviations[here]])
    called = "neuron %{customdata[1]:d}" if scores.names is None else "expert %{hovertext}"
    among = f"<br>strongest of the {size:,} in this cell" if size > 1 else ""
    framed = {"marker": {"opacity": 1, "size": 11, "color": "#14181F"}}
    return go.Scattergl(
        x=small(x), y=small(y), mode="markers", showlegend=False, name="neurons", selected=framed, unselected=_UNSEEN,
        customdata=facts.astype(np.float32),  # exact for every number of a neuron and every rank up to 16 million
        marker={"symbol": "square-open", "size": 7, "opacity": 0},
        hovertext=None if scores.names is None else scores.names[neurons],
        hovertemplate=f"<b>layer %{{customdata[0]:d}}, {called}</b><br>rank %{{customdata[2]:,d}} of {scores.ranked:,}"
        f"<br>{scores.quantity}: %{{customdata[3]:.4g}}<br>%{{customdata[4]:+.2f}} SD from its layer's mean{among}"
        "<extra></extra>",
    )  # fmt: skip


def _mark(figure: go.Figure, x: int, y: int, symbol: str, size: float, name: str) -> None:
    """A star that stays, or a frame that goes as soon as another cell is clicked and framed."""
    left = _SEEN if symbol == "star" else _UNSEEN
    for trace in crosses([x], [y], symbol, size, name=name, hoverinfo="skip"):
        figure.add_trace(trace.update(unselected=left))


def _laid_out(figure: go.Figure, height: int) -> go.Figure:
    """Dragging zooms, double-clicking zooms out."""
    figure.update_xaxes(showgrid=False, zeroline=False).update_yaxes(showgrid=False, zeroline=False)
    look = {"margin": _MARGINS, "dragmode": "zoom", "clickmode": "event+select", "hoverdistance": -1}
    return styled(figure, height=height).update_layout(**look)
