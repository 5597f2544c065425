"""Evaluate a run: is the concept gone, what did it cost, does it come back? Here, or in a process of its own."""

from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unlearning_core.errors import InputError
from unlearning_core.files import read_object
from unlearning_core.jobs.limits import NONE, Limits
from unlearning_core.jobs.liveness import is_working_in
from unlearning_core.jobs.process import launch, request_stop
from unlearning_core.jobs.status import JOB_FILE, tail
from unlearning_core.jobs.worker import JobContext
from unlearning_core.methods.registry import NEVER_KNEW, states_of
from unlearning_core.progress import ProgressCallback, silent
from unlearning_core.runs.checks import check_proof
from unlearning_core.runs.context import RunContext
from unlearning_core.runs.pipeline import execute
from unlearning_core.runs.proof_evidence import RACE
from unlearning_core.runs.run import Run
from unlearning_core.runs.stages.proof import proof_stages

if TYPE_CHECKING:
    from unlearning_core.models.loading import LoadedModel

JOB = "proof"


def prove(
    run: Run,
    progress: ProgressCallback = silent,
    *,
    parts: Collection[str] | None = None,
    states: Collection[str] | None = None,
    quick: bool = False,
    base: "LoadedModel | None" = None,
    waiting: Callable[[str], object] | None = None,
) -> dict[str, Any]:
    """Bring the run to its end and measure every state of its model; what is up to date is not measured again.

    Args:
        parts: names of parts of the suite (evaluation/parts.py); None: all.
        states: that methods made and that are measured, beside the base; None: all.
        quick: with about a quarter of the work.
        base: as for `pipeline.execute`; so is `waiting`.

    Returns:
        `verdict.json`.

    Raises:
        InputError: there is no such part, or a file of the evaluation cannot be read; else as `pipeline.execute`.
    """
    context = RunContext(run)
    check_proof(context.config, context.source)
    stages = proof_stages(context, parts=parts, states=states, quick=quick)
    execute(run, progress, further=stages, base=base, waiting=waiting)
    found = run.verdict()
    assert found is not None
    return found


def start(run: Run, parts: Collection[str] | None = None, *, quick: bool = False, limits: Limits = NONE) -> int:
    """Do it in a process of its own; returns its process id.

    Raises:
        InputError: somebody works on the run already.
    """
    return _start(run, "prove_job", {"parts": None if parts is None else sorted(parts), "quick": quick}, limits)


def _start(run: Run, job: str, asked: dict[str, Any], limits: Limits) -> int:
    if is_running(run) or run.manifest.worker() is not None:
        raise InputError(run.manifest.busy_sentence())
    values = {"run": str(run.folder.resolve()), **asked}
    folder, target = run.job_folder(JOB), f"{__name__}:{job}"
    return launch(folder, target, values, title="evaluation", limits=limits.to_dict()).pid


def race(run: Run, progress: ProgressCallback = silent) -> None:
    """Let the run's last state and the never-knew model learn the concept again, at the size of a quick look.

    A verdict asks for more and is not drawn; a race that is measured already, at whatever size, stays.

    Raises:
        InputError, WorkFailed, Stopped: as `prove`.
    """
    from unlearning_core.runs.proof_standing import measured

    context = RunContext(run)
    check_proof(context.config, context.source)
    wanted = {f"{RACE} {state}" for state in racers(run)} - set(measured(run))
    execute(run, progress, further=[s for s in proof_stages(context, parts=[RACE], quick=True) if s.name in wanted])


def racers(run: Run) -> list[str]:
    """The states that `race` compares: the last one, and the never-knew model where the settings name one."""
    config = run.config
    return [states_of(config)[-1], *([NEVER_KNEW] if config.never_knew.model is not None else [])]


def start_race(run: Run, limits: Limits = NONE) -> int:
    """Do that in a process of its own, which is watched and stopped as an evaluation; returns its process id.

    Raises:
        InputError: somebody works on the run already.
    """
    return _start(run, "race_job", {"parts": [RACE], "quick": True}, limits)


def race_job(values: dict[str, Any], context: JobContext) -> None:
    """What that process runs."""
    race(Run(Path(values["run"])), context.progress)


def prove_job(values: dict[str, Any], context: JobContext) -> None:
    """What that process runs."""
    prove(Run(Path(values["run"])), context.progress, parts=values["parts"], quick=values["quick"])


def is_running(run: Run) -> bool:
    """Whether a process that `start` started, from here or elsewhere, evaluates the run."""
    return is_working_in(run.job_folder(JOB))


def asked(run: Run) -> dict[str, Any]:
    """What the last process was asked to do: `parts` (None: all) and `quick`."""
    values = read_object(run.job_folder(JOB) / JOB_FILE).get("values") or {}
    return {"parts": values.get("parts"), "quick": values.get("quick", False)}


def stop(run: Run) -> None:
    """Ask it to stop; what was measured is kept."""
    request_stop(run.job_folder(JOB))


def last_words(run: Run) -> str:
    """The last line that the process printed."""
    return "".join(tail(run.job_folder(JOB), 1))
