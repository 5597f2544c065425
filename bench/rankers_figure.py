"""The tournament as a picture: selectivity of every way to rank, case by case and on average, in an SVG by itself."""

import math
from collections.abc import Sequence
from html import escape
from typing import Any

from bench.rankers_rows import MARKS
from bench.rankers_summary import FLOOR, KEYS, SEED_ALIGNMENT, SEED_RANKER

MOST = 40
"""Ways to rank that are drawn: the best ones."""

LEFT, RIGHT, ROW, TOP, WIDTH = 270, 30, 22, 56, 860
INK, FAINT, DEFAULT, SEED = "#444", "#9aa5b1", "#d9480f", "#1c7ed6"


def figure(rows: Sequence[dict[str, Any]], summary: dict[str, Any]) -> str:
    """A line a method, the best first: a faint dot a model and concept, the geometric mean with its 95 % interval."""
    methods = summary["methods"][:MOST]
    values = [max(FLOOR, row["selectivity"]) for row in rows]
    ends = (math.floor(math.log10(min(values))), math.ceil(math.log10(max(values) * 1.01)))
    height = TOP + ROW * len(methods) + 40
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'font-family="sans-serif" font-size="12" fill="{INK}">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        f'<text x="{LEFT}" y="20" font-size="14">Nats forgotten when other text has lost 0.05</text>',
        f'<text x="{LEFT}" y="36" fill="{FAINT}">dot: one model and concept; mark: geometric mean, 95 % interval over '
        "concepts</text>",
        *_axis(ends, height),
    ]
    for number, method in enumerate(methods):
        own = [max(FLOOR, row["selectivity"]) for row in rows if all(row[key] == method[key] for key in KEYS)]
        parts += _line(method, own, TOP + ROW * (number + 0.5), ends, method == summary["default"])
    return "\n".join([*parts, "</svg>"]) + "\n"


def _place(value: float, ends: tuple[int, int]) -> float:
    share = (math.log10(value) - ends[0]) / (ends[1] - ends[0])
    return round(LEFT + min(max(share, 0.0), 1.0) * (WIDTH - LEFT - RIGHT), 1)


def _axis(ends: tuple[int, int], height: int) -> list[str]:
    parts = []
    for power in range(ends[0], ends[1] + 1):
        x = _place(10.0**power, ends)
        parts.append(f'<line x1="{x}" x2="{x}" y1="{TOP}" y2="{height - 34}" stroke="#ddd"/>')
        parts.append(f'<text x="{x}" y="{height - 16}" text-anchor="middle">{10.0**power:g}</text>')
    return parts


def _line(method: dict[str, Any], own: list[float], y: float, ends: tuple[int, int], is_default: bool) -> list[str]:
    seeds = (method["ranker"], method["alignment"]) == (SEED_RANKER, SEED_ALIGNMENT)
    colour = DEFAULT if is_default else SEED if seeds else INK
    said = " (default)" if is_default else " (the seed's)" if seeds else ""
    name = escape(", ".join(method[key] for key in KEYS) + said)
    parts = [f'<text x="{LEFT - 10}" y="{y + 4}" text-anchor="end" fill="{colour}">{name}</text>']
    parts += [f'<circle cx="{_place(value, ends)}" cy="{y}" r="3" fill="{FAINT}" opacity="0.6"/>' for value in own]
    low, middle, high = (method[key] for key in ("geomean_low", "geomean", "geomean_high"))
    if low is not None:
        parts.append(
            f'<line x1="{_place(low, ends)}" x2="{_place(high, ends)}" y1="{y}" y2="{y}" stroke="{colour}" '
            'stroke-width="2"/>'
        )
    x = _place(middle, ends)
    return [*parts, f'<rect x="{x - 4}" y="{y - 4}" width="8" height="8" fill="{colour}"/>']


def known_figure(methods: Sequence[dict[str, Any]], default: dict[str, Any]) -> str:
    """Marks against known neurons, 0 to 1, the best precision first.

    A thin bar is the precision among the first 1 %, a thick one that among as many as are true, a diamond the average
    precision, a ring the recall of the cut within the budget.
    """
    marked = sorted((each for each in methods if each["precision"] is not None), key=lambda each: -each["precision"])
    height = TOP + ROW * len(marked) + 40
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'font-family="sans-serif" font-size="12" fill="{INK}">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        f'<text x="{LEFT}" y="20" font-size="14">How many of the true neurons a ranking finds</text>',
        f'<text x="{LEFT}" y="36" fill="{FAINT}">true ones among the first 1 % (thin bar), among as many as are true '
        "(thick); average precision (diamond); recall at 0.05 nats (ring)</text>",
    ]
    for share in (0, 0.25, 0.5, 0.75, 1):
        x = _along(share)
        parts.append(f'<line x1="{x}" x2="{x}" y1="{TOP}" y2="{height - 34}" stroke="#ddd"/>')
        parts.append(f'<text x="{x}" y="{height - 16}" text-anchor="middle">{share:.0%}</text>')
    for number, method in enumerate(marked):
        parts += _marks(method, TOP + ROW * (number + 0.5), method == default)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _along(share: float) -> float:
    return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)


def _marks(method: dict[str, Any], y: float, is_default: bool) -> list[str]:
    colour = DEFAULT if is_default else INK
    name = escape(", ".join(method[key] for key in KEYS) + (" (default)" if is_default else ""))
    first, bar, diamond, ring = (_along(method[key]) for key in MARKS)
    return [
        f'<text x="{LEFT - 10}" y="{y + 4}" text-anchor="end" fill="{colour}">{name}</text>',
        f'<rect x="{LEFT}" y="{y - 2}" width="{round(first - LEFT, 1)}" height="4" fill="{colour}" opacity="0.5"/>',
        f'<rect x="{LEFT}" y="{y - 6}" width="{round(bar - LEFT, 1)}" height="12" fill="{colour}" opacity="0.35"/>',
        f'<path d="M{diamond - 5} {y} L{diamond} {y - 5} L{diamond + 5} {y} L{diamond} {y + 5} Z" fill="{colour}"/>',
        f'<circle cx="{ring}" cy="{y}" r="5" fill="none" stroke="{colour}" stroke-width="2"/>',
    ]
