"""Metrics and texts of a run as CSV, for a spreadsheet.

A spreadsheet takes a cell that begins with `=`, `+`, `-`, `@`, a tab or a line break for a formula, which can send
what stands beside it elsewhere. A text that begins so, or with an apostrophe, has one apostrophe more before it, the
spreadsheets' own mark of a text; without the first apostrophe it is what it was. Numbers stay numbers, negative ones
too.
(OWASP, CSV Injection: https://owasp.org/www-community/attacks/CSV_Injection.)
"""

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


_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def _as_text(cell: Any) -> Any:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith((*_FORMULA, "'")) else cell


def _csv(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    # dtype object: a column with an empty cell would turn whole numbers into fractions.
    cells = [[_as_text(cell) for cell in row] for row in rows]
    return pd.DataFrame(cells, columns=list(head), dtype=object).to_csv(index=False, lineterminator="\r\n")
