"""The runs under one folder: which there are, one by its id, and how one is removed."""

import os
import re
import shutil
import tempfile
from pathlib import Path

from unlearning_core.errors import InputError
from unlearning_core.files import disk_errors
from unlearning_core.runs.manifest import DAMAGED
from unlearning_core.runs.manifest import FILE as MANIFEST
from unlearning_core.runs.run import CONFIG, Run
from unlearning_core.runs.store import Store

_NAME = re.compile(r"(?!\.)[^/\\\0]+")


def open_run(run_id: str, root: Path = Path("runs")) -> Run:
    """The run of that id, which may come from a URL.

    Raises:
        InputError: no run can have such an id, or there is none.
    """
    if not is_run_name(run_id) or not _is_run(root / run_id):
        raise InputError(f"There is no run {run_id!r} in {root}. Open one of the listed runs or start a new one.")
    return Run(root / run_id)


def list_runs(root: Path = Path("runs")) -> list[Run]:
    """All runs under `root`, newest first."""
    if not root.is_dir():
        return []
    names = sorted((path.name for path in root.iterdir() if is_run_name(path.name)), reverse=True)
    return [Run(root / name) for name in names if _is_run(root / name)]


def delete_run(run: Run) -> None:
    """Remove the run whole, and every result that no other run points at.

    It is out of every list at once, or still there as it was.

    Raises:
        InputError: it is being worked on, or its folder may not be changed.
    """
    if run.at_work():
        raise InputError(f"{run.manifest.busy_sentence()} Only then delete it.")
    with run.manifest.working("deleting it"), disk_errors(run.folder):
        # A rename cannot be interrupted half-way; what lies under a name of this form is no run.
        away = Path(tempfile.mkdtemp(prefix=".deleted.", dir=run.folder.parent))
        try:
            os.replace(run.folder, away / run.id)
        finally:
            shutil.rmtree(away, ignore_errors=True)
    remove_unused(run.store)


def remove_unused(store: Store) -> int:
    """Remove every result that no run points at; returns how many. Nothing, while a run's manifest cannot be read."""
    with store.lock():
        runs = list_runs(store.root.parent)
        if any(run.status()["state"] == DAMAGED for run in runs):
            return 0
        return store.collect_garbage({key for run in runs for key in run.manifest.references()})


def is_run_name(name: str) -> bool:
    """Whether a run can be called so: one part of a path, not hidden."""
    return _NAME.fullmatch(name) is not None and len(name.encode()) <= 200


def _is_run(folder: Path) -> bool:
    return (folder / CONFIG).is_file() and (folder / MANIFEST).is_file()
