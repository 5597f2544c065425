"""Figure of what a model knows while it is retrained. No torch, no streamlit."""

from collections.abc import Iterable, Mapping
from typing import Any

import plotly.graph_objects as go

from unlearning_core.figures.charts import BLUE, ORANGE, styled

_KINDS = (
    ("concept", "concept words", ORANGE, "circle", "dash"),
    ("retain", "other words", BLUE, "square", "dot"),
)


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
        figure.add_trace(
            go.Scatter(
                x=[point["step"] for point in drawn],
                y=[point[f"{kind}_nll"] for point in drawn],
                error_y={
                    "type": "data",
                    "array": [1.96 * (point.get(f"{kind}_nll_stderr") or 0.0) for point in drawn],
                    "thickness": 1,
                    "width": 3,
                },
                name=name,
                mode="lines+markers",
                line_color=colour,
                marker={"symbol": symbol, "size": 8},
                hovertemplate=f"step %{{x}}: {name} %{{y:.3f}} ± %{{error_y.array:.2f}}<extra></extra>",
            )
        )
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
