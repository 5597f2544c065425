"""The whole path as a list of stages: what the CLI runs in one go and the pages step through.

A stage is run when its fingerprint, a digest of everything its outcome depends on, is not the one it was last finished
with. A stage whose result is in the store already, because another run made it, is taken over by pointing at it.
"""

import logging
import re
import secrets
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from unlearning_core import distributed
from unlearning_core.config.schema import ExperimentConfig
from unlearning_core.errors import InputError, Stopped, WorkbenchError, WorkFailed
from unlearning_core.files import PROGRAM, disk_errors, write_json
from unlearning_core.logs import logging_to
from unlearning_core.progress import Progress, ProgressCallback, silent
from unlearning_core.runs.checks import check_settings, check_start
from unlearning_core.runs.context import RunContext
from unlearning_core.runs.listing import list_runs
from unlearning_core.runs.manifest import kind_of
from unlearning_core.runs.naming import concept_name
from unlearning_core.runs.run import BEFORE_A_CUT, CONFIG, Run, config_digest
from unlearning_core.runs.sources import keep_sources, word_sources
from unlearning_core.runs.stages.registry import stages_of
from unlearning_core.runs.stages.stage import Stage
from unlearning_core.runs.store import Artifact, Store, digest, now

if TYPE_CHECKING:
    from unlearning_core.models.loading import LoadedModel

log = logging.getLogger(__name__)

PLANNED = "planned"
"""Where a run would be that is only looked ahead to; the folder is never made."""

FORMAT = 1
"""Part of every fingerprint: raised when a stage's outcome changes for the same inputs."""


def create_run(config: ExperimentConfig, root: Path | None = None, *, concept_is_chosen: bool = True) -> Run:
    """Make a new run folder under `root` (the config's output_dir) with the resolved config and the words in it.

    Args:
        concept_is_chosen: whether the folder is named for the concept too; a name stays when another one is chosen.

    Raises:
        InputError: there is no such ranker or method, or its parameters are not its own; nothing is made then.
    """
    _check_choices(config)
    base = root if root is not None else Path(config.output_dir)
    folder = base / f"{datetime.now():%Y%m%d-%H%M%S}-{_label(config, concept_is_chosen)}-{secrets.token_hex(3)}"
    with disk_errors(folder):
        folder.mkdir(parents=True)
    run = Run(folder)
    write_json(folder / CONFIG, config.model_dump())
    run.manifest.update(state="new", created=now(), config_digest=config_digest(config))
    keep_sources(run, word_sources(config))
    return run


def _label(config: ExperimentConfig, with_concept: bool) -> str:
    """A short name of the model, and of the concept where it is chosen, for the folder's name."""
    model = Path(config.base_model.base_model_path).name or "model"
    name = f"{model}-{concept_name(config)}" if with_concept else model
    return re.sub(r"[^\w.-]+", "_", name)[:60].strip("-_.") or "run"


def find_run(config: ExperimentConfig, root: Path) -> Run | None:
    """The newest run of exactly these settings, finished or not."""
    wanted = config_digest(config)
    return next((run for run in list_runs(root) if _has(run, wanted)), None)


def check_new_run(
    config: ExperimentConfig, root: Path, progress: ProgressCallback = silent, *, with_model: bool = True
) -> "LoadedModel | None":
    """Refuse what the start of a new run would refuse, before a folder is made; returns the base model if it was read.

    Raises:
        InputError, WorkFailed: as `check_start`.
    """
    _check_choices(config)
    context = RunContext(Run(root / PLANNED), progress, config=config)
    stages = stages_of(config)
    if with_model:
        check_start(context, pending(context, stages))
    else:
        # To tell what is in the store already, the whole model would have to be read.
        check_settings(context, [stage.name for stage in stages if stage.applies(context)])
    return context.ranked_base_in_memory()


def _check_choices(config: ExperimentConfig) -> None:
    from unlearning_core.methods.registry import methods_of
    from unlearning_core.rankers.registry import get_ranker

    get_ranker(config.neural_probing.ranker).check(config.neural_probing.ranker_parameters)
    methods_of(config)


def find_or_create_run(config: ExperimentConfig, root: Path) -> tuple[Run, bool]:
    """The newest run of exactly these settings, finished or not, else a new one; and whether it was there.

    How a run is evaluated makes no other run of it: one that is there is evaluated as `config` says from now on. Two
    processes that ask at the same time get the same run.
    """
    with Store(root).lock():
        known = find_run(config, root)
        if known is None:
            return create_run(config, root), False
        if (own := known.config).proof != config.proof:
            own.proof = config.proof
            known.save_config(own)
        return known, True


