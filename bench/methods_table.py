"""The rows of the comparison of methods as tables in Markdown, one a model and concept."""

import math
from collections.abc import Sequence
from typing import Any

COLUMNS = (
    ("forget_delta", "concept loss"),
    ("apart_delta", "cost"),
    ("gap_closed", "gap closed"),
    ("questions_answered", "answered"),
    ("retain_text_delta", "whole texts"),
    ("neighbour_text_delta", "neighbours"),
    ("other_sense_delta", "other sense"),
    ("other_text_delta", "another kind"),
    ("other_questions_answered", "others answered"),
    ("uds", "depth"),
    ("relearn_steps_50", "steps to 50 %"),
)
"""Metrics that are shown and their titles; a column that no row has is left out."""

SHARES = ("gap_closed", "questions_answered", "other_questions_answered")


def cases(rows: Sequence[dict[str, Any]]) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """The rows by model and concept, in their order."""
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault((row["model"], row["concept"]), []).append(row)
    return found


def in_markdown(rows: Sequence[dict[str, Any]]) -> str:
    """A table a model and concept: a line a method, each value with its standard error."""
    return "\n\n".join(_table(model, concept, own) for (model, concept), own in cases(rows).items())


def _table(model: str, concept: str, rows: Sequence[dict[str, Any]]) -> str:
    columns = [
        (name, title) for name, title in COLUMNS
        if any(row.get("metrics", {}).get(name) is not None for row in rows)
    ]  # fmt: skip
    head = ["method", *(title for _, title in columns), "seconds", "verdict"]
    lines = [
        f"### {model}, {concept}", "", f"| {' | '.join(head)} |", f"|---|{'--:|' * (len(head) - 2)}---|",
    ]  # fmt: skip
    for row in rows:
        if row["failed"]:
            lines.append(f"| {row['method']} |{' |' * (len(head) - 2)} failed: {row['failed'].split('. ')[0]} |")
            continue
        cells = [value(row["metrics"], name) for name, _ in columns]
        verdict = f"{row['verdict'] or ''}{' (quick)' if row['quick'] else ''}"
        lines.append(f"| {row['method']} | {' | '.join(cells)} | {row['seconds']:.0f} | {verdict} |")
    return "\n".join(lines)


def value(metrics: dict[str, Any], name: str) -> str:
    """A metric with its standard error; a share in percent."""
    found, error = metrics.get(name), metrics.get(f"{name}_stderr")
    if found is None or math.isnan(found):
        return ""
    if name in SHARES:
        return f"{100 * found:.0f} %" + (f" ± {100 * error:.0f}" if error else "")
    return f"{found:+.2f}" + (f" ± {error:.2f}" if error else "")
