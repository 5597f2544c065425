"""The benchmarks of a run, for people: a row a task and metric, a column a state and its change against the base."""

import math

import pandas as pd

from unlearning_core.evaluation.ratio import INTERVAL_NOTE, format_value
from unlearning_core.methods.registry import state_title

_ARROWS = {"higher": " ↑", "lower": " ↓", "": ""}

NOTE = (
    f"{INTERVAL_NOTE} ↑: higher is better, ↓: lower is better. A change is that of the same examples, one by one, "
    "unless “unpaired” stands beside it. A number without ± has an error that is not known, or none of its examples "
    "differed."
)


def benchmark_rows(table: pd.DataFrame) -> list[dict[str, str]]:
    """The table (runs/benchmarks.py) with a row a task and metric, cells in words; a dash where there is nothing."""
    states = list(dict.fromkeys(table["state"]))
    rows = []
    for (_, task, metric, kept), scores in table.groupby(["asked", "task", "metric", "filter"], sort=False):
        first = scores.iloc[0]
        counted = f"{first['examples']:,}" if first["examples"] == first["of"] else f"first {first['examples']:,}"
        row = {
            "Task": str(task),
            "Metric": f"{metric}{'' if kept == 'none' else f' ({kept})'}{_ARROWS[first['better']]}",
            "Examples": counted if first["examples"] == first["of"] else f"{counted} of {first['of']:,}",
            "Shots": str(first["shots"]),
        }
        by_state = scores.set_index("state")
        for state in states:
            known = by_state.loc[state] if state in by_state.index else None
            row[state_title(state)] = "–" if known is None else _with_error(known["value"], known["stderr"])
            if state != "base":
                row[f"{state_title(state)}: change"] = "–" if known is None else _change(known)
        rows.append(row)
    return rows


def _with_error(value: float, stderr: float) -> str:
    # The harness has an error of 0 where every example gave the same, which says nothing of the error.
    return format_value(value, stderr if stderr > 0 else None)


def _change(row: pd.Series) -> str:
    sign = "+" if row["difference"] > 0 else ""
    unpaired = "" if row["paired"] or math.isnan(row["difference_stderr"]) else " unpaired"
    return f"{sign}{_with_error(row['difference'], row['difference_stderr'])}{unpaired}"
