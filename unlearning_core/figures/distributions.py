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
        x=np.arange(len(counts)),
        y=counts,
        customdata=hover,
        marker_color=ORANGE,
        hovertemplate="layer %{x}: %{y} cut (%{customdata[0]:.2f} %)<br>%{customdata[1]:d} protected<extra></extra>",
        name="cut",
    )
    figure = go.Figure(bars)
    figure.update_xaxes(title="layer", tickformat="d")
    few = int(counts.max(initial=0)) < 5  # the ticks that plotly chooses would be halves
    figure.update_yaxes(title="neurons cut", tickformat="d", rangemode="tozero", dtick=1 if few else None)
    return styled(figure, height=260)


def score_histogram(
    ranking: pd.DataFrame, site: str = "mlp", *, cut: np.ndarray | None = None, bins: int = 80
) -> go.Figure:
    """How the scores are spread, cut and kept neurons apart; counts on a logarithmic axis, because few stand out."""
    rows = ranking[ranking["site"] == site]
    scores = rows["score"].to_numpy(np.float64)
    flags = np.zeros(len(rows), bool)
    if cut is not None:
        flags = np.asarray(cut, bool)[rows["layer"].to_numpy(), rows["index"].to_numpy()]
    edges = np.histogram_bin_edges(scores, bins)
    middles, figure = (edges[:-1] + edges[1:]) / 2, go.Figure()
    for name, chosen, colour in (("kept", ~flags, BLUE), ("cut", flags, ORANGE)):
        if chosen.any():
            counts = np.histogram(scores[chosen], edges)[0]
            hover = f"%{{y}} {name} with a score about %{{x:.3g}}<extra></extra>"
            figure.add_trace(
                go.Bar(x=middles, y=counts, name=name, marker_color=colour, hovertemplate=hover, width=np.diff(edges))
            )
    figure.update_layout(barmode="overlay", bargap=0)
    figure.update_traces(opacity=0.8)
    figure.update_xaxes(title="score")
    figure.update_yaxes(title="neurons", type="log", dtick=1)
    return styled(figure, height=280)


def activation_histogram(found: "Histogram") -> go.Figure:
    """Share of the concept's tokens and of all others at each activation, on a logarithmic scale.

    Shares, because there are many more other tokens; logarithmic, because most neurons are near zero nearly always.
    """
    figure = go.Figure()
    middles, widths = (found.edges[1:] + found.edges[:-1]) / 2, np.diff(found.edges)
    for name, counts, colour, pattern in (
        ("other tokens", found.retain, BLUE, ""),
        ("concept tokens", found.concept, ORANGE, "/"),
    ):
        figure.add_trace(
            go.Bar(
                x=middles,
                y=np.where(counts > 0, 100.0 * counts / max(1, counts.sum()), np.nan),
                width=widths,
                customdata=counts,
                name=f"{name} ({counts.sum():,})",
                marker={"color": colour, "line": {"width": 0}, "pattern": {"shape": pattern, "size": 5}},
                opacity=0.65,
                hovertemplate="activation %{x:.3g}: %{y:.2g} % of the " + name + " (%{customdata})<extra></extra>",
            )
        )
    figure.update_layout(barmode="overlay", bargap=0)
    figure.update_xaxes(title="activation", zeroline=True)
    figure.update_yaxes(title="share of tokens (%)", type="log", dtick=1)
    return styled(figure, height=280)
