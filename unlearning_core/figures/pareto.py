"""What a search of recipes tried, as a plotly figure: forgotten against cost. No torch, no streamlit."""

import pandas as pd
import plotly.graph_objects as go

from unlearning_core.evaluation.curves import BUDGET
from unlearning_core.figures.style import BLUE, GREEN, GREY, ORANGE, RED, styled

_LOOKS = {
    "cuts": ("cuts, not retrained", {"color": GREY, "size": 6, "symbol": "circle-open"}),
    "retrained": ("retrained", {"color": BLUE, "size": 10, "symbol": "square"}),
}
"""Name and mark of each kind of trial."""

_EDGE = 3.0
"""Times the cost of the dearest trial that is marked: what costs more would press all others together."""

_MARKED = {
    "default": ("today's default", {"color": RED, "size": 14, "symbol": "x"}),
    "taken": ("taken", {"color": ORANGE, "size": 17, "symbol": "star"}),
}


def pareto_figure(trials: pd.DataFrame) -> go.Figure:
    """The trials, their front as a line, the default and the one that is taken.

    Args:
        trials: a row a trial: `name`, `kind`, `mark` (words), `forgotten` (a share), `cost` (nats a token), `share` and
            `strength` of the recipe; rows that were not measured (NaN) are left out.
    """
    known = trials[trials["forgotten"].notna()]
    figure = go.Figure()
    for kind, (title, mark) in _LOOKS.items():
        figure.add_trace(_points(known[known["kind"] == kind], title, mark))
    front = known[known["mark"].str.split().map(lambda words: "front" in words)].sort_values("cost")
    line = {"color": GREEN, "width": 2, "shape": "hv"}
    figure.add_scatter(
        x=front["cost"], y=100 * front["forgotten"], mode="lines", line=line, name="front", hoverinfo="skip"
    )  # fmt: skip
    for word, (title, mark) in _MARKED.items():
        chosen = known[known["mark"].str.split().map(lambda words, word=word: word in words)]
        figure.add_trace(_points(chosen, title, mark))
    left, right = min(0.0, known["cost"].min()), _EDGE * max(BUDGET, known.loc[known["mark"] != "", "cost"].max())
    beyond = int((known["cost"] > right).sum())
    title = "cost on text without the concept, nats a token"
    title += f" ({beyond} dearer {'trial lies' if beyond == 1 else 'trials lie'} beyond the edge)" if beyond else ""
    figure.update_xaxes(title=title, range=[left - 0.05 * (right - left), right])
    figure.update_yaxes(title="forgotten, %")
    return styled(figure, height=480)


def _points(rows: pd.DataFrame, title: str, mark: dict[str, object]) -> go.Scatter:
    told = [
        f"{row.name}: {100 * row.share:.3g} % of neurons, rows {row.strength:g}"
        for row in rows[["name", "share", "strength"]].itertuples(index=False)
    ]
    return go.Scatter(
        x=rows["cost"], y=100 * rows["forgotten"], mode="markers", name=title, marker=mark, text=told,
        customdata=rows[["name"]].to_numpy(),
        hovertemplate="%{text}<br>%{y:.3g} % forgotten for %{x:.3g} nats<extra></extra>",
    )  # fmt: skip
