"""Many runs side by side: a line a run with what was set and what came out, and in what two runs differ."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import pandas as pd

from unlearning_core.errors import InputError
from unlearning_core.reports.run_report import settings, short
from unlearning_core.runs.run import Run

COLUMNS = (
    *("run", "made", "state", "reached", "model", "concept", "ranker", "site", "ratio", "cut"),
    *("forget_delta", "retain_delta", "after_forget_delta", "after_retain_delta", "never_knew_kl_forget"),
)
"""Of the table: forget and retain delta of the pruned model, then of the retrained one (`after_`), which also has the
divergence from the never-knew model on the concept."""

DAMAGED = "damaged"


def run_table(runs: Sequence[Run]) -> pd.DataFrame:
    """A row a run, in the order given, with the columns of `COLUMNS`; empty cells where nothing is known yet.

    A run whose files cannot be read is a row with the state "damaged".
    """
    return pd.DataFrame([_row(run) for run in runs], columns=list(COLUMNS))


def _row(run: Run) -> dict[str, Any]:
    row: dict[str, Any] = {"run": run.id, "made": datetime.strptime(run.id[:15], "%Y%m%d-%H%M%S")}
    try:
        config, status, metrics = run.config, run.status(), run.metrics() or {}
        probing, stages = config.neural_probing, status["stages"]
    except (InputError, ValueError, KeyError):
        return row | {"state": DAMAGED}
    finished = [name for name, known in stages.items() if known.get("state") == "finished"]
    summary = stages.get("prune", {}).get("summary") or {}
    pruned, retrained = metrics.get("pruned", {}), metrics.get("retrained", {})
    return row | {
        "state": status["state"],
        "reached": finished[-1] if finished else None,
        "model": short(config.base_model.base_model_path),
        "concept": probing.activations_label or short(probing.concept_definition),
        "ranker": probing.ranker,
        "site": probing.site,
        "ratio": probing.prune_ratio,
        "cut": summary.get("cut"),
        "forget_delta": pruned.get("forget_delta"),
        "retain_delta": pruned.get("retain_delta"),
        "after_forget_delta": retrained.get("forget_delta"),
        "after_retain_delta": retrained.get("retain_delta"),
        "never_knew_kl_forget": retrained.get("never_knew_kl_forget"),
    }


def different_settings(one: Run, other: Run) -> pd.DataFrame:
    """Settings that two runs do not share: columns setting, one, other; a dash where a run has no such setting.

    Where a run is written (`output_dir`) is no difference. Raises InputError when a run's settings cannot be read.
    """
    left, right = settings(one.config), settings(other.config)
    names = [name for name in dict.fromkeys([*left, *right]) if name != "output_dir"]
    rows = [(name, left.get(name, "–"), right.get(name, "–")) for name in names if left.get(name) != right.get(name)]
    return pd.DataFrame(rows, columns=["setting", "one", "other"], dtype="str")


def side_by_side(one: Mapping[str, Any] | None, other: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """(stage, metric) pairs that at least one of two `metrics.json` has a value for, without standard errors."""
    found: dict[tuple[str, str], None] = {}
    for metrics in (one or {}, other or {}):
        for stage, values in metrics.items():
            found |= {(stage, n): None for n, v in values.items() if v is not None and not n.endswith("_stderr")}
    return list(found)
