"""Benchmarks of a run: measure its models in tasks of the evaluation harness, and what was measured of them so far."""

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from unlearning_core.errors import InputError, WorkbenchError
from unlearning_core.evaluation.suite import Frames
from unlearning_core.methods.registry import NEVER_KNEW, states_of
from unlearning_core.progress import ProgressCallback, silent
from unlearning_core.runs.context import RunContext
from unlearning_core.runs.pipeline import execute, pending
from unlearning_core.runs.run import Run
from unlearning_core.runs.stages.benchmark import KIND, Asked, benchmark_stages, step_of, weights_of
from unlearning_core.runs.store import digest

COLUMNS = (
    "asked", "task", "metric", "filter", "state", "value", "stderr", "difference", "difference_stderr", "paired",
    "examples", "of", "better", "shots", "version",
)  # fmt: skip
"""Of the table: a row a task, metric and state. `asked` is the task, group or tag that was asked for."""

_NAME = re.compile(r"[\w.()+-]+")


def benchmark(
    run: Run,
    tasks: Sequence[str],
    progress: ProgressCallback = silent,
    *,
    folder: Path | None = None,
    limit: int | None = None,
    shots: int | None = None,
    states: Sequence[str] = (),
) -> pd.DataFrame:
    """Bring the run to its end and measure its models in these tasks; what is up to date is not measured again.

    Args:
        folder: of the person's own tasks (evaluation/benchmarks.py).
        limit: examples of each task; None: all.
        shots: solved examples before each question; None: as the task has it.
        states: of the model; the base is always measured. None given: all, and the never-knew model where there is one.

    Returns:
        The rows of `table` of these tasks and states.

    Raises:
        InputError: the harness is not installed, there is no such task or state, or a task cannot be loaded; else as
            `pipeline.execute`.
    """
    from unlearning_core.evaluation.benchmarks import Harness

    if strange := [name for name in tasks if not _NAME.fullmatch(name)]:
        raise InputError(f"--tasks: no task can be called {strange[0]!r}. Give names with commas between them.")
    harness, context = Harness(folder), RunContext(run)
    chosen = _states(context, states)
    asked = [Asked(name, limit, shots, _content(harness, name)) for name in dict.fromkeys(tasks)]
    stages = benchmark_stages(asked, chosen, harness)
    waiting = pending(context, stages)
    for one in asked:  # before hours of training, not after them
        if any(step_of(one.name, state) in waiting for state in chosen):
            harness.load(one.name)
    execute(run, progress, further=stages)
    found = table(run)
    return found[found["asked"].isin(tasks) & found["state"].isin(chosen)].reset_index(drop=True)


def _states(context: RunContext, wanted: Sequence[str]) -> list[str]:
    there = [*states_of(context.config), *([NEVER_KNEW] if context.config.never_knew.model is not None else [])]
    if unknown := [state for state in wanted if state not in there]:
        raise InputError(f"--state: this run has no {unknown[0]!r} model. Choose of: {', '.join(there)}.")
    return [state for state in there if not wanted or state in wanted or state == "base"]


def _content(harness: Any, name: str) -> str:
    """What a task is made of; of one that comes with the harness, or from the Hub, the harness's version tells it."""
    from unlearning_core.models.checksums import sha256_of

    if not harness.is_own(name):
        return f"lm-eval {harness.version}"
    return digest([harness.version, *(sha256_of(file) for file in harness.sources(name))])


def table(run: Run) -> pd.DataFrame:
    """What was measured of the run's models as they are now, with each state's difference to the base.

    Returns:
        Columns `COLUMNS`; no rows where nothing was. A state that was asked in another way than the base (another
        limit, another version of the task) is left out. `difference` and its standard error are NaN for the base.
    """
    context, rows = RunContext(run), list[dict[str, Any]]()
    names = dict.fromkeys(step.split()[1] for step in run.status()["stages"] if step.split()[0] == KIND)
    for name in names:
        base = _measured(context, name, "base")
        for state in [*states_of(context.config), NEVER_KNEW]:
            own = base if state == "base" else _measured(context, name, state)
            if base is not None and own is not None and own[0] == base[0]:
                rows += _rows(name, state, base[1], own[1])
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _measured(context: RunContext, name: str, state: str) -> tuple[str, Frames] | None:
    """How the state was asked that task, and what it scored, if that is of the weights as they are now."""
    step = step_of(name, state)
    summary = context.run.status()["stages"].get(step, {}).get("summary") or {}
    frames = context.run.benchmark_frames(name, state)
    try:
        current = frames is not None and summary.get("weights") == weights_of(context, state)
    except (WorkbenchError, OSError):  # its model is gone: not up to date
        return None
    return (str(summary.get("task")), frames) if current and frames is not None else None


def _rows(name: str, state: str, base: Frames, own: Frames) -> list[dict[str, Any]]:
    from unlearning_core.evaluation.paired_scores import change

    rows, keys = [], ["task", "metric", "filter"]
    known = base["scores"].set_index(keys)
    for _, score in own["scores"].iterrows():
        row = {"asked": name, "state": state, **{key: score[key] for key in score.index if key in COLUMNS}}
        row |= {"difference": math.nan, "difference_stderr": math.nan, "paired": False}
        key = tuple(score[keys])
        if state != "base" and key in known.index:
            tasks = score["members"].split() or [score["task"]]
            samples = [_samples(frames["samples"], tasks, score) for frames in (base, own)]
            found = change(known.loc[key], score, *samples)
            row |= {
                "difference": found.difference.value,
                "difference_stderr": found.difference.stderr,
                "paired": found.paired,
            }
        rows.append(row)
    return rows


def _samples(samples: pd.DataFrame, tasks: Sequence[str], score: pd.Series) -> pd.DataFrame:
    of_metric = (samples["metric"] == score["metric"]) & (samples["filter"] == score["filter"])
    return samples[of_metric & samples["task"].isin(tasks)]
