"""The run whose recipe is searched, and the run of each recipe that is retrained for it: found again, or made."""

import contextlib
import time
from pathlib import Path

from unlearning_core.config.schema import ExperimentConfig
from unlearning_core.errors import InputError
from unlearning_core.jobs.process import request_stop
from unlearning_core.jobs.status import status
from unlearning_core.progress import Progress, ProgressCallback, silent
from unlearning_core.runs.listing import list_runs
from unlearning_core.runs.naming import rename
from unlearning_core.runs.pipeline import check_new_run, create_run
from unlearning_core.runs.run import Run, config_digest
from unlearning_core.runs.store import Store
from unlearning_core.runs.tuning.space import Choice

NOTE, TRIAL_NOTE = "tuning", "trial"
"""Notes of the run whose recipe is searched, and of each run in which a recipe is retrained for it."""


def find_or_create_tuned(
    config: ExperimentConfig, root: "Path", progress: ProgressCallback = silent
) -> tuple[Run, bool]:
    """The run whose recipe is searched around these settings, finished or not, and whether it was there.

    Raises:
        InputError, WorkFailed: as `check_new_run`; or the settings name methods of their own.
    """
    if config.methods is not None:
        raise InputError("methods is given: a recipe is searched for the cut and its retraining. Leave it out.")
    if config.search.forget is not None:
        raise InputError("search.forget is given: the share cut is searched here anyhow. Leave it out.")
    wanted = config_digest(config)

    def known() -> Run | None:
        return next((run for run in list_runs(root) if (run.note(NOTE) or {}).get("of") == wanted), None)

    if known() is None:
        check_new_run(config, root, progress)
    with Store(root).lock():
        if (found := known()) is not None:
            return found, True
        run = create_run(config, root)
        run.write_note(NOTE, {"of": wanted, "around": around(config)})
        return run, False


_LOOK = 0.2
"""Seconds between two looks whether a retraining has ended."""

_ANY = Choice(0.0, False, 0.0)
"""In place of a recipe, where it is no matter which one the settings have."""


def around(config: ExperimentConfig) -> str:
    """What the settings are but for their recipe: recipes that were tried for others are no answer for these."""
    return config_digest(_ANY.applied(config))


def trial_run(run: Run, config: ExperimentConfig, choice: Choice, name: str) -> Run:
    """The run of a recipe: among the others, where it can be opened, named as the table of the search names it.

    Args:
        run: whose recipe is searched.
        config: the settings with the recipe in them.
        name: of the trial.
    """
    note = {"of": run.id, "choice": choice.to_dict()}
    for known in list_runs(run.folder.parent):
        if known.note(TRIAL_NOTE) == note:
            return known
    made = create_run(config, run.folder.parent)
    made.write_note(TRIAL_NOTE, note)
    with contextlib.suppress(InputError):  # the name is taken, by a trial that was stopped before it was known
        rename(made, f"{name} of {run.id[:15]}")
    return made


def stop_orphan(run: Run, progress: ProgressCallback) -> None:
    """End a retraining of this run that nobody waits for any more, because its command was killed.

    It has a process of its own, which outlives that; what it did is in its checkpoint, and is gone on from.

    Raises:
        Stopped: `progress` raised it.
    """
    if run.manifest.worker() is not None:
        return
    while status(run.training_folder).live:
        request_stop(run.training_folder)
        progress(Progress("ending the retraining of a command that was killed", 0))
        time.sleep(_LOOK)
