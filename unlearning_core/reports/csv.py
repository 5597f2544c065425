"""Metrics and texts of a run as CSV, for a spreadsheet."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from unlearning_core.evaluation.registry import Values


def metrics_csv(metrics: Values) -> str:
    """A line a model state and metric: stage, metric, value, stderr; an empty cell where there is none."""
    rows = (
        (state, name, value, values.get(f"{name}_stderr"))
        for state, values in metrics.items()
        for name, value in values.items()
        if not name.endswith("_stderr")
    )
    return _csv(("stage", "metric", "value", "stderr"), rows)


def generations_csv(written: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """A line a text: stage (the model state), prompt, sample, seed, text."""
    rows = (
        (state, text["prompt"], text["sample"], text.get("seed"), text["text"])
        for state, texts in written.items()
        for text in texts
    )
    return _csv(("stage", "prompt", "sample", "seed", "text"), rows)


def _csv(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    # dtype object: a column with an empty cell would turn whole numbers into fractions.
    return pd.DataFrame(list(rows), columns=list(head), dtype=object).to_csv(index=False, lineterminator="\r\n")
