"""Activations by token, as plotly figures: of some neurons in every layer, or of one. No torch, no streamlit."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from unlearning_core.figures.heatmap import limits
from unlearning_core.figures.style import BLUE, DIVERGING, RED, layer_axis, styled

if TYPE_CHECKING:
    from unlearning_core.neurons.passages import Piece
    from unlearning_core.neurons.token_layers import TokenLayers

_MOST_NAMED = 40
"""Tokens that are written under a chart; of more, only every so many."""

_CONCEPT = "★"
"""Marks a token of the concept: a chart's ticks cannot be bold one by one."""


def token_layer_map(found: "TokenLayers", first: int, site_name: str) -> go.Figure:
    """Tokens across, layers up; how far the neurons are moved there the way the concept moves them.

    Args:
        found: what was read.
        first: how many neurons of the ranking were, for the hover text.
        site_name: what neurons are called, such as "MLP neurons".
    """
    layers, tokens = found.moved.shape
    names = np.array(_names(found.pieces), dtype=object)
    hover = [
        [
            _said(layer, names[token], found.moved[layer, token], int(found.neurons[layer]), first, site_name)
            for token in range(tokens)
        ]
        for layer in range(layers)
    ]
    low, high = limits(found.moved, standardised=True)
    figure = go.Figure(
        go.Heatmap(
            z=found.moved.astype(np.float32), x=np.arange(tokens), y=np.arange(layers), zmin=low, zmax=high,
            colorscale=DIVERGING, hovertext=hover, hovertemplate="%{hovertext}<extra></extra>", xgap=1, ygap=1,
            name="moved", colorbar={"title": {"text": "SD", "side": "top"}, "thickness": 10},
        )
    )  # fmt: skip
    height = max(120, min(240, 24 * layers))
    figure.update_yaxes(
        title="layer", range=[-0.5, layers - 0.5], showgrid=False, zeroline=False, **layer_axis(layers, height)
    )
    return _under_tokens(figure, names, height)


def token_bars(pieces: "Sequence[Piece]") -> go.Figure:
    """The activation of one neuron at each token of a text, up or down from zero; what does not count has none."""
    values = np.array([np.nan if piece.value is None else piece.value for piece in pieces])
    names = np.array(_names(pieces), dtype=object)
    bars = go.Bar(
        x=np.arange(len(values)), y=values, marker_color=np.where(values < 0, BLUE, RED).tolist(), hovertext=names,
        hovertemplate="<b>%{hovertext}</b><br>activation %{y:+.4g}<extra></extra>", name="activation",
    )  # fmt: skip
    figure = go.Figure(bars).update_yaxes(title="activation", zeroline=True, zerolinecolor="#7F7F7F")
    return _under_tokens(figure, names, 130)


def _names(pieces: "Sequence[Piece]") -> list[str]:
    return [(_CONCEPT if piece.concept else "") + (piece.text.strip() or "␣") for piece in pieces]


def _said(layer: int, token: str, moved: float, neurons: int, first: int, site_name: str) -> str:
    where = f"<b>layer {layer}, {token}</b><br>"
    if not neurons:
        return f"{where}none of the first {first:,} {site_name} lies in this layer"
    if np.isnan(moved):
        return f"{where}not counted: the first position"
    return f"{where}{neurons:,} of the first {first:,} {site_name}:<br>{moved:+.2f} SD the way the concept moves them"


def _under_tokens(figure: go.Figure, names: np.ndarray, height: int) -> go.Figure:
    step = max(1, -(-len(names) // _MOST_NAMED))
    shown = [name if len(name) <= 12 else f"{name[:11]}…" for name in names[::step]]
    figure.update_xaxes(
        tickvals=np.arange(0, len(names), step), ticktext=shown, tickangle=-50, range=[-0.6, len(names) - 0.4],
        showgrid=False, zeroline=False, tickfont={"size": 11},
    )  # fmt: skip
    return styled(figure, height=height + 90).update_layout(
        margin={"l": 50, "r": 10, "t": 10, "b": 80}, showlegend=False
    )
