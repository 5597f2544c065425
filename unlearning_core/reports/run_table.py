"""Many runs side by side: a line a run with what was set and what came out, and in what two runs differ."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pandas as pd

from unlearning_core.errors import InputError
from unlearning_core.evaluation.registry import METRICS, Values, formatted, shown
from unlearning_core.reports.run_report import settings, short
from unlearning_core.runs.run import Run

COLUMNS = ("run", "made", "state", "reached", "verdict", "model", "concept", "ranker", "site", "ratio", "cut")
"""Of the table, before those of the metrics; `state` is that of the run, `verdict` that on the last state of its model.
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
    row: dict[str, Any] = {"run": run.id, "made": datetime.strptime(run.id[:15], "%Y%m%d-%H%M%S")}
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


def different_settings(one: Run, other: Run) -> pd.DataFrame:
    """Settings that two runs do not share: columns setting, one, other; a dash where a run has no such setting.

    Where a run is written (`output_dir`) is no difference. Raises InputError when a run's settings cannot be read.
    """
    left, right = settings(one.config), settings(other.config)
    names = [name for name in dict.fromkeys([*left, *right]) if name != "output_dir"]
    rows = [(name, left.get(name, "–"), right.get(name, "–")) for name in names if left.get(name) != right.get(name)]
    return pd.DataFrame(rows, columns=["setting", "one", "other"], dtype="str")


def metrics_of_two(one: Values, other: Values) -> pd.DataFrame:
    """Two `metrics.json` side by side: columns metric (its title), model (the state), first, second.

    A row for each metric and state that either has a value for, in the order of the registry; values with half their
    95 % interval.
    """
    either: dict[str, dict[str, float]] = {}
    for metrics in (one, other):
        for state, values in metrics.items():
            either.setdefault(state, {}).update({name: value for name, value in values.items() if value is not None})
    rows = [
        (metric.full_title, state, *(formatted(metrics.get(state, {}), metric.name) for metrics in (one, other)))
        for metric in shown(either, "table")
        for state, values in either.items()
        if metric.name in values
    ]
    return pd.DataFrame(rows, columns=["metric", "model", "first", "second"], dtype="str")
