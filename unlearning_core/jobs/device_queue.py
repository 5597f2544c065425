"""Whose turn it is on a device: one retraining at a time; whoever comes later queues, in the order of coming.

The line is a folder that all of a user's processes on this machine share. Each process that wants to train puts a
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
from unlearning_core.jobs.liveness import alive, created
from unlearning_core.jobs.stopping import ShouldStop
from unlearning_core.progress import Progress, ProgressCallback
from unlearning_core.training.job import TrainingJob

VARIABLE = "UNLEARNING_QUEUE"
"""Environment variable that names another folder for the lines."""

_POLL = 0.3
_STOPPED = "Retraining was stopped while it waited for its turn. Start it again to queue anew."
_TICKET = re.compile(r"\d{20}-\d+\.json")


@dataclass(frozen=True)
class Ticket:
    """A place in the line.

    Attributes:
        path: its file; names sort in the order of coming.
        pid: the process that trains or waits.
        folder: the output folder of its training.
    """

    path: Path
    pid: int
    folder: Path


def queues_folder() -> Path:
    """Where the lines of all devices are kept."""
    if named := os.environ.get(VARIABLE):
        return Path(named)
    user = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")
    return Path(tempfile.gettempdir()) / f"unlearning-workbench-{user}"


def device_queue(asked: str) -> str:
    """The name of the line for a device as a job names it: cpu, mps, or cuda with the cards that are visible."""
    import torch

    if asked != "cpu" and torch.cuda.is_available():
        cards = re.sub(r"[^\w-]+", "_", os.environ.get("CUDA_VISIBLE_DEVICES", ""))
        return f"cuda-{cards}" if cards else "cuda"
    return "mps" if asked != "cpu" and torch.backends.mps.is_available() else "cpu"


def line(device: str) -> list[Ticket]:
    """Who trains on `device` and who waits for it, in their order; tickets of dead processes are removed."""
    found = []
    folder = queues_folder() / device
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if not _TICKET.fullmatch(path.name):
            continue
        process = read_json(path)
        if alive(process):
            found.append(Ticket(path, process["pid"], Path(process["folder"])))
        else:
            path.unlink(missing_ok=True)
    return found


def all_queues() -> dict[str, list[Ticket]]:
    """The lines of all devices that have one."""
    root = queues_folder()
    names = sorted(path.name for path in root.iterdir() if path.is_dir()) if root.is_dir() else []
    return {name: tickets for name in names if (tickets := line(name))}


@contextmanager
def device_for(job: TrainingJob, log: EventLog, progress: ProgressCallback, should_stop: ShouldStop) -> Iterator[None]:
    """The turn of one training, with what it waits for in its status; the processes of a launch share one a machine.

    Raises:
        Stopped: someone asked while it waited.
    """
    device = device_queue(job.device)
    if int(os.environ.get("LOCAL_RANK", "0")) > 0:
        _turn_of_first(device, job.folder, should_stop)
        yield
        return

    def waiting(before: list[Ticket]) -> None:
        message = waiting_words(before)
        log.state("queued", message, step=0, total_steps=None, result=None, error=None, ahead=len(before))
        progress(Progress(message, 0))

    with hold_device(device, job.folder, waiting=waiting, should_stop=should_stop):
        yield


@contextmanager
def hold_device(
    device: str, folder: Path, *, waiting: Callable[[list[Ticket]], None], should_stop: ShouldStop
) -> Iterator[None]:
    """Inside the `with`, no other process trains on `device`; waits for that as long as it takes.

    Args:
        device: what `device_queue` gives.
        folder: the output folder of the training that wants the device.
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
    write_json(ticket, {"pid": os.getpid(), "created": created(os.getpid()), "folder": str(folder.resolve())})
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


def _turn_of_first(device: str, folder: Path, should_stop: ShouldStop) -> None:
    """For the other processes of a launch: wait until the first one on this machine has its turn with `folder`."""
    while not (first := line(device)[:1]) or first[0].folder != folder.resolve():
        if should_stop():
            raise Stopped(_STOPPED)
        time.sleep(_POLL)


def _before(device: str, ticket: Path) -> list[Ticket]:
    return [other for other in line(device) if other.path.name < ticket.name]


def _taken(lock: FileLock) -> bool:
    try:
        lock.acquire()
    except Timeout:
        return False
    return True