def _has(run: Run, wanted: str) -> bool:
    """Whether the run has these settings, and not only was made with them: a person may have changed the file."""
    try:
        return run.status().get("config_digest") == wanted == config_digest(run.config)
    except InputError:
        return False


def stage_names(config: ExperimentConfig) -> list[str]:
    """The stages of a run with these settings in their order."""
    return [stage.name for stage in stages_of(config)]


def execute(
    run: Run,
    progress: ProgressCallback = silent,
    *,
    until: str | None = None,
    further: Sequence[Stage] = (),
    context: RunContext | None = None,
    base: "LoadedModel | None" = None,
    waiting: Callable[[str], object] | None = None,
) -> None:
    """Bring the run up to date, to the end or through the stage `until`.

    Args:
        further: stages that are not part of the path, to be done after it.
        base: the base model where it is in memory already; it is not changed.
        waiting: told, again and again, who else works on the run until that one has ended; None: do not wait.

    Raises:
        Busy: somebody else works on the run, and `waiting` is None.
        InputError: a person's mistake in the settings or the input.
        Stopped: on Ctrl-C or when `progress` raises it; finished stages are kept.
        WorkFailed: something broke.
    """
    stages = list(stages_of(run.config))
    names = [stage.name for stage in stages]
    if until is not None and until not in names:
        raise InputError(f"There is no stage {until!r}. The stages are: {', '.join(names)}.")
    wanted = stages[: names.index(until) + 1] if until is not None else stages
    if not distributed.is_main():
        _execute(run, RunContext(run), [*wanted, *further])
        return
    with run.manifest.working(f"running it to {until or 'its end'}", waiting), logging_to(run.log_file):
        log.info("run %s: %s", run.id, run.config.model_dump_json())
        if damage := run.damage():
            log.warning("%s", damage)
            for name in run.status()["stages"]:
                if name not in BEFORE_A_CUT:
                    run.drop(name)
        run.manifest.update(state="running", message="")
        try:
            # The settings may have changed while it waited.
            context = context or RunContext(run, _recording(run, progress), base=base)
            keep_sources(run, word_sources(context.config))
            check_start(context, pending(context, wanted))
            _execute(run, context, [*wanted, *further])
        except BaseException as error:
            raise _record_failure(run, error) from error
        finished = not any(stage.applies(context) for stage in stages[len(wanted) :])
        run.manifest.update(state="finished" if finished else "waiting", stage=None)
        run.event("run", state="finished" if finished else "waiting")


def _execute(run: Run, context: RunContext, stages: Iterable[Stage]) -> None:
    for stage in stages:
        if not stage.applies(context):
            continue
        wanted = distributed.share(fingerprint(stage, context) if distributed.is_main() else None)
        needed = distributed.share(not _finish_without_work(run, stage, wanted) if distributed.is_main() else None)
        if not needed:
            continue
        if distributed.is_main():
            _run_stage(run, context, stage, wanted)
        elif stage.collective and (folder := distributed.share(None)) is not None:
            stage.run(context, Path(folder))
        distributed.share(None)


def fingerprint(stage: Stage, context: RunContext, found: Mapping[str, str] | None = None) -> str:
    """Digest of the stage's own inputs and of the fingerprints of the stages it builds on.

    `found` are fingerprints of stages that go before what the run knows of them.
    """
    known = {name: state.get("fingerprint") for name, state in context.run.status()["stages"].items()}
    known |= found or {}
    above = {name: known.get(name) for name in stage.needs}
    return digest({"format": FORMAT, "stage": stage.name, "inputs": stage.inputs(context), "above": above})


def is_finished(run: Run, stage: Stage, wanted: str) -> bool:
    """Whether the stage was finished with this fingerprint and its result is still there."""
    state = run.status()["stages"].get(stage.name, {})
    if state.get("state") != "finished" or state.get("fingerprint") != wanted:
        return False
    return run.result(stage.name) is not None or all(run.file(stage.name, name) is not None for name in stage.outputs)


def finished_stages(run: Run) -> frozenset[str]:
    """Stages whose outcome is there and belongs to the settings as they are now."""
    done: set[str] = set()
    context = RunContext(run)
    stages = stages_of(context.config)
    left_out = {stage.name for stage in stages if not stage.applies(context)}
    for stage in stages:
        try:
            if set(stage.needs) <= done | left_out and is_finished(run, stage, fingerprint(stage, context)):
                done.add(stage.name)
        except (WorkbenchError, OSError):  # its source is gone: not up to date
            continue
    return frozenset(done)


