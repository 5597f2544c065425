"""The search of a run's recipe in a process of its own, for a page that must not wait; the run's folder tells of it."""

import shutil
from pathlib import Path
from typing import Any

from unlearning_core.errors import InputError
from unlearning_core.jobs.limits import NONE
from unlearning_core.jobs.limits import Limits as JobLimits
from unlearning_core.jobs.liveness import is_working_in
from unlearning_core.jobs.process import launch, request_stop
from unlearning_core.jobs.status import JobStatus, status
from unlearning_core.jobs.worker import JobContext
from unlearning_core.runs.run import Run
from unlearning_core.runs.tuning.tuned_runs import NOTE, around

JOB = "tuning"


def start(run: Run, seconds: float, limits: JobLimits = NONE) -> int:
    """Search around the run's settings in a new process; returns its process id.

    What was tried before is kept and gone on with, so long as only the recipe in the settings has changed.

    Raises:
        InputError: somebody works on the run already.
    """
    if is_running(run) or run.manifest.worker() is not None:
        raise InputError(run.manifest.busy_sentence())
    values = {"run": str(run.folder.resolve()), "seconds": seconds}
    folder, target = run.job_folder(JOB), f"{__name__}:search"
    return launch(folder, target, values, title="search of the settings", limits=limits.to_dict()).pid


def search(values: dict[str, Any], context: JobContext) -> None:
    """What the process runs."""
    from unlearning_core.runs.tuning.found import keep, keep_rows
    from unlearning_core.runs.tuning.search import Limits, RecipeSearch

    run = Run(Path(values["run"]))
    if is_of_other_settings(run):  # no answer for these; the runs of its trials stay
        shutil.rmtree(run.tuning_folder, ignore_errors=True)
    note = run.note(NOTE) or {}
    run.write_note(NOTE, note | {"around": around(run.config), "before": 0.0})
    limits = Limits(float(values["seconds"]), more=True)
    found = RecipeSearch(run, run.config, limits, lambda so_far: keep_rows(run, so_far)).compute(context.progress)
    keep(run, found)


def is_of_other_settings(run: Run) -> bool:
    """Whether the trials that are kept are of settings that the run has no more, but for the recipe."""
    known = (run.note(NOTE) or {}).get("around")
    return known is not None and known != around(run.config)


def is_running(run: Run) -> bool:
    """Whether a process that `start` started, from here or elsewhere, searches the run's recipe."""
    return is_working_in(run.job_folder(JOB))


def stop(run: Run) -> None:
    """Ask it to stop; what was tried is kept."""
    request_stop(run.job_folder(JOB))


def state(run: Run) -> JobStatus:
    """How far it is, or how it ended."""
    return status(run.job_folder(JOB))
