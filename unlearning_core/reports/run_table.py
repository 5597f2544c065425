"""Many runs below each other: a line a run with what was set and what came out."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pandas as pd

from unlearning_core.errors import InputError
from unlearning_core.evaluation.registry import METRICS
from unlearning_core.reports.run_report import short
from unlearning_core.runs.naming import shown_name
from unlearning_core.runs.run import Run

COLUMNS = (
    "run", "name", "made", "state", "reached", "last", "verdict", "model", "concept", "ranker", "site", "ratio", "cut",
)  # fmt: skip
"""Of the table, before those of the metrics: `name` is the one that a person gave, or else model and concept; `state`
is that of the run, `last` the last state of its model that is measured, `verdict` the one on it.
"""

DAMAGED = "damaged"


def run_table(runs: Sequence[Run]) -> pd.DataFrame:
    """A row a run, in the order given, with the columns of `COLUMNS`; empty cells where nothing is known yet.

    Behind them a column "STATE.METRIC", such as "pruned.forget_delta", for each model state after base and each metric
    that the registry has for the table of runs, where any run has a value. A run whose files cannot be read is a row
    with the state "damaged".
    """
    rows = [_row(run) for run in runs]
    of_metrics = dict.fromkeys(name for row in rows for name in row if name not in COLUMNS)
    return pd.DataFrame(rows, columns=[*COLUMNS, *of_metrics])


def _row(run: Run) -> dict[str, Any]:
    row: dict[str, Any] = {"run": run.id, "name": shown_name(run), "made": _made(run)}
    try:
        config, status, metrics, judged = run.config, run.status(), run.metrics() or {}, run.verdict()
        proof = run.proof_metrics() or {}
        probing, stages = config.neural_probing, status["stages"]
    except (InputError, ValueError, KeyError):
        return row | {"state": DAMAGED}
    finished = [name for name, known in stages.items() if known.get("state") == "finished"]
    row |= {
        "state": status["state"],
        "reached": finished[-1] if finished else None,
        "last": next((state for state in reversed(metrics) if state != "base"), None),
        "verdict": judged["verdict"] if judged is not None else None,
        "model": short(config.base_model.base_model_path),
        "concept": probing.activations_label or short(probing.concept_definition),
        "ranker": probing.ranker,
        "site": probing.site,
        "ratio": probing.prune_ratio,
        "cut": (stages.get("prune", {}).get("summary") or {}).get("cut"),
    }
    for state, measured in metrics.items():
        values = proof.get(state, {}) | measured
        of_state = {} if state == "base" else {name: values[name] for name in METRICS if values.get(name) is not None}
        row |= {f"{state}.{name}": value for name, value in of_state.items() if "runs" in METRICS[name].shown_in}
    return row


def _made(run: Run) -> datetime | None:
    """When it was made, as its id says; None for a folder that somebody called otherwise."""
    try:
        return datetime.strptime(run.id[:15], "%Y%m%d-%H%M%S")
    except ValueError:
        return None


def states_in(table: pd.DataFrame) -> list[str]:
    """The states of the model that a table of runs has metrics of."""
    return list(dict.fromkeys(column.split(".", 1)[0] for column in table.columns if column not in COLUMNS))


def of_state(table: pd.DataFrame, state: str | None) -> pd.DataFrame:
    """A table of runs with its metrics of one state only: the columns of `COLUMNS`, then one a metric, by its name.

    Args:
        table: as `run_table` gives it.
        state: which state of the model; None for the last one of each run.
    """
    found = table[list(COLUMNS)].copy()
    names = {column.split(".", 1)[1] for column in table.columns if column not in COLUMNS}
    for name in (name for name in METRICS if name in names):
        found[name] = float("nan")
        for one in states_in(table):
            if f"{one}.{name}" in table:
                rows = table["last"] == one if state is None else pd.Series(one == state, table.index)
                found.loc[rows, name] = table.loc[rows, f"{one}.{name}"].astype(float)
    return found
