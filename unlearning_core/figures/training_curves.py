"""What changes from step to step of a training, as plotly figures. No torch, no streamlit."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from unlearning_core.evaluation.ratio import Z95
from unlearning_core.figures.style import BLUE, GREY, ORANGE, faint, panels, styled

_MOST_POINTS = 1000

SMOOTHED_BY = 0.1
"""What the newest step counts in the smoothed loss; all before it count the rest."""

_KINDS = (
    ("concept", "concept words", ORANGE, "circle", "dash"),
    ("retain", "other text", BLUE, "square", "dot"),
)


def loss_curve(events: Iterable[Mapping[str, Any]]) -> go.Figure:
    """Training and validation loss by step; a curve of more than `_MOST_POINTS` is thinned, its last point kept.

    The training loss of each step is a faint point. The line through them is an exponential moving average of the
    steps so far, which counts the newest one `SMOOTHED_BY` and is corrected for its beginning, as Adam corrects its
    moments (Kingma and Ba, 2015, arXiv 1412.6980, section 3).

    Args:
        events: of `events.jsonl`; those with `kind` "train" or "eval", `step` and `loss` are drawn, others passed over.
    """
    curves: dict[str, dict[int, float]] = {"train": {}, "eval": {}}
    points = [event for event in events if event.get("kind") in curves and event.get("loss") is not None]
    for event in points:
        curves[event["kind"]][int(event["step"])] = float(event["loss"])
    train, checked = (pd.Series(curve, dtype=float).sort_index() for curve in curves.values())
    smooth = train.ewm(alpha=SMOOTHED_BY, adjust=True).mean()
    figure = go.Figure()
    for losses, name, style in (
        (train, "each step", {"mode": "markers", "marker": {"color": faint(BLUE, 0.55), "size": 5}}),
        (smooth, "training, smoothed", {"mode": "lines", "line_color": BLUE}),
        (
            checked, "validation",
            {"mode": "lines+markers", "line_color": ORANGE, "marker": {"symbol": "diamond", "size": 8}},
        ),
    ):  # fmt: skip
        if len(losses):
            drawn = losses[::-1][:: math.ceil(len(losses) / _MOST_POINTS)][::-1]
            figure.add_scatter(
                x=drawn.index, y=drawn, name=name, hovertemplate=f"step %{{x}}: {name} %{{y:.4f}}<extra></extra>",
                **style,
            )  # fmt: skip
    figure.update_xaxes(title="training step", range=_whole(points))
    figure.update_yaxes(title="loss (nats/token)", rangemode="tozero")
    return _named_below(figure, 320)


def learning_curve(events: Iterable[Mapping[str, Any]], base: Mapping[str, float] | None = None) -> go.Figure:
    """Loss on the concept's words and on other text by step, 95 % intervals as bands, and the base model's as lines.

    Args:
        events: of a training's `events.jsonl`; those of the kind "measure" are drawn, others passed over.
        base: {"concept", "retain"}: the base model's loss on the same sentences.
    """
    points = sorted((event for event in events if event.get("kind") == "measure"), key=lambda event: event["step"])
    figure = go.Figure()
    base = base or {}
    highest = max(base, key=lambda kind: base[kind], default="")
    for kind, name, colour, symbol, dash in _KINDS:
        figure.add_traces(_with_band([one for one in points if one.get(f"{kind}_nll") is not None], kind, name, colour))
        figure.data[-1].marker = {"symbol": symbol, "size": 7}
        if kind in base:
            # The two levels may lie close together: one name goes above its line, the other below; on the left, where
            # the curves are still far from them.
            figure.add_hline(
                y=base[kind], line_dash=dash, line_color=colour, line_width=1.5, annotation_text=f"base, {name}",
                annotation_position="top left" if kind == highest else "bottom left",
            )  # fmt: skip
    figure.update_xaxes(title="training step", range=_whole(points))
    figure.update_yaxes(title="loss (nats/token)", rangemode="tozero")
    return _named_below(figure, 320)


def _with_band(points: Sequence[Mapping[str, Any]], kind: str, name: str, colour: str) -> list[go.Scatter]:
    """The line of a loss, and under it the band of its 95 % intervals."""
    steps, values = [point["step"] for point in points], [point[f"{kind}_nll"] for point in points]
    margins = [Z95 * (point.get(f"{kind}_nll_stderr") or 0.0) for point in points]
    above = [value + margin for value, margin in zip(values, margins, strict=True)]
    below = [value - margin for value, margin in zip(values, margins, strict=True)]
    band = go.Scatter(
        x=steps + steps[::-1], y=above + below[::-1], name=f"{name}, 95 % interval", fill="toself", mode="lines",
        fillcolor=faint(colour, 0.3), line_width=0, hoverinfo="skip", showlegend=False,
    )  # fmt: skip
    line = go.Scatter(
        x=steps, y=values, name=name, mode="lines+markers", line_color=colour, customdata=margins,
        hovertemplate=f"step %{{x}}: {name} %{{y:.3f}} ± %{{customdata:.2f}}<extra></extra>",
    )  # fmt: skip
    return [band, line]


def _whole(points: Sequence[Mapping[str, Any]]) -> list[float]:
    """The range of the axis of the steps: the whole training, also while it is on its way."""
    total = max((point.get("total_steps") or point["step"] for point in points), default=1)
    return [-0.03 * total, 1.05 * total]


def quiz_curve(events: Iterable[Mapping[str, Any]], titles: Mapping[str, str]) -> go.Figure:
    """How many questions of the quiz are answered right, by step: a line for each thing that it asks about.

    Args:
        events: of a training's `events.jsonl`; those of the kind "quiz" are drawn, others passed over.
        titles: what each thing asked about ("concept", "neighbour") is called.
    """
    points = sorted((event for event in events if event.get("kind") == "quiz"), key=lambda event: event["step"])
    figure, most = go.Figure(), 0
    for (about, title), (_, _, colour, symbol, _) in zip(titles.items(), _KINDS, strict=True):
        marks = [[answer["right"] for answer in point["answers"] if answer["about"] == about] for point in points]
        asked = max(map(len, marks), default=0)
        if not asked:
            continue
        most = max(most, asked)
        figure.add_scatter(
            x=[point["step"] for point in points], y=[sum(one) for one in marks], name=f"about {title}",
            mode="lines+markers", line_color=colour, marker={"symbol": symbol, "size": 9}, cliponaxis=False,
            hovertemplate=f"step %{{x}}: %{{y}} of {asked} about {title}<extra></extra>",
        )  # fmt: skip
    figure.update_xaxes(title="training step", range=_whole(points))
    figure.update_yaxes(title="right answers", range=[-0.04 * most, 1.06 * most], nticks=6)
    return _named_below(figure, 260)


def _named_below(figure: go.Figure, height: int) -> go.Figure:
    """The common look, with the names of the lines under it: on a phone a legend above covers the curves."""
    legend = {"y": 0, "yref": "container", "yanchor": "bottom", "x": 0.5, "xanchor": "center"}
    return styled(figure, height=height).update_layout(legend=legend, margin={"t": 15, "b": 90, "r": 10})


def gate_history(history: Sequence[Mapping[str, float]]) -> go.Figure:
    """What a training of gates has come to, step by step, in two panels.

    Args:
        history: of each step `step`, `forget` and `divergence` (nats a token; of single batches, so they jump) and
            `closed` (gates more closed than open).
    """
    figure = panels(["Concept and other text", "Neurons whose gate is closed"])
    steps = [line["step"] + 1 for line in history]
    for column, key, name, colour, dash in (
        (1, "forget", "concept loss, rise", ORANGE, "solid"),
        (1, "divergence", "divergence on other text", BLUE, "dot"),
        (2, "closed", "closed", GREY, "solid"),
    ):
        line = go.Scatter(
            x=steps, y=[line[key] for line in history], name=name, mode="lines", line={"color": colour, "dash": dash},
            hovertemplate=f"step %{{x}}: {name} %{{y:.4~g}}<extra></extra>", showlegend=column == 1,
        )  # fmt: skip
        figure.add_trace(line, row=1, col=column)
    figure.update_xaxes(title="step", rangemode="tozero")
    figure.update_yaxes(title="nats/token", row=1, col=1)
    figure.update_yaxes(rangemode="tozero", row=1, col=2)
    return styled(figure, height=260).update_layout(legend={"y": -0.3, "x": 0.5, "xanchor": "center"}, margin={"b": 80})
