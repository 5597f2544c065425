"""The metrics of every model state as bars. No torch, no streamlit."""

from collections.abc import Mapping

import plotly.graph_objects as go

from unlearning_core.evaluation.metric import Metric
from unlearning_core.evaluation.registry import Values, formatted, headline, interval
from unlearning_core.figures.style import COLOURS, GREY, state_colour, styled
from unlearning_core.methods.registry import state_title


def metric_bars(metrics: Values) -> Mapping[str, go.Figure]:
    """A figure for each headline metric, by its title: a bar a model state, the first on top, with its 95 % interval.

    They carry no title: beside each other on a wide page, a long one would run into the next. A metric that only one of
    several states has is left out: a bar alone looks as if the others were 0.
    """
    least = min(2, len(metrics))
    return {
        metric.full_title: _bars(metrics, metric)
        for metric in headline(metrics)
        if sum(values.get(metric.name) is not None for values in metrics.values()) >= least
    }


def _bars(metrics: Values, metric: Metric) -> go.Figure:
    states = [state for state, values in metrics.items() if values.get(metric.name) is not None]
    ends = [interval(metrics[state], metric.name) for state in states]
    values = [float(metrics[state][metric.name] or 0.0) for state in states]
    above, below = ([abs(pair[side] - value) for pair, value in zip(ends, values, strict=True)] for side in (1, 0))
    bars = go.Bar(
        y=[state_title(state) for state in states], x=values, orientation="h", showlegend=False, width=0.7,
        customdata=[formatted(metrics[state], metric.name) for state in states],
        error_x={"array": above, "arrayminus": below, "symmetric": False, "color": GREY, "thickness": 1.4, "width": 3},
        marker_color=[COLOURS[state_colour(state, list(metrics))] for state in states],
        hovertemplate="%{y}: %{customdata}<extra></extra>",
    )  # fmt: skip
    figure = go.Figure(bars)
    figure.update_xaxes(rangemode="tozero", nticks=5)
    figure.update_yaxes(autorange="reversed", automargin=True)
    return styled(figure, height=60 + 26 * len(states)).update_layout(margin={"l": 10, "r": 10, "t": 5, "b": 30})
