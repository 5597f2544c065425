"""The comparison of methods as a picture: what each forgets against what it costs, a panel a model and concept."""

import math
from collections.abc import Sequence
from html import escape
from typing import Any

from bench.methods_table import cases

WIDTH, HEIGHT, MARGIN = 430, 330, 56
INK, FAINT, MARK = "#444", "#ddd", "#1c7ed6"
FLOOR = 0.01
"""Nats: the least cost that the logarithmic axis shows; a method that costs less stands there."""
COST, GAIN = "apart_delta", "forget_delta"


def figure(rows: Sequence[dict[str, Any]]) -> str:
    """An SVG: up is forgotten (nats on concept tokens), right is cost (nats where it is not spoken of, logarithmic)."""
    panels = cases([row for row in rows if not row["failed"] and row["metrics"].get(COST) is not None])
    height = HEIGHT * max(1, math.ceil(len(panels) / 2))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {2 * WIDTH} {height}" width="{2 * WIDTH}" '
        f'height="{height}" font-family="sans-serif" font-size="11" fill="{INK}">',
        f'<rect width="{2 * WIDTH}" height="{height}" fill="white"/>',
    ]
    for number, ((model, concept), own) in enumerate(panels.items()):
        parts.append(f'<g transform="translate({number % 2 * WIDTH} {number // 2 * HEIGHT})">')
        parts += [*_panel(f"{model}, {concept}", own), "</g>"]
    return "\n".join([*parts, "</svg>"]) + "\n"


def _panel(title: str, rows: Sequence[dict[str, Any]]) -> list[str]:
    costs = [max(FLOOR, row["metrics"][COST]) for row in rows]
    gains = [row["metrics"][GAIN] for row in rows]
    right, top = math.ceil(math.log10(max(costs) * 1.01)), max(1.0, math.ceil(max(gains)))
    bottom = min(0.0, math.floor(min(gains)))

    def x(cost: float) -> float:
        share = (math.log10(max(FLOOR, cost)) - math.log10(FLOOR)) / max(1, right - math.log10(FLOOR))
        return round(MARGIN + share * (WIDTH - 2.4 * MARGIN), 1)

    def y(gain: float) -> float:
        return round(HEIGHT - MARGIN - (gain - bottom) / (top - bottom) * (HEIGHT - 2 * MARGIN), 1)

    low = HEIGHT - MARGIN
    parts = [f'<text x="{MARGIN}" y="24" font-size="13">{escape(title)}</text>']
    for power in range(round(math.log10(FLOOR)), right + 1):
        place = x(10.0**power)
        parts.append(f'<line x1="{place}" x2="{place}" y1="{MARGIN - 16}" y2="{low}" stroke="{FAINT}"/>')
        parts.append(f'<text x="{place}" y="{low + 16}" text-anchor="middle">{10.0**power:g}</text>')
    for gain in {bottom, 0.0, (bottom + top) / 2, top}:
        parts.append(f'<line x1="{MARGIN}" x2="{WIDTH - MARGIN}" y1="{y(gain)}" y2="{y(gain)}" stroke="{FAINT}"/>')
        parts.append(f'<text x="{MARGIN - 6}" y="{y(gain) + 4}" text-anchor="end">{gain:g}</text>')
    parts.append(f'<text x="{WIDTH / 2}" y="{low + 34}" text-anchor="middle">cost: nats on other tokens</text>')
    parts.append(f'<text x="{MARGIN}" y="{MARGIN - 20}">forgotten: nats on concept tokens</text>')
    for row, cost in zip(rows, costs, strict=True):
        name, gain = escape(row["method"]), row["metrics"][GAIN]
        parts.append(f'<circle cx="{x(cost)}" cy="{y(gain)}" r="4" fill="{MARK}"/>')
        parts.append(f'<text x="{x(cost) + 7}" y="{y(gain) + 4}">{name}</text>')
    return parts
