"""How often one neuron has which activation, as a plotly figure. No torch, no streamlit."""

from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from unlearning_core.figures.charts import BLUE, ORANGE, styled

if TYPE_CHECKING:
    from unlearning_core.neurons.reading import Histogram


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
