"""The parent's side of a child process: start it, read how far it is, ask it to stop, notice when it died. No torch.

The folder holds the truth: any process, also one started later, can ask for its `status` or ask it to stop.
"""

import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from filelock import FileLock, Timeout

from unlearning_core.errors import InputError, Stopped, WorkFailed
from unlearning_core.files import child_python_path, disk_errors, read_object, write_json
from unlearning_core.jobs.events import EventLog
from unlearning_core.jobs.liveness import EXIT_FILE, PROCESS_FILE, is_alive, record, record_exit
from unlearning_core.jobs.status import JOB_FILE, LOG_FILE, JobProgress, status
from unlearning_core.jobs.stopping import STOP_FILE
from unlearning_core.progress import Progress, ProgressCallback, silent

_log = logging.getLogger(__name__)
_LOCK_SECONDS = 5.0
"""Longer than a launch holds the lock, and than a worker needs to give it back after it has told how it ended."""
_POLL_SECONDS = 0.2
_LAUNCHER = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
"""What would make a child one of several launched together."""


@dataclass(frozen=True)
class Handle:
    """A worker that this process started; `ended` is set once it has ended and its exit code is in the folder."""

    folder: Path
    title: str
    pid: int
    ended: threading.Event = field(default_factory=threading.Event, compare=False)


def launch(
    folder: Path,
    target: str,
    values: dict[str, Any],
    *,
    title: str = "job",
    gently: bool = False,
    limits: dict[str, Any] | None = None,
) -> Handle:
    """Call a function in a process of its own, which `folder` remembers.

    The worker has a session of its own, so a Ctrl-C in the parent's terminal does not reach it: the parent decides.

    Args:
        folder: gets `job.json`, `status.json`, `events.jsonl`, `process.json`, `worker.log`; last `exit.json`.
        target: "unlearning_core.some.module:function"; called with `values` and a `jobs.worker.JobContext`, it returns
            a JSON-able dictionary or None.
        values: JSON-able.
        title: what the job is called in messages.
        gently: let whatever else the machine does go first.
        limits: what the worker keeps to, as `jobs.limits.Limits.to_dict` gives it; none: as much as it needs.

    Raises:
        InputError: a worker is at work in that folder already, or the folder cannot be written.
        WorkFailed: the disk is full.
    """
    folder = Path(folder).resolve()
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    _refuse_second(folder, title)
    with alone_in(folder, title):
        _refuse_second(folder, title)
        for left in (STOP_FILE, EXIT_FILE):
            (folder / left).unlink(missing_ok=True)
        write_json(folder / JOB_FILE, {"target": target, "title": title, "values": values, "limits": limits or {}})
        # Until there is a worker its parent stands for it: if that one is killed just now, nobody waits for ever.
        record(folder, os.getpid())
        EventLog(folder).state("starting", step=0, total_steps=None, ahead=0, result=None, error=None, eta_seconds=None)
        process = _spawn(folder, gently)
        record(folder, process.pid)
    handle = Handle(folder, title, process.pid)
    # Waiting for the child here is what leaves no zombie, whoever forgets the handle.
    threading.Thread(target=_reap, args=(process, handle), name=f"{title}-{process.pid}", daemon=True).start()
    _log.info("Started process %d for the %s in %s", process.pid, title, folder)
    return handle


@contextmanager
def alone_in(folder: Path, title: str) -> Iterator[None]:
    """No other process launches or works in `folder` inside the `with`; the lock is free again if this one is killed.

    Raises:
        InputError: another worker is at work there.
    """
    lock = FileLock(folder / "lock", timeout=_LOCK_SECONDS)
    try:
        with disk_errors(folder):
            lock.acquire()
    except Timeout as error:
        raise _at_work(folder, title, read_object(folder / PROCESS_FILE).get("pid")) from error
    try:
        yield
    finally:
        lock.release()


