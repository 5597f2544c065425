"""The metrics of every model state as bars. No torch, no streamlit."""

import plotly.graph_objects as go

from unlearning_core.evaluation.registry import Values, formatted, headline, interval
from unlearning_core.figures.style import COLOURS, GREY, panels, state_colour, styled
from unlearning_core.methods.registry import state_title


def metric_bars(metrics: Values) -> go.Figure:
    """One panel a headline metric, one bar a model state with its 95 % interval, as tables and reports print it."""
    drawn = headline(metrics)
    if not drawn:
        return styled(go.Figure(), height=260)
    figure = panels([metric.full_title for metric in drawn], gap=min(0.06, 0.5 / len(drawn)))
    for column, metric in enumerate(drawn, start=1):
        states = [state for state, values in metrics.items() if values.get(metric.name) is not None]
        ends = [interval(metrics[state], metric.name) for state in states]
        values = [float(metrics[state][metric.name] or 0.0) for state in states]
        above, below = ([abs(pair[side] - value) for pair, value in zip(ends, values, strict=True)] for side in (1, 0))
        bars = go.Bar(
            x=[state_title(state) for state in states], y=values, showlegend=False,
            customdata=[formatted(metrics[state], metric.name) for state in states],
            error_y={"array": above, "arrayminus": below, "symmetric": False, "color": GREY, "thickness": 1.4},
            marker_color=[COLOURS[state_colour(state, list(metrics))] for state in states],
            hovertemplate="%{x}: %{customdata}<extra></extra>",
        )  # fmt: skip
        figure.add_trace(bars, row=1, col=column)
    figure.update_yaxes(rangemode="tozero")
    return styled(figure, height=300)
