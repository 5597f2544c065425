"""How many neurons, or tokens, have which value, as plotly figures. No torch, no streamlit."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from unlearning_core.figures.style import BLUE, ORANGE, styled

if TYPE_CHECKING:
    from unlearning_core.neurons.reading import Histogram


def layer_summary(cut: np.ndarray, protected: np.ndarray | None = None) -> go.Figure:
    """How many neurons of each layer are cut.

    Args:
        cut: bool [layers, width], True = cut.
        protected: bool [layers, width], neurons that no cut reaches first; named in the hover text.
    """
    counts = np.asarray(cut, bool).sum(axis=1)
    kept_safe = np.zeros_like(counts) if protected is None else np.asarray(protected, bool).sum(axis=1)
    hover = np.column_stack([100.0 * counts / max(cut.shape[1], 1), kept_safe])
    bars = go.Bar(
        x=np.arange(len(counts)), y=counts, customdata=hover, marker_color=ORANGE, name="cut",
        hovertemplate="layer %{x}: %{y} cut (%{customdata[0]:.2f} %)<br>%{customdata[1]:d} protected<extra></extra>",
    )  # fmt: skip
    figure = go.Figure(bars)
    figure.update_xaxes(title="layer", tickformat="d")
    few = int(counts.max(initial=0)) < 5  # the ticks that plotly chooses would be halves
    figure.update_yaxes(title="neurons cut", tickformat="d", rangemode="tozero", dtick=1 if few else None)
    return styled(figure, height=260)


def score_histogram(ranking: pd.DataFrame, site: str = "mlp") -> go.Figure:
    """How the scores are spread; counts on a logarithmic axis, because few stand out."""
    scores = ranking.loc[ranking["site"] == site, "score"].to_numpy(np.float64)
    counts, edges = np.histogram(scores, bins=80)
    hover = "%{y} neurons with a score about %{x:.3g}<extra></extra>"
    return _histogram([_bars(edges, counts, "neurons", BLUE, hover)], "score", "neurons")


def activation_histogram(found: "Histogram") -> go.Figure:
    """Share of the concept's tokens and of all others at each activation, on a logarithmic scale.

    Shares, because there are many more other tokens; logarithmic, because most neurons are near zero nearly always.
    """
    bars = []
    for name, counts, colour, pattern in (
        ("other tokens", found.retain, BLUE, ""),
        ("concept tokens", found.concept, ORANGE, "/"),
    ):
        shares = np.where(counts > 0, 100.0 * counts / max(1, counts.sum()), np.nan)
        hover = "activation %{x:.3g}: %{y:.2g} % of the " + name + " (%{customdata})<extra></extra>"
        bars.append(_bars(found.edges, shares, f"{name} ({counts.sum():,})", colour, hover))
        bars[-1].update(customdata=counts, marker={"line": {"width": 0}, "pattern": {"shape": pattern, "size": 5}})
    return _histogram(bars, "activation", "share of tokens (%)").update_xaxes(zeroline=True)


def _bars(edges: np.ndarray, heights: np.ndarray, name: str, colour: str, hover: str) -> go.Bar:
    return go.Bar(
        x=(edges[:-1] + edges[1:]) / 2, y=heights, width=np.diff(edges), name=name, marker_color=colour,
        hovertemplate=hover, opacity=0.7,
    )  # fmt: skip


def _histogram(bars: list[go.Bar], across: str, up: str) -> go.Figure:
    figure = go.Figure(bars).update_layout(barmode="overlay", bargap=0)
    figure.update_xaxes(title=across).update_yaxes(title=up, type="log", dtick=1)
    return styled(figure, height=280)
