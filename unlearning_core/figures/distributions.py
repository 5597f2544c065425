"""How many neurons, or tokens, have which value, as plotly figures. No torch, no streamlit."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from unlearning_core.figures.style import BLUE, COLOURS, DASHES, ORANGE, layer_axis, state_colour, styled

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
    figure.update_xaxes(title="layer", **layer_axis(len(counts), 200, each=22))
    few = int(counts.max(initial=0)) < 5  # the ticks that plotly chooses would be halves
    figure.update_yaxes(title="neurons cut", tickformat="d", rangemode="tozero", dtick=1 if few else None)
    return styled(figure, height=260)


def score_histogram(ranking: pd.DataFrame, site: str = "mlp", quantity: str = "score") -> go.Figure:
    """How the scores are spread; counts on a logarithmic axis, because few stand out.

    Args:
        ranking: columns site and score.
        site: whose neurons.
        quantity: what the method calls its score.
    """
    scores = ranking.loc[ranking["site"] == site, "score"].to_numpy(np.float64)
    counts, edges = np.histogram(scores, bins=80)
    hover = f"%{{y}} neurons whose {quantity} is about %{{x:.3g}}<extra></extra>"
    return _histogram([_bars(edges, counts, "neurons", BLUE, hover)], quantity, "neurons")


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


def cumulative_shares(
    found: Mapping[str, pd.Series], states: Sequence[str], across: str, *, logarithmic: bool = False
) -> go.Figure:
    """Share of the examples with at most that value, a curve a state: what a two-sample test compares.

    The largest gap between two curves, top to bottom, is the Kolmogorov-Smirnov statistic.

    Args:
        found: by state the value of each example, such as the truth ratio of each question.
        states: all states of the run, whose order gives the colours.
        across: title of the axis of values.
    """
    figure = go.Figure()
    for number, (state, values) in enumerate(found.items()):
        ordered = np.sort(values.to_numpy(np.float64))
        shares = 100.0 * np.arange(len(ordered) + 1) / max(1, len(ordered))
        figure.add_scatter(
            x=np.append(ordered[:1], ordered), y=shares, name=state, mode="lines",
            line={"color": COLOURS[state_colour(state, states)], "dash": DASHES[number % len(DASHES)], "shape": "hv"},
            hovertemplate=f"{state}: %{{y:.0f}} % have at most %{{x:.3~g}}<extra></extra>",
        )  # fmt: skip
    figure.update_xaxes(title=across, type="log" if logarithmic else "linear")
    figure.update_yaxes(title="share of examples (%)", range=[0, 102])
    return styled(figure, height=320)


def _bars(edges: np.ndarray, heights: np.ndarray, name: str, colour: str, hover: str) -> go.Bar:
    return go.Bar(
        x=(edges[:-1] + edges[1:]) / 2, y=heights, width=np.diff(edges), name=name, marker_color=colour,
        hovertemplate=hover, opacity=0.7,
    )  # fmt: skip


def _histogram(bars: list[go.Bar], across: str, up: str) -> go.Figure:
    figure = go.Figure(bars).update_layout(barmode="overlay", bargap=0)
    figure.update_xaxes(title=across).update_yaxes(title=up, type="log", dtick=1)
    return styled(figure, height=280)
