"""The queue for a device: one retraining at a time; whoever comes later waits, in the order of coming.

The queue is a folder that all of a user's processes on this machine share. Who wants the device puts a ticket there and
takes the device's lock once every earlier ticket is gone. The operating system gives the lock back when its holder
dies; the ticket of a dead process is recognised and removed.
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
from unlearning_core.files import disk_errors, read_object, write_json
from unlearning_core.jobs.events import EventLog
from unlearning_core.jobs.liveness import is_alive, process_identity
from unlearning_core.jobs.stopping import ShouldStop
from unlearning_core.progress import Progress, ProgressCallback

VARIABLE = "UNLEARNING_QUEUE"
"""Environment variable that names another folder for the queues."""

_POLL = 0.3
_TICKET = re.compile(r"\d{20}-\d+\.json")


@dataclass(frozen=True)
class Ticket:
    """The place of process `pid` in the queue, for the job in `folder`; tickets' names sort in the order of coming."""

    path: Path
    pid: int
    folder: Path


def queues_folder() -> Path:
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
    for path in sorted((queues_folder() / device).glob("*.json")):
        if not _TICKET.fullmatch(path.name):
            continue
        process = read_object(path)
        if is_alive(process):
            found.append(Ticket(path, process["pid"], Path(process["folder"])))
        else:
            path.unlink(missing_ok=True)
    return found


def all_queues() -> dict[str, list[Ticket]]:
    """The tickets of each device that has any."""
    return {path.name: found for path in sorted(queues_folder().glob("*/")) if (found := tickets(path.name))}


@contextmanager
def queued_for(asked: str, log: EventLog, progress: ProgressCallback, should_stop: ShouldStop) -> Iterator[None]:
    """Hold the device that a job names ("auto", "cpu", "cuda" or "mps"); a launch's processes share one.

    `log` and `progress` (of whoever else watches in this process) are told what it waits for.

    Raises:
        Stopped: `should_stop` said so while it waited.
    """
    device = queue_name(asked)
    if int(os.environ.get("LOCAL_RANK", "0")) > 0:
        # Of a launch's processes on this machine the first one holds the device.
        while not (ahead := tickets(device)[:1]) or ahead[0].folder != log.folder.resolve():
            _pause(should_stop)
        yield
        return

    def waiting(before: list[Ticket]) -> None:
        message = _waiting_words(before)
        log.state("queued", message, step=0, total_steps=None, result=None, error=None, ahead=len(before))
        progress(Progress(message, 0))

    with hold_device(device, log.folder, waiting=waiting, should_stop=should_stop):
        yield


@contextmanager
def hold_device(
    device: str, folder: Path, *, waiting: Callable[[list[Ticket]], None], should_stop: ShouldStop
) -> Iterator[None]:
    """Inside the `with`, no other process has `device` (see `queue_name`), which the job in `folder` wants.

    It waits as long as it takes; `waiting` is told those that come first whenever they have changed.

    Raises:
        Stopped: `should_stop` said so while it waited.
        InputError, WorkFailed: the ticket cannot be written there.
    """
    place = queues_folder() / device
    if place.parent.is_file():
        raise InputError(f"{VARIABLE} or the folder for temporary files: {place.parent} is a file. Name a folder.")
    with disk_errors(place):
        place.mkdir(parents=True, exist_ok=True)
    ticket = place / f"{time.time_ns():020d}-{os.getpid()}.json"
    write_json(ticket, process_identity(os.getpid()) | {"folder": str(folder.resolve())})
    lock = FileLock(place / "lock", timeout=0)
    try:
        seen: list[Ticket] = []
        while (before := [other for other in tickets(device) if other.path.name < ticket.name]) or not _taken(lock):
            if before != seen:
                waiting(before)
                seen = before
            _pause(should_stop)
        try:
            yield
        finally:
            lock.release()
    finally:
        ticket.unlink(missing_ok=True)


def _waiting_words(before: list[Ticket]) -> str:
    if not before:
        return "Waiting for the device, which another retraining is about to give back."
    first = before[0]
    others = f" and {len(before) - 1} more in the queue" if len(before) > 1 else ""
    return (
        f"Waiting: another retraining is running on this device (process {first.pid}, in {first.folder}){others}. "
        "This one starts by itself when its turn comes."
    )


def _pause(should_stop: ShouldStop) -> None:
    if should_stop():
        raise Stopped("Stopped while it waited for its turn on the device. Start it again to queue anew.")
    time.sleep(_POLL)


def _taken(lock: FileLock) -> bool:
    try:
        lock.acquire()
    except Timeout:
        return False
    return True
