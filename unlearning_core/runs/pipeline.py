"""The whole path as a list of stages: what the CLI runs in one go and the pages step through.

A stage is run when its fingerprint, a digest of everything its outcome depends on, is not the one it was last finished
with. A stage that another run finished with the same fingerprint is taken over from there by hard links.
"""

import logging
import os
import time
from collections.abc import Iterable

from unlearning_core import distributed
from unlearning_core.errors import InputError, Stopped, WorkbenchError
from unlearning_core.logs import logging_to
from unlearning_core.progress import Progress, ProgressCallback, silent
from unlearning_core.jobs.liveness import identity
from unlearning_core.runs.run import Run, digest, list_runs, reuse
from unlearning_core.runs.stages import STAGES, Stage
from unlearning_core.runs.context import RunContext

log = logging.getLogger(__name__)

FORMAT = 1
"""Part of every fingerprint: raised when a stage's outcome changes for the same inputs."""


def stage_names() -> list[str]:
    """The stages in their order."""
    return [stage.name for stage in STAGES]


def execute(
    run: Run, progress: ProgressCallback = silent, *, until: str | None = None, context: RunContext | None = None
) -> None:
    """Bring the run up to date, to the end or through the stage `until`.

    Raises:
        InputError: a person's mistake in the settings or the input.
        Stopped: on Ctrl-C or when `progress` raises it; finished stages are kept.
        WorkFailed: something broke.
    """
    if until is not None and until not in stage_names():
        raise InputError(f"There is no stage {until!r}. The stages are: {', '.join(stage_names())}.")
    if not distributed.is_main():
        _execute(run, RunContext(run), _wanted(until))
        return
    with logging_to(run.folder / "log.txt"):
        log.info("run %s: %s", run.id, run.config.model_dump_json())
        run.set_status(state="running", message="", process=identity(os.getpid()))
        try:
            context, stages = context or RunContext(run, _recording(run, progress)), _wanted(until)
            _execute(run, context, stages)
        except BaseException as error:
            raise _record_failure(run, error) from error
        finished = not any(stage.applies(context) for stage in STAGES[len(stages) :])
        run.set_status(state="finished" if finished else "waiting", stage=None, process=None)
        run.event("run", state="finished" if finished else "waiting")


def _wanted(until: str | None) -> list[Stage]:
    stages = []
    for stage in STAGES:
        stages.append(stage)
        if stage.name == until:
            break
    return stages


def _execute(run: Run, context: RunContext, stages: Iterable[Stage]) -> None:
    for stage in stages:
        if not stage.applies(context):
            continue
        print_of_stage = distributed.share(fingerprint(stage, context) if distributed.is_main() else None)
        needed = distributed.share(
            not _finish_without_work(run, stage, print_of_stage) if distributed.is_main() else None
        )
        if not needed:
            continue
        if distributed.is_main():
            _run_stage(run, context, stage, print_of_stage)
        elif stage.collective:
            stage.run(context)
        distributed.share(None)


def fingerprint(stage: Stage, context: RunContext) -> str:
    """Digest of the stage's own inputs and of the fingerprints of the stages it builds on."""
    known = context.run.status()["stages"]
    above = {name: known.get(name, {}).get("fingerprint") for name in stage.needs}
    return digest({"format": FORMAT, "stage": stage.name, "inputs": stage.inputs(context), "above": above})


def is_finished(run: Run, stage: Stage, wanted: str) -> bool:
    """Whether the stage was finished with this fingerprint and its files are still there."""
    state = run.status()["stages"].get(stage.name, {})
    return (
        state.get("state") == "finished"
        and state.get("fingerprint") == wanted
        and all((run.folder / name).exists() for name in stage.outputs)
    )


def finished_stages(run: Run) -> frozenset[str]:
    """Stages whose result is there and belongs to the settings as they are now."""
    context = RunContext(run)
    left_out, done = {stage.name for stage in STAGES if not stage.applies(context)}, set[str]()
    for stage in STAGES:
        try:
            if set(stage.needs) <= done | left_out and is_finished(run, stage, fingerprint(stage, context)):
                done.add(stage.name)
        except (WorkbenchError, OSError):  # its source is gone: not up to date
            continue
    return frozenset(done)


def _finish_without_work(run: Run, stage: Stage, wanted: str) -> bool:
    """Whether nothing is to be done: the stage is up to date here, or could be taken over from another run."""
    if is_finished(run, stage, wanted):
        log.info("%s: unchanged", stage.name)
        run.event("stage", stage=stage.name, state="unchanged")
        return True
    for other in list_runs(run.folder.parent):
        if other.id == run.id or not is_finished(other, stage, wanted):
            continue
        for name in stage.outputs:
            reuse(other.folder / name, run.folder / name)
        summary = other.status()["stages"][stage.name].get("summary", {})
        run.set_stage(stage.name, state="finished", fingerprint=wanted, seconds=0, summary=summary, taken_from=other.id)
        run.event("stage", stage=stage.name, state="taken over", run=other.id)
        log.info("%s: taken over from %s", stage.name, other.id)
        return True
    return False


def _run_stage(run: Run, context: RunContext, stage: Stage, wanted: str) -> None:
    started = time.monotonic()
    run.set_status(stage=stage.name)
    run.set_stage(stage.name, state="running", fingerprint=None)
    run.event("stage", stage=stage.name, state="running")
    log.info("%s: started", stage.name)
    context.progress(Progress(stage.title, 0))
    summary = stage.run(context)
    seconds = round(time.monotonic() - started, 2)
    run.set_stage(stage.name, state="finished", fingerprint=wanted, seconds=seconds, summary=summary)
    run.event("stage", stage=stage.name, state="finished", seconds=seconds, summary=summary)
    log.info("%s: finished in %.1f s: %s", stage.name, seconds, summary)


def _recording(run: Run, progress: ProgressCallback) -> ProgressCallback:
    """Pass progress on, and every two seconds into the run's events, so that a page that was closed can catch up."""
    last = 0.0

    def report(update: Progress) -> None:
        nonlocal last
        progress(update)
        now = time.monotonic()
        if now - last >= 2:
            last = now
            run.event("progress", task=update.task, done=update.done, total=update.total, unit=update.unit)

    return report


def _record_failure(run: Run, error: BaseException) -> BaseException:
    """Note in the run how it ended; a stray exception keeps its traceback in the log."""
    if isinstance(error, KeyboardInterrupt):
        error = Stopped(f"Stopped. What was finished is kept in {run.folder}; run the same command again to go on.")
    state = "stopped" if isinstance(error, Stopped) else "failed"
    stage = run.status().get("stage")
    if isinstance(error, WorkbenchError):
        log.error("%s: %s", state, error)
    else:
        log.exception("%s in stage %s", state, stage)
    try:
        if stage:
            run.set_stage(stage, state=state)
        run.set_status(state=state, message=str(error), process=None)
        run.event("run", state=state, message=str(error))
    except WorkbenchError:
        log.exception("the run's status could not be written")  # a full disk: the first error is the one to tell
    return error
