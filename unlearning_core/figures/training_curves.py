"""What changes from step to step of a training, as plotly figures. No torch, no streamlit."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from unlearning_core.evaluation.ratio import Z95
from unlearning_core.figures.style import BLUE, GREY, ORANGE, panels, styled

_MOST_POINTS = 1000

_KINDS = (
    ("concept", "concept words", ORANGE, "circle", "dash"),
    ("retain", "other text", BLUE, "square", "dot"),
)


def loss_curve(events: Iterable[Mapping[str, Any]]) -> go.Figure:
    """Training and validation loss by step; a curve of more than `_MOST_POINTS` is thinned, its last point kept.

    Args:
        events: of `events.jsonl`; those with `kind` "train" or "eval", `step` and `loss` are drawn, others passed over.
    """
    curves: dict[str, dict[int, float]] = {"train": {}, "eval": {}}
    for event in events:
        if event.get("kind") in curves and event.get("loss") is not None:
            curves[event["kind"]][int(event["step"])] = float(event["loss"])
    figure = go.Figure()
    for kind, name, colour, style in (
        ("train", "training", BLUE, {"mode": "lines"}),
        ("eval", "validation", ORANGE, {"mode": "lines+markers", "marker": {"symbol": "diamond", "size": 8}}),
    ):
        if curves[kind]:
            steps = sorted(curves[kind])
            steps = steps[::-1][:: math.ceil(len(steps) / _MOST_POINTS)][::-1]
            figure.add_scatter(
                x=steps, y=[curves[kind][step] for step in steps], name=name, line_color=colour,
                hovertemplate=f"step %{{x}}: {name} loss %{{y:.4f}}<extra></extra>", **style,
            )  # fmt: skip
    figure.update_xaxes(title="optimizer step", rangemode="tozero")
    figure.update_yaxes(title="loss (nats/token)")
    return styled(figure, height=320)


def learning_curve(events: Iterable[Mapping[str, Any]], base: Mapping[str, float] | None = None) -> go.Figure:
    """Loss on the concept's words and on all others by step, with 95 % intervals, and the base model's as lines.

    Args:
        events: of a training's `events.jsonl`; those of the kind "measure" are drawn, others passed over.
        base: {"concept", "retain"}: the base model's loss on the same sentences.
    """
    points = sorted((event for event in events if event.get("kind") == "measure"), key=lambda event: event["step"])
    figure = go.Figure()
    base = base or {}
    highest = max(base, key=lambda kind: base[kind], default="")
    for kind, name, colour, symbol, dash in _KINDS:
        drawn = [point for point in points if point.get(f"{kind}_nll") is not None]
        margins = [Z95 * (point.get(f"{kind}_nll_stderr") or 0.0) for point in drawn]
        line = go.Scatter(
            x=[point["step"] for point in drawn], y=[point[f"{kind}_nll"] for point in drawn], name=name,
            error_y={"array": margins, "thickness": 1, "width": 3}, mode="lines+markers", line_color=colour,
            marker={"symbol": symbol, "size": 8},
            hovertemplate=f"step %{{x}}: {name} %{{y:.3f}} ± %{{error_y.array:.2f}}<extra></extra>",
        )  # fmt: skip
        figure.add_trace(line)
        if kind in base:
            # The two levels may lie close together: one name goes above its line, the other below; on the left, where
            # the curves are still far from them.
            figure.add_hline(
                y=base[kind], line_dash=dash, line_color=colour, line_width=1.5, annotation_text=f"base, {name}",
                annotation_position="top left" if kind == highest else "bottom left",
            )  # fmt: skip
    total = max((point.get("total_steps") or point["step"] for point in points), default=1)
    figure.update_xaxes(title="optimizer step", range=[-0.03 * total, 1.05 * total])
    figure.update_yaxes(title="loss on held-out text (nats/token)")
    return styled(figure, height=320)


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