def pending(context: RunContext, stages: Iterable[Stage]) -> list[str]:
    """Those of the stages that have work to do: neither up to date in the run nor with a result in the store."""
    run, waiting, found = context.run, list[str](), dict[str, str]()
    for stage in stages:
        if not stage.applies(context):
            continue
        if waiting and set(stage.needs) & set(waiting):
            waiting.append(stage.name)
            continue
        try:
            wanted = fingerprint(stage, context, found)
        except (WorkbenchError, OSError):  # what it works on is gone or wrong: the check says so
            wanted = ""
        if is_finished(run, stage, wanted) or run.store.get(kind_of(stage.name), wanted) is not None:
            found[stage.name] = wanted
        else:
            waiting.append(stage.name)
    return waiting


def _finish_without_work(run: Run, stage: Stage, wanted: str) -> bool:
    """Whether nothing is to be done: the stage is up to date here, or its result is in the store already."""
    mine = is_finished(run, stage, wanted)
    artifact = run.store.get(kind_of(stage.name), wanted)
    if artifact is None:
        # A run that was copied here, or is of an earlier version, has its results in its own folder.
        holder = run if mine else _maker(run, stage.name, wanted)
        artifact = holder.adopt(stage.name, stage.outputs) if holder is not None and not holder.damage() else None
    if artifact is None:
        return False
    if mine:
        log.info("%s: unchanged", stage.name)
        if not run.shows(artifact):  # somebody removed a file, or a kill came before it was shown
            run.point(stage.name, artifact)
            run.show(artifact)
        run.event("stage", stage=stage.name, state="unchanged")
        return True
    with run.store.lock():
        if run.store.get(artifact.kind, wanted) is None:
            return False
        maker = _maker(run, stage.name, wanted)
        maker_id = maker.id if maker is not None else None
        run.point(stage.name, artifact, taken_from=maker_id)
    run.show(artifact)
    run.event("stage", stage=stage.name, state="taken over", run=maker_id)
    log.info("%s: taken over from %s", stage.name, maker_id or "the store")
    return True


def _maker(run: Run, step: str, wanted: str) -> Run | None:
    """Another run that has this result."""
    others = (other for other in list_runs(run.folder.parent) if other.id != run.id)
    return next((other for other in others if other.fingerprint(step) == wanted), None)


def _run_stage(run: Run, context: RunContext, stage: Stage, wanted: str) -> None:
    started = time.monotonic()
    run.drop(stage.name)
    run.manifest.update(stage=stage.name)
    run.event("stage", stage=stage.name, state="running")
    log.info("%s: started", stage.name)
    context.progress(Progress(stage.title, 0))

    def point(artifact: Artifact) -> None:
        run.point(stage.name, artifact)

    def waiting() -> None:
        context.progress(Progress(f"{stage.title}: waiting for another run that makes the same", 0))

    with run.store.build(kind_of(stage.name), wanted, then=point, waiting=waiting) as build:
        if stage.collective:
            distributed.share(str(build.folder.resolve()) if build.artifact is None else None)
        if build.artifact is None:
            build.summary = stage.run(context, build.folder)
    assert build.artifact is not None
    run.show(build.artifact)
    context.__dict__.pop("ranking", None)
    seconds, summary = round(time.monotonic() - started, 2), build.artifact.record["summary"]
    run.event("stage", stage=stage.name, state="finished", seconds=seconds, summary=summary)
    log.info("%s: finished in %.1f s: %s", stage.name, seconds, summary)


def _recording(run: Run, progress: ProgressCallback) -> ProgressCallback:
    """Pass progress on, and every two seconds into the run's events, so that a page that was closed can catch up."""
    last = 0.0

    def report(update: Progress) -> None:
        nonlocal last
        progress(update)
        at = time.monotonic()
        if at - last >= 2:
            last = at
            run.event("progress", task=update.task, done=update.done, total=update.total, unit=update.unit)

    return report


def _record_failure(run: Run, error: BaseException) -> BaseException:
    """Note in the run how it ended; a stray exception keeps its traceback in the log."""
    if not isinstance(error, Stopped | KeyboardInterrupt) and not (run.folder / CONFIG).is_file():
        # Whatever it is that was missing first: a model in the folder, a file of a result, the folder itself.
        log.error("the run's folder is gone: %s", error)
        return WorkFailed(
            f"The run's folder {run.folder} was moved, renamed or deleted while the run was at work. Put it back and "
            f"run `{PROGRAM} resume {run.folder}`, or begin again in another output folder."
        )
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
            run.manifest.set_stage(stage, state=state)
        run.manifest.update(state=state, message=str(error))
        run.event("run", state=state, message=str(error))
    except WorkbenchError:
        log.exception("the run's status could not be written")  # a full disk: the first error is the one to tell
    return error
