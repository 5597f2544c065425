"""The folders of a public server's visitors: where each is, how much is in it, and when it goes."""

import hashlib
import logging
import shutil
import time
from contextlib import suppress
from pathlib import Path

from unlearning_core.errors import InputError
from unlearning_core.files import disk_errors
from unlearning_core.jobs.limits import bytes_in
from unlearning_core.runs.listing import list_runs
from unlearning_core.visitors.rules import Rules

log = logging.getLogger(__name__)

FOLDER = "visitors"
"""In the folder of the runs; its name is no run's."""

UPLOADS = ".uploads"
"""In a visitor's folder: models that were uploaded as a zip."""

_SEEN = ".seen"


def folder_of(runs: Path, secret: str) -> Path:
    """The folder of the visitor who is known by `secret`; from its name the secret cannot be told."""
    return runs / FOLDER / hashlib.sha256(secret.encode()).hexdigest()[:32]


def note_visit(folder: Path) -> None:
    """The visitor is here: the folder stays for some more days. One that is not there yet is not made."""
    if folder.is_dir():
        with disk_errors(folder):
            (folder / _SEEN).touch()


def delete_forgotten(runs: Path, rules: Rules) -> int:
    """Delete the folders of visitors who did not come for the days of the rules; returns how many. Idle ones only."""
    gone = 0
    for folder in (runs / FOLDER).glob("*/"):
        with suppress(OSError):  # another process deletes it as well
            mark = folder / _SEEN
            last = (mark if mark.exists() else folder).stat().st_mtime
            if time.time() - last > rules.days * 86_400 and not any(run.at_work() for run in list_runs(folder)):
                shutil.rmtree(folder)
                gone += 1
    if gone:
        log.info("deleted the folders of %d visitors who did not come for %g days", gone, rules.days)
    return gone


def check_room(folder: Path, rules: Rules) -> None:
    """Make sure that the visitor of that folder may write more.

    Raises:
        InputError: the visitor's share, that of all visitors, or the disk is full; says what to do.
    """
    used = bytes_in(folder)
    if used >= rules.disk_mb * 1e6:
        raise InputError(
            f"Your runs and uploads take {used / 1e6:,.0f} MB, and each visitor has {rules.disk_mb:,} MB on this "
            "server. Delete a run on the page Runs, or all of yours in the sidebar."
        )
    place = next(place for place in (folder, *folder.parents) if place.is_dir())
    if bytes_in(folder.parent) >= rules.total_disk_mb * 1e6 or (
        shutil.disk_usage(place).free < rules.free_disk_mb * 1e6
    ):
        raise InputError("This server has no room for more runs at the moment. Come back later, or run it yourself.")


def delete_all(folder: Path) -> None:
    """Delete everything of that visitor.

    Raises:
        InputError: one of the runs is being worked on.
    """
    if busy := [run.id for run in list_runs(folder) if run.at_work()]:
        raise InputError(f"The run {busy[0]} is being worked on. Stop it first, then delete everything.")
    with disk_errors(folder):
        shutil.rmtree(folder, ignore_errors=True)
