"""What a search of recipes tried, as a plotly figure: forgotten against cost. No torch, no streamlit."""

import pandas as pd
import plotly.graph_objects as go

from unlearning_core.figures.style import BLUE, GREEN, GREY, ORANGE, RED, styled

_LOOKS = {
    "cuts": ("cuts, not healed", {"color": GREY, "size": 6, "symbol": "circle-open"}),
    "healed": ("healed", {"color": BLUE, "size": 10, "symbol": "square"}),
}
"""Name and mark of each kind of trial."""

_MARKED = {
    "default": ("today's default", {"color": RED, "size": 14, "symbol": "x"}),
    "taken": ("taken", {"color": ORANGE, "size": 17, "symbol": "star"}),
}


def pareto_figure(trials: pd.DataFrame, *, enough: float) -> go.Figure:
    """The trials, their front as a line, the default and the one that is taken.

    Args:
        trials: a row a trial: `name`, `kind`, `mark` (words), `gap` (share of the gap that is closed), `cost` (nats a
            token), `share` and `strength` of the recipe; rows without a gap are left out.
        enough: share of the gap that is asked for; marked by a line.
    """
    known = trials[trials["gap"].notna()]
    figure = go.Figure()
    for kind, (title, mark) in _LOOKS.items():
        figure.add_trace(_points(known[known["kind"] == kind], title, mark))
    front = known[known["mark"].str.split().map(lambda words: "front" in words)].sort_values("cost")
    line = {"color": GREEN, "width": 2, "shape": "hv"}
    figure.add_scatter(
        x=front["cost"], y=100 * front["gap"], mode="lines", line=line, name="front", hoverinfo="skip"
    )  # fmt: skip
    for word, (title, mark) in _MARKED.items():
        chosen = known[known["mark"].str.split().map(lambda words, word=word: word in words)]
        figure.add_trace(_points(chosen, title, mark))
    figure.add_hline(100 * enough, line={"color": GREY, "width": 1, "dash": "dash"})
    figure.update_xaxes(title="cost on text without the concept, nats a token")
    figure.update_yaxes(title="forgotten, % of the gap")
    return styled(figure, height=480)


def _points(rows: pd.DataFrame, title: str, mark: dict[str, object]) -> go.Scatter:
    told = [
        f"{row.name}: {100 * row.share:.3g} % of neurons, rows {row.strength:g}"
        for row in rows[["name", "share", "strength"]].itertuples(index=False)
    ]
    return go.Scatter(
        x=rows["cost"], y=100 * rows["gap"], mode="markers", name=title, marker=mark, text=told,
        hovertemplate="%{text}<br>%{y:.3g} % of the gap for %{x:.3g} nats<extra></extra>",
    )  # fmt: skip
