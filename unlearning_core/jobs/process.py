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
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psutil
from filelock import FileLock, Timeout

from unlearning_core.errors import InputError, Stopped, WorkFailed
from unlearning_core.files import disk_errors, write_json
from unlearning_core.jobs.events import LIVE, STATUS_FILE, EventLog, read_json
from unlearning_core.jobs.liveness import PROCESS_FILE, is_alive, record
from unlearning_core.jobs.stopping import STOP_FILE
from unlearning_core.progress import Progress, ProgressCallback, silent

_log = logging.getLogger(__name__)
JOB_FILE = "job.json"
LOG_FILE = "worker.log"
LOCK_FILE = "lock"
_LOCK_SECONDS = 5.0
"""Longer than a launch holds the lock, and than a worker needs to give it back after it has told how it ended."""
_LAUNCHER = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


@dataclass(frozen=True)
class JobProgress:
    """How far a job is.

    Attributes:
        task: what is being done ("retraining").
        step: units done.
        total_steps: of how many, or None while that is unknown.
        unit: what is counted ("steps").
        eta_seconds: time left.
        loss: of a training's latest logged steps, nats a token.
        eval_loss: a training's latest evaluation loss, nats a token.
        tokens_per_second: predicted tokens a second of a training, lately.
    """

    task: str = ""
    step: int = 0
    total_steps: int | None = None
    unit: str = ""
    eta_seconds: float | None = None
    loss: float | None = None
    eval_loss: float | None = None
    tokens_per_second: float | None = None


@dataclass(frozen=True)
class JobStatus:
    """What is known of a job.

    Attributes:
        state: "absent" (never started), "queued" (another one has the device), "starting", "running", "finished",
            "stopped" or "failed".
        message: why it stopped or failed, or what it waits for; a sentence to show.
        progress: how far it is, or was when it ended; None before it has said so.
        ahead: while queued, how many come first.
        pid: of the worker.
        exit_code: of a worker that has ended, where its parent saw it end.
        error: class name of what ended it ("InputError", "WorkFailed", "Stopped", ...).
        result: what its function returned, once finished.
    """

    state: str
    message: str = ""
    progress: JobProgress | None = None
    ahead: int = 0
    pid: int | None = None
    exit_code: int | None = None
    error: str | None = None
    result: dict[str, Any] | None = None

    @property
    def live(self) -> bool:
        """Whether a worker is at it."""
        return self.state in LIVE


@dataclass(frozen=True)
class Handle:
    """A worker that this process started.

    Attributes:
        folder: the job's folder.
        title: what the job is called in messages.
        pid: of the worker.
        ended: set once the worker has ended and its exit code is in the folder.
    """

    folder: Path
    title: str
    pid: int
    ended: threading.Event = field(default_factory=threading.Event, compare=False)


