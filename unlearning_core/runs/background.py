"""The rest of a run in a process of its own, for a page that must not wait: watched and stopped by the run's folder."""

from pathlib import Path
from typing import Any

from unlearning_core.errors import InputError
from unlearning_core.jobs.limits import NONE, Limits
from unlearning_core.jobs.liveness import is_working_in
from unlearning_core.jobs.process import launch, request_stop
from unlearning_core.jobs.status import status, tail
from unlearning_core.jobs.worker import JobContext
from unlearning_core.runs.run import Run


def start(run: Run, until: str | None = None, limits: Limits = NONE) -> int:
    """Go on with `run` in a new process, to the end or through the stage `until`; returns its process id.

    Raises:
        InputError: one is at work on it already.
    """
    if is_running(run) or run.manifest.worker() is not None:
        raise InputError(run.manifest.busy_sentence())
    values = {"run": str(run.folder.resolve()), "until": until}
    return launch(run.job_folder("background"), f"{__name__}:resume", values, title="run", limits=limits.to_dict()).pid


def resume(values: dict[str, Any], context: JobContext) -> None:
    """What the process runs."""
    from unlearning_core.runs.pipeline import execute

    execute(Run(Path(values["run"])), context.progress, until=values["until"])


def is_running(run: Run) -> bool:
    """Whether a process that `start` started, from here or elsewhere, works on the run."""
    return is_working_in(run.job_folder("background"))


def stop(run: Run) -> None:
    """Ask it to stop: a retraining with a checkpoint, anything else at once; what was finished is kept."""
    training = run.training_folder
    if status(training).live:
        request_stop(training)
    if is_running(run):
        request_stop(run.job_folder("background"))


def last_words(run: Run) -> str:
    """The last line that the process printed, for one that ended without a word in the run's status."""
    return "".join(tail(run.job_folder("background"), 1))
