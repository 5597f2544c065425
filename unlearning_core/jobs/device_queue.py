"""The queue for a device: one retraining at a time; whoever comes later waits, in the order of coming.

The queue is a folder that all of a user's processes on this machine share. Each process that wants the device puts a
ticket there and takes the device's lock once every earlier ticket is gone. The lock is the operating system's, which
gives it back when its holder dies, however it dies; the ticket of a dead process is recognised and removed.
"""

import os
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from unlearning_core.errors import InputError, Stopped
from unlearning_core.files import disk_errors, write_json
from unlearning_core.jobs.events import EventLog, read_json
from unlearning_core.jobs.liveness import identity, is_alive
from unlearning_core.jobs.stopping import ShouldStop
from unlearning_core.progress import Progress, ProgressCallback

VARIABLE = "UNLEARNING_QUEUE"
"""Environment variable that names another folder for the queues."""

_POLL = 0.3
_STOPPED = "Stopped while it waited for its turn on the device. Start it again to queue anew."
_TICKET = re.compile(r"\d{20}-\d+\.json")


@dataclass(frozen=True)
class Ticket:
    """A place in the queue.

    Attributes:
        path: its file; names sort in the order of coming.
        pid: the process that has the device or waits.
        folder: the folder of its job.
    """

    path: Path
    pid: int
    folder: Path


def queues_folder() -> Path:
    """Where the queues of all devices are kept."""
    if named := os.environ.get(VARIABLE):
        return Path(named)
    user = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")
    return Path(tempfile.gettempdir()) / f"unlearning-workbench-{user}"


def queue_name(asked: str) -> str:
    """The name of the queue for a device that a job names: cpu, mps, or cuda with the cards that are visible."""
    if asked == "cpu":
        return "cpu"
    import torch

    if torch.cuda.is_available():
        cards = re.sub(r"[^\w-]+", "_", os.environ.get("CUDA_VISIBLE_DEVICES", ""))
        return f"cuda-{cards}" if cards else "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def tickets(device: str) -> list[Ticket]:
    """Who has `device` and who waits for it, in their order; tickets of dead processes are removed."""
    found = []
    folder = queues_folder() / device
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if not _TICKET.fullmatch(path.name):
            continue
        process = read_json(path)
        if is_alive(process):
            found.append(Ticket(path, process["pid"], Path(process["folder"])))
        else:
            path.unlink(missing_ok=True)
    return found


def all_queues() -> dict[str, list[Ticket]]:
    """The tickets of each device that has any."""
    root = queues_folder()
    names = sorted(path.name for path in root.iterdir() if path.is_dir()) if root.is_dir() else []
    return {name: found for name in names if (found := tickets(name))}


@contextmanager
def queued_for(asked: str, log: EventLog, progress: ProgressCallback, should_stop: ShouldStop) -> Iterator[None]:
    """Hold the device that a job names, with what it waits for in its status; a launch's processes share one.

    Args:
        asked: "auto", "cpu", "cuda" or "mps".
        log: of the job, which is told here that it waits.
        progress: of whoever else watches in this process; not the one that writes this job's status.
        should_stop: asked while it waits.

    Raises:
        Stopped: someone asked while it waited.
    """
    device = queue_name(asked)
    if int(os.environ.get("LOCAL_RANK", "0")) > 0:
        _wait_for_first(device, log.folder, should_stop)
        yield
        return

    def waiting(before: list[Ticket]) -> None:
        message = waiting_words(before)
        log.state("queued", message, step=0, total_steps=None, result=None, error=None, ahead=len(before))
        progress(Progress(message, 0))

    with hold_device(device, log.folder, waiting=waiting, should_stop=should_stop):
        yield


@contextmanager
def hold_device(
    device: str, folder: Path, *, waiting: Callable[[list[Ticket]], None], should_stop: ShouldStop
) -> Iterator[None]:
    """Inside the `with`, no other process has `device`; waits for that as long as it takes.

    Args:
        device: what `queue_name` gives.
        folder: the folder of the job that wants the device.
        waiting: told those that come first whenever they have changed.
        should_stop: asked while it waits.

    Raises:
        Stopped: someone asked while it waited.
        InputError, WorkFailed: the ticket cannot be written there.
    """
    place = queues_folder() / device
    if place.parent.is_file():
        raise InputError(f"{VARIABLE} or the folder for temporary files: {place.parent} is a file. Name a folder.")
    with disk_errors(place):
        place.mkdir(parents=True, exist_ok=True)
    ticket = place / f"{time.time_ns():020d}-{os.getpid()}.json"
    write_json(ticket, identity(os.getpid()) | {"folder": str(folder.resolve())})
    lock = FileLock(place / "lock", timeout=0)
    try:
        seen: list[Ticket] = []
        while (before := _before(device, ticket)) or not _taken(lock):
            if before != seen:
                waiting(before)
                seen = before
            if should_stop():
                raise Stopped(_STOPPED)
            time.sleep(_POLL)
        try:
            yield
        finally:
            lock.release()
    finally:
        ticket.unlink(missing_ok=True)


def waiting_words(before: list[Ticket]) -> str:
    """What one who waits for `before` says."""
    if not before:
        return "Waiting for the device, which another retraining is about to give back."
    first = before[0]
    others = f" and {len(before) - 1} more in the queue" if len(before) > 1 else ""
    return (
        f"Waiting: another retraining is running on this device (process {first.pid}, in {first.folder}){others}. "
        "This one starts by itself when its turn comes."
    )


def _wait_for_first(device: str, folder: Path, should_stop: ShouldStop) -> None:
    """For the other processes of a launch: wait until the first one on this machine has the device."""
    while not (first := tickets(device)[:1]) or first[0].folder != folder.resolve():
        if should_stop():
            raise Stopped(_STOPPED)
        time.sleep(_POLL)


def _before(device: str, ticket: Path) -> list[Ticket]:
    return [other for other in tickets(device) if other.path.name < ticket.name]


def _taken(lock: FileLock) -> bool:
    try:
        lock.acquire()
    except Timeout:
        return False
    return True
