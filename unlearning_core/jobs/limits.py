"""What a job may take: its turn among others, time, and disk. No torch.

The worker keeps to it by itself (`within`), so that a job ends in time whatever became of the process that started it.
"""

import logging
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from unlearning_core.errors import Stopped
from unlearning_core.jobs.device_queue import Ticket, hold_device, tickets
from unlearning_core.jobs.events import EventLog
from unlearning_core.jobs.stopping import STOP_FILE

_log = logging.getLogger(__name__)

_LOOK = 1.0
"""Seconds between two looks at clock and disk."""

_GRACE = 60.0
"""Seconds that a job which was asked to stop has for a last checkpoint."""


@dataclass(frozen=True)
class Limits:
    """What one job may take; None and 0: as much as it needs.

    Attributes:
        queue: jobs of the same queue take turns.
        at_once: how many of that queue run at the same time.
        seconds: from its turn on, after which it is stopped.
        folder: whose content counts against `most_bytes`, whoever wrote it.
        most_bytes: that the folder may hold; a job that passes it is stopped.
    """

    queue: str | None = None
    at_once: int = 1
    seconds: float | None = None
    folder: str | None = None
    most_bytes: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """As JSON takes it; `Limits(**...)` reads it."""
        return asdict(self)


NONE = Limits()


def bytes_in(folder: Path) -> int:
    """Bytes on the disk under `folder`; a file that has several names there counts once."""
    seen: dict[tuple[int, int], int] = {}
    waiting = [os.fspath(folder)]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    else:
                        found = entry.stat(follow_symlinks=False)
                        seen[found.st_dev, found.st_ino] = found.st_size
        except OSError:  # removed meanwhile
            continue
    return sum(seen.values())


@contextmanager
def within(limits: Limits, log: EventLog) -> Iterator[None]:
    """Wait for a turn, then do what is inside the `with` within the limits.

    Raises:
        Stopped: somebody asked for it while it waited, its time is over, or the folder holds more than it may.
    """
    if limits.queue is None:
        with _watched(limits, log.folder):
            yield
        return

    def waiting(before: list[Ticket]) -> None:
        others = f"{len(before)} jobs come" if len(before) > 1 else "Another job comes"
        message = f"{others} first on this server. This one starts by itself when its turn comes."
        log.state("queued", message, ahead=len(before))

    lane = min((f"{limits.queue}-{number}" for number in range(limits.at_once)), key=lambda name: len(tickets(name)))
    with hold_device(lane, log.folder, waiting=waiting, should_stop=(log.folder / STOP_FILE).exists):
        log.state("running")
        with _watched(limits, log.folder):
            yield


@contextmanager
def _watched(limits: Limits, folder: Path) -> Iterator[None]:
    if limits.seconds is None and limits.most_bytes is None:
        yield
        return
    over, reason = threading.Event(), list[str]()
    watch = threading.Thread(target=_watch, args=(limits, folder, over, reason), name="limits", daemon=True)
    watch.start()
    try:
        yield
    except (KeyboardInterrupt, Stopped) as stop:
        if reason:
            raise Stopped(reason[0]) from stop
        raise
    finally:
        over.set()


def _watch(limits: Limits, folder: Path, over: threading.Event, reason: list[str]) -> None:
    begun = time.monotonic()
    while not over.wait(_LOOK):
        if sentence := _passed(limits, time.monotonic() - begun):
            reason.append(sentence)
            _log.warning("%s", sentence)
            (folder / STOP_FILE).touch()
            os.kill(os.getpid(), signal.SIGINT)  # as `jobs.process.request_stop` does from outside
            if not over.wait(_GRACE):
                _end_at_once()
            return


def _passed(limits: Limits, seconds: float) -> str:
    """Why the job has to stop; empty while it has not."""
    if limits.seconds is not None and seconds > limits.seconds:
        return (
            f"Stopped after {limits.seconds / 60:g} minutes, the longest that work may take on this server. What was "
            "finished is kept; choose fewer sentences or steps, or a smaller model."
        )
    if limits.folder is not None and limits.most_bytes is not None:
        used = bytes_in(Path(limits.folder))
        if used > limits.most_bytes:
            return (
                f"Stopped: your runs take {used / 1e6:,.0f} MB, and there is room for {limits.most_bytes / 1e6:,.0f} "
                "on this server. Delete a run that is not needed any more, then go on."
            )
    return ""


def _end_at_once() -> None:
    """End this process and all that it started: it was asked to stop and did not."""
    _log.error("The job did not stop when it was asked to; it is ended")
    for child in psutil.Process().children(recursive=True):
        child.kill()
    os._exit(Stopped.exit_code)