def launch(folder: Path, target: str, values: dict[str, Any], *, title: str = "job", gently: bool = False) -> Handle:
    """Call a function in a process of its own, which `folder` remembers.

    The worker has a session of its own, so a Ctrl-C in the parent's terminal does not reach it: the parent decides.

    Args:
        folder: gets `job.json`, `status.json`, `events.jsonl`, `process.json` and `worker.log`.
        target: "unlearning_core.some.module:function"; called with `values` and a `jobs.worker.JobContext`, it returns
            a JSON-able dictionary or None.
        values: JSON-able.
        title: what the job is called in messages ("retraining").
        gently: let whatever else the machine does go first.

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
        (folder / STOP_FILE).unlink(missing_ok=True)
        write_json(folder / JOB_FILE, {"target": target, "title": title, "values": values})
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
    lock = FileLock(folder / LOCK_FILE, timeout=_LOCK_SECONDS)
    try:
        with disk_errors(folder):
            lock.acquire()
    except Timeout as error:
        raise _at_work(folder, title, read_json(folder / PROCESS_FILE).get("pid")) from error
    try:
        yield
    finally:
        lock.release()


def status(folder: Path) -> JobStatus:
    """What the folder tells, and whether its worker is still alive; a dead one is "failed", with its last words."""
    folder = Path(folder)
    told = read_json(folder / STATUS_FILE)
    if not told:
        return JobStatus("absent")
    process = read_json(folder / PROCESS_FILE)
    found = _as_told(told, process)
    if not found.live or not process or is_alive(process):
        return found
    if read_json(folder / STATUS_FILE).get("state") not in LIVE:  # it said so between the two looks
        return status(folder)
    if told["state"] == "starting" and (folder / STOP_FILE).exists():
        return replace(found, state="stopped", message="Stopped before it began.", error="Stopped")
    return replace(found, state="failed", message=_last_words(folder, found), error="WorkFailed")


def request_stop(folder: Path) -> None:
    """Ask the worker to stop; asking again changes nothing.

    A training stops after its current step, with a checkpoint. Anything else is interrupted at once, as by Ctrl-C.
    """
    path = Path(folder) / STOP_FILE
    if path.exists():
        return
    with disk_errors(path):
        path.touch()
    process = read_json(path.parent / PROCESS_FILE)
    # A second signal would end a training without a checkpoint, and one to this process would end the dashboard.
    if os.name != "nt" and process.get("pid") != os.getpid() and is_alive(process):
        with suppress(psutil.NoSuchProcess):
            psutil.Process(process["pid"]).send_signal(signal.SIGINT)


def wait(handle: Handle, progress: ProgressCallback = silent, *, poll_seconds: float = 0.2) -> dict[str, Any]:
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
        while not _is_over(handle, poll_seconds):
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


def tail(folder: Path, lines: int = 20) -> list[str]:
    """The last lines that the worker printed, empty ones left out."""
    path = Path(folder) / LOG_FILE
    if not path.is_file():
        return []
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 64_000))
        text = file.read().decode("utf-8", errors="replace")
    return [line for line in text.splitlines() if line.strip()][-lines:]


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
    with disk_errors(folder), (folder / LOG_FILE).open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", __package__, str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=_environment(),
        )
    if gently:
        with suppress(psutil.Error):
            psutil.Process(process.pid).nice(psutil.BELOW_NORMAL_PRIORITY_CLASS if os.name == "nt" else 10)
    return process


def _environment() -> dict[str, str]:
    """The environment of a child: this process's, without what would make it one of several launched together."""
    environment = {name: value for name, value in os.environ.items() if name not in _LAUNCHER}
    root = str(Path(__file__).resolve().parents[2])
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    environment["PYTHONUNBUFFERED"] = "1"
    # Threads that spin while they wait for each other take the processor from the page and from themselves: beside
    # one other busy process a step took 6 (135 M parameters) to 15 times (260 k) longer on two cores.
    environment.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    return environment


def _reap(process: "subprocess.Popen[bytes]", handle: Handle) -> None:
    code = process.wait()
    try:
        known = read_json(handle.folder / PROCESS_FILE)
        if known.get("pid") == handle.pid:
            write_json(handle.folder / PROCESS_FILE, known | {"exit_code": code})
    except (OSError, WorkFailed, InputError):
        _log.exception("The exit code %s of process %d could not be written", code, handle.pid)
    finally:
        handle.ended.set()
    _log.info("Process %d for the %s ended with exit code %d", handle.pid, handle.title, code)


def _is_over(handle: Handle, poll_seconds: float) -> bool:
    """Whether nobody works in the folder any more: a worker of another parent that was killed may have come first."""
    return handle.ended.wait(poll_seconds) and not status(handle.folder).live


def _report(handle: Handle) -> Progress:
    now = status(handle.folder)
    if now.state == "queued":
        return Progress(now.message, 0)
    if now.progress is None:
        return Progress(handle.title, 0)
    return Progress(now.progress.task or handle.title, now.progress.step, now.progress.total_steps, now.progress.unit)


def _stop_and_wait(handle: Handle) -> None:
    """Ask politely; whoever presses Ctrl-C again wants it gone at once, and gets it, with the last checkpoint."""
    try:
        request_stop(handle.folder)
        while not _is_over(handle, 0.2):
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


def _as_told(told: dict[str, Any], process: dict[str, Any]) -> JobStatus:
    known = {name: told[name] for name in ("state", "message", "ahead", "error", "result") if name in told}
    progress = {name: told[name] for name in JobProgress.__dataclass_fields__ if name in told}
    begun = told.get("total_steps") or told.get("step")
    return JobStatus(
        **known,
        progress=JobProgress(**progress) if begun else None,
        pid=process.get("pid"),
        exit_code=process.get("exit_code"),
    )


def _last_words(folder: Path, found: JobStatus) -> str:
    title = read_json(folder / JOB_FILE).get("title", "job")
    step = f" at step {found.progress.step}" if found.progress else ""
    how = "" if found.exit_code is None else f" (exit code {found.exit_code})"
    if found.exit_code == -signal.SIGKILL:
        how = " (killed; often for want of memory: a smaller batch_size or max_length needs less)"
    last = tail(folder, 1)
    line = f" The last line of its log: {last[0]!r}." if last else ""
    return (
        f"The {title} process died{step}{how}.{line} The whole log is {folder / LOG_FILE}; start again to go on from "
        "what it had kept."
    )
