"""Metrics and texts of a run as CSV, for a spreadsheet."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def metrics_csv(metrics: Mapping[str, Mapping[str, float | None]]) -> str:
    """A line a stage and metric: stage, metric, value, stderr; an empty cell where there is none."""
    rows = (
        (stage, name, _cell(value), _cell(values.get(f"{name}_stderr")))
        for stage, values in metrics.items()
        for name, value in values.items()
        if not name.endswith("_stderr")
    )
    return _written(("stage", "metric", "value", "stderr"), rows)


def generations_csv(written: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """A line a text: stage, prompt, sample, seed, text."""
    rows = (
        (stage, text["prompt"], text["sample"], _cell(text.get("seed")), text["text"])
        for stage, texts in written.items()
        for text in texts
    )
    return _written(("stage", "prompt", "sample", "seed", "text"), rows)


def _cell(value: Any) -> Any:
    return "" if value is None else value


def _written(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    target = io.StringIO()
    writer = csv.writer(target)
    writer.writerow(head)
    writer.writerows(rows)
    return target.getvalue()