def request_stop(folder: Path) -> None:
    """Ask the worker to stop; asking again changes nothing.

    A training stops after its current step, with a checkpoint. Anything else is interrupted at once, as by Ctrl-C.
    """
    path = Path(folder) / STOP_FILE
    if path.exists():
        return
    with disk_errors(path):
        path.touch()
    process = read_object(path.parent / PROCESS_FILE)
    # A second signal would end a training without a checkpoint, and one to this process would end the dashboard.
    if os.name != "nt" and process.get("pid") != os.getpid() and is_alive(process):
        with suppress(psutil.NoSuchProcess):
            psutil.Process(process["pid"]).send_signal(signal.SIGINT)


def wait(handle: Handle, progress: ProgressCallback = silent) -> dict[str, Any]:
    """Wait until the worker has ended; returns the result of its function.

    `progress` is told at every look how far it is, or what it waits for while it is queued. If it raises `Stopped`, or
    on Ctrl-C, the worker is asked to stop and waited for, so that its checkpoint is whole; a second Ctrl-C kills it.

    Raises:
        InputError: the worker found a person's mistake in the values.
        Stopped: it was stopped.
        WorkFailed: it failed or died; says its last line.
    """
    asked = False
    try:
        while not _is_over(handle):
            progress(_report(handle))
    except (Stopped, KeyboardInterrupt):
        asked = True
        _stop_and_wait(handle)
    end = status(handle.folder)
    if end.state == "finished":
        if asked:
            raise Stopped(
                f"The {handle.title} had finished when the stop came; what it made is kept. Start again to go on."
            )
        progress(_report(handle))
        return end.result or {}
    if end.state == "stopped":
        raise Stopped(end.message)
    if end.error == "InputError":
        raise InputError(end.message)
    raise WorkFailed(end.message)


def _refuse_second(folder: Path, title: str) -> None:
    there = status(folder)
    if there.live:
        raise _at_work(folder, title, there.pid)


def _at_work(folder: Path, title: str, pid: int | None) -> InputError:
    return InputError(
        f"The output folder is {folder}, where a {title} is running already (process {pid}). "
        "Stop it first, or choose another folder."
    )


def _spawn(folder: Path, gently: bool) -> "subprocess.Popen[bytes]":
    environment = {name: value for name, value in os.environ.items() if name not in _LAUNCHER}
    environment |= {"PYTHONPATH": child_python_path(), "PYTHONUNBUFFERED": "1"}
    # Threads that spin while they wait for each other take the processor from the page and from themselves: beside
    # one other busy process a step took 6 (135 M parameters) to 15 times (260 k) longer on two cores.
    environment.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    with disk_errors(folder), (folder / LOG_FILE).open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", __package__, str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=environment,
        )
    if gently:
        with suppress(psutil.Error):
            psutil.Process(process.pid).nice(psutil.BELOW_NORMAL_PRIORITY_CLASS if os.name == "nt" else 10)
    return process


def _reap(process: "subprocess.Popen[bytes]", handle: Handle) -> None:
    code = process.wait()
    try:
        record_exit(handle.folder, handle.pid, code)
    except (OSError, WorkFailed, InputError):
        _log.exception("The exit code %s of process %d could not be written", code, handle.pid)
    finally:
        handle.ended.set()
    _log.info("Process %d for the %s ended with exit code %d", handle.pid, handle.title, code)


def _is_over(handle: Handle) -> bool:
    """Whether nobody works in the folder any more: a worker of another parent that was killed may have come first."""
    return handle.ended.wait(_POLL_SECONDS) and not status(handle.folder).live


def _report(handle: Handle) -> Progress:
    now = status(handle.folder)
    if now.state == "queued":
        return Progress(now.message, 0)
    done = now.progress or JobProgress()
    return Progress(done.task or handle.title, done.step, done.total_steps, done.unit)


def _stop_and_wait(handle: Handle) -> None:
    """Ask politely; whoever presses Ctrl-C again wants it gone at once, and gets it, with the last checkpoint."""
    try:
        request_stop(handle.folder)
        while not _is_over(handle):
            pass
    except KeyboardInterrupt as again:
        while not handle.ended.is_set():
            # Also a third Ctrl-C must not leave it running.
            with suppress(psutil.NoSuchProcess, KeyboardInterrupt):
                psutil.Process(handle.pid).kill()
                handle.ended.wait()
        raise Stopped(
            f"The {handle.title} was broken off at once. Start it again to go on from what it had kept."
        ) from again
