"""The metrics of every model state as bars. No torch, no streamlit."""

import plotly.graph_objects as go

from unlearning_core.evaluation.ratio import Z95
from unlearning_core.evaluation.registry import Values, headline
from unlearning_core.figures.style import COLOURS, GREY, panels, state_colour, styled


def metric_bars(metrics: Values) -> go.Figure:
    """One panel a headline metric, one bar a model state, with 95 % intervals (1.96 standard errors each way)."""
    drawn = headline(metrics)
    if not drawn:
        return styled(go.Figure(), height=260)
    figure = panels([metric.full_title for metric in drawn], gap=min(0.06, 0.5 / len(drawn)))
    for column, metric in enumerate(drawn, start=1):
        states = [state for state, values in metrics.items() if values.get(metric.name) is not None]
        errors = [Z95 * (metrics[state].get(f"{metric.name}_stderr") or 0.0) for state in states]
        bars = go.Bar(
            x=states, y=[metrics[state][metric.name] for state in states], customdata=errors, showlegend=False,
            error_y={"array": errors, "color": GREY, "thickness": 1.4},
            marker_color=[COLOURS[state_colour(state, list(metrics))] for state in states],
            hovertemplate="%{x}: %{y:.3g} ± %{customdata:.2g}<extra></extra>",
        )  # fmt: skip
        figure.add_trace(bars, row=1, col=column)
    figure.update_yaxes(rangemode="tozero")
    return styled(figure, height=300)
