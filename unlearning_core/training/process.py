"""The parent's side of a retraining: start the worker, watch its folder, ask it to stop, notice when it died. No torch.

The folder holds the truth: any process, also one started after the worker, can ask for its `status`.
"""

import logging
import os
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from unlearning_core.errors import InputError, Stopped, WorkFailed
from unlearning_core.files import child_python_path, disk_errors, write_json
from unlearning_core.jobs.events import LIVE, STATUS_FILE, EventLog, read_json
from unlearning_core.jobs.liveness import PROCESS_FILE, alive, record
from unlearning_core.jobs.stopping import STOP_FILE
from unlearning_core.progress import Progress, ProgressCallback, silent
from unlearning_core.training.job import TrainingJob

_log = logging.getLogger(__name__)
JOB_FILE = "job.json"
LOG_FILE = "worker.log"
_PATHS = ("model_folder", "output_folder", "recipe_folder", "probe_set_path")
_LAUNCHER = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


@dataclass(frozen=True)
class Status:
    """How far a retraining is.

    Attributes:
        state: "absent" (never started), "queued" (another one trains on the device), "starting", "running",
            "finished", "stopped" or "failed".
        message: why it stopped or failed, what it waits for, or where the model is; a sentence to show.
        ahead: while queued, how many trainings come first.
        step: optimizer steps done.
        total_steps: of how many, or None while unknown.
        loss: of the latest logged steps, nats a token.
        eval_loss: latest evaluation loss, nats a token.
        tokens_per_second: predicted tokens a second, lately.
        eta_seconds: time left.
        pid: of the worker.
        exit_code: of a worker that has ended, where its parent saw it end.
        error: class name of what ended it ("InputError", "WorkFailed", "Stopped", ...).
        result: the figures that `train` returns, once finished.
    """

    state: str
    message: str = ""
    ahead: int = 0
    step: int = 0
    total_steps: int | None = None
    loss: float | None = None
    eval_loss: float | None = None
    tokens_per_second: float | None = None
    eta_seconds: float | None = None
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
        folder: the job's output folder.
        pid: of the worker.
        ended: set once the worker has ended and its exit code is in the folder.
    """

    folder: Path
    pid: int
    ended: threading.Event = field(default_factory=threading.Event, compare=False)


def start(job: TrainingJob) -> Handle:
    """Start a worker for `job`; it goes on from the last checkpoint in its folder, if there is one.

    The worker has a session of its own, so a Ctrl-C in the parent's terminal does not reach it: the parent decides.

    Raises:
        InputError: a worker is at work in that folder already.
    """
    folder = job.folder.resolve()
    there = status(folder)
    if there.live:
        raise InputError(
            f"output_folder is {folder}, where a retraining is running already (process {there.pid}). "
            "Stop it first, or choose another folder."
        )
    log = EventLog(folder)
    (folder / STOP_FILE).unlink(missing_ok=True)
    (folder / PROCESS_FILE).unlink(missing_ok=True)
    job_file = folder / JOB_FILE
    write_json(job_file, absolute(job))
    log.state("starting", step=0, total_steps=None, result=None, error=None, eta_seconds=None)
    with disk_errors(folder), (folder / LOG_FILE).open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", f"{__package__}.worker", str(job_file)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=worker_environment(),
        )
    handle = Handle(folder, process.pid)
    record(folder, process.pid)
    # Waiting for the child here is what leaves no zombie, whoever forgets the handle.
    threading.Thread(target=_reap, args=(process, handle), name=f"retraining-{process.pid}", daemon=True).start()
    _log.info("Started retraining worker %d in %s", process.pid, folder)
    return handle


def status(folder: Path) -> Status:
    """What the folder tells, and whether its worker is still alive; a dead one is "failed", with its last words."""
    folder = Path(folder)
    told = read_json(folder / STATUS_FILE)
    if not told:
        return Status("absent")
    process = read_json(folder / PROCESS_FILE)
    known = {name: told[name] for name in Status.__dataclass_fields__ if name in told and name != "exit_code"}
    found = Status(**known | {"pid": process.get("pid"), "exit_code": process.get("exit_code")})
    if not found.live or not process or alive(process):
        return found
    if (again := read_json(folder / STATUS_FILE)).get("state") not in LIVE:
        return status(folder) if again else found
    message = _last_words(folder, process.get("exit_code"), found.step)
    return Status(**known | {"state": "failed", "message": message, "error": "WorkFailed"} | _ids(process))


def request_stop(folder: Path) -> None:
    """Ask the worker to stop after its current step, with a checkpoint."""
    path = Path(folder) / STOP_FILE
    with disk_errors(path):
        path.touch()


def wait(handle: Handle, progress: ProgressCallback = silent, *, poll_seconds: float = 0.2) -> dict[str, Any]:
    """Wait until the worker has ended; returns the figures of the training.

    `progress` is told whenever the step changes, and what it waits for while it is queued. If it raises `Stopped`, or
    on Ctrl-C, the worker is asked to stop and waited for, so that its checkpoint is whole; a second Ctrl-C kills it.

    Raises:
        InputError: the worker found something in the job that cannot be used.
        Stopped: it was stopped; a checkpoint is left.
        WorkFailed: it failed or died; says its last line.
    """
    asked = False
    try:
        _follow(handle, progress, poll_seconds)
    except (Stopped, KeyboardInterrupt):
        asked = True
        _stop_and_wait(handle)
    end = status(handle.folder)
    if end.state == "finished" and end.result is not None:
        if asked:
            raise Stopped("Retraining had finished when the stop came; its model is kept. Start again to go on.")
        progress(Progress("retraining", end.step, end.total_steps, "steps"))
        return end.result
    if end.state == "stopped":
        raise Stopped(end.message)
    if end.error == "InputError":
        raise InputError(end.message)
    raise WorkFailed(end.message)


def _follow(handle: Handle, progress: ProgressCallback, poll_seconds: float) -> None:
    seen: tuple[str, int] | None = None
    while not handle.ended.wait(poll_seconds):
        now = status(handle.folder)
        if now.state == "queued" and seen != (now.message, 0):
            seen = (now.message, 0)
            progress(Progress(now.message, 0))
        elif now.total_steps and seen != ("", now.step):
            seen = ("", now.step)
            progress(Progress("retraining", now.step, now.total_steps, "steps"))


def _stop_and_wait(handle: Handle) -> None:
    """Ask politely; whoever presses Ctrl-C again wants it gone at once, and gets it, with the last checkpoint."""
    try:
        request_stop(handle.folder)
        handle.ended.wait()
    except KeyboardInterrupt as again:
        while not handle.ended.is_set():
            # Also a third Ctrl-C must not leave it running.
            with suppress(psutil.NoSuchProcess, KeyboardInterrupt):
                psutil.Process(handle.pid).kill()
                handle.ended.wait()
        raise Stopped("Retraining was broken off at once. Start it again to go on from its last checkpoint.") from again


def absolute(job: TrainingJob) -> dict[str, Any]:
    """The job with absolute paths; a source of text that is no file here is a name on the Hub and stays."""
    values = job.to_dict()
    for name in (*_PATHS, "train_path", "validation_path"):
        value = values[name]
        if value is not None and (name in _PATHS or Path(value).exists()):
            values[name] = str(Path(value).resolve())
    return values


def worker_environment() -> dict[str, str]:
    """The environment of a child: this process's, without what would make it one of several launched together."""
    environment = {name: value for name, value in os.environ.items() if name not in _LAUNCHER}
    environment["PYTHONPATH"] = child_python_path()
    environment["PYTHONUNBUFFERED"] = "1"
    # Threads that spin while they wait for each other take the processor from the page and from themselves: beside
    # one other busy process a step took 6 (135 M parameters) to 15 times (260 k) longer on two cores.
    environment.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    return environment


