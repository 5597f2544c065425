"""A run whose settings become known step by step, as on the pages or in a notebook.

Who asks for the first step has not said yet what comes later. A run fits where everything through that step is as asked
for, whatever it does after it; where none fits, the run of the step before takes the further settings on, unless more
was made in it already. So a notebook that runs again finds its runs, a cell that is changed makes another one, and no
run that somebody else made is changed.
"""

from pathlib import Path

from unlearning_core.config.schema import ExperimentConfig
from unlearning_core.errors import WorkbenchError
from unlearning_core.runs.context import RunContext
from unlearning_core.runs.listing import list_runs
from unlearning_core.runs.pipeline import check_new_run, create_run, find_run, finished_stages
from unlearning_core.runs.run import Run
from unlearning_core.runs.stages.registry import stages_of
from unlearning_core.runs.stages.stage import Stage
from unlearning_core.runs.store import Store

NOTE = "refining"
"""Marks a run that may take on further settings: it was made here, a step at a time."""


def run_through(config: ExperimentConfig, root: Path, until: str | None, before: tuple[Run, str] | None = None) -> Run:
    """The run in which the stages through `until` are those of `config`: one that is there, or a new one.

    Args:
        root: folder of the runs.
        until: the last stage that counts; None: all settings do.
        before: the run of the step before, and the last stage of that step.

    Raises:
        InputError: what a new run would refuse; none is made then.
    """
    if (known := _known(config, root, until)) is None:
        check_new_run(config, root, with_model=False)
    with Store(root).lock():
        known = known or _known(config, root, until)
        if known is None and before is not None and _takes_on(*before):
            known = before[0]
            known.save_config(config)
        if known is None:
            known = create_run(config, root)
            known.write_note(NOTE, {})
    if until is None and (own := known.config).proof != config.proof:
        known.save_config(own.model_copy(update={"proof": config.proof}))
    return known


def _known(config: ExperimentConfig, root: Path, until: str | None) -> Run | None:
    exact = find_run(config, root)
    return exact if exact is not None or until is None else _alike(config, root, _stages(config, until))


def is_made(run: Run, until: str | None) -> bool:
    """Whether every stage through `until` is there, so that nothing is to be done."""
    context = RunContext(run)
    wanted = {stage.name for stage in _stages(context.config, until) if stage.applies(context)}
    return wanted <= finished_stages(run)


def _stages(config: ExperimentConfig, until: str | None) -> list[Stage]:
    stages = list(stages_of(config))
    names = [stage.name for stage in stages]
    return stages if until is None else stages[: names.index(until) + 1]


def _alike(config: ExperimentConfig, root: Path, through: list[Stage]) -> Run | None:
    """The newest run of the same model and concept in which these stages have the same inputs."""
    for run in list_runs(root):
        try:
            own = run.config
            if _names(own) == _names(config) and _inputs(run, own, through) == _inputs(run, config, through):
                return run
        except (WorkbenchError, OSError):  # damaged, or its sources are gone
            continue
    return None


def _names(config: ExperimentConfig) -> tuple[object, ...]:
    return config.base_model, config.neural_probing.activations_label, config.seed


def _inputs(run: Run, config: ExperimentConfig, through: list[Stage]) -> list[object]:
    context = RunContext(run, config=config)
    return [(stage.name, stage.needs, stage.inputs(context)) for stage in through if stage.applies(context)]


def _takes_on(run: Run, until: str) -> bool:
    """Whether nothing was made in the run beyond that stage, nobody works on it, and it was made a step at a time."""
    made = {name for name, known in run.status()["stages"].items() if known.get("state") == "finished"}
    return run.note(NOTE) is not None and not run.at_work() and made <= {s.name for s in _stages(run.config, until)}