def _reap(process: "subprocess.Popen[bytes]", handle: Handle) -> None:
    code = process.wait()
    try:
        known = read_json(handle.folder / PROCESS_FILE)
        write_json(handle.folder / PROCESS_FILE, known | {"pid": handle.pid, "exit_code": code})
    except (OSError, WorkFailed, InputError):
        _log.exception("The exit code %s of worker %d could not be written", code, handle.pid)
    finally:
        handle.ended.set()
    _log.info("Retraining worker %d ended with exit code %d", handle.pid, code)


def _ids(process: dict[str, Any]) -> dict[str, Any]:
    return {"pid": process.get("pid"), "exit_code": process.get("exit_code")}


def _last_words(folder: Path, code: int | None, step: int) -> str:
    how = "" if code is None else f" (exit code {code})"
    if code == -9:
        how = " (killed; often for want of memory: a smaller batch_size or max_length needs less)"
    last = tail(folder, 1)
    line = f" The last line of its log: {last[0]!r}." if last else ""
    return (
        f"The retraining process died at step {step}{how}.{line} "
        f"The whole log is {folder / LOG_FILE}; start again to go on from the last checkpoint."
    )


def tail(folder: Path, lines: int = 20) -> list[str]:
    """The last lines of the worker's log."""
    path = Path(folder) / LOG_FILE
    if not path.is_file():
        return []
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 64_000))
        text = file.read().decode("utf-8", errors="replace")
    return [line for line in text.splitlines() if line.strip()][-lines:]
