"""How far a job is, as its folder tells any process that asks, and whether its worker still lives."""

import signal
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from unlearning_core.files import read_object
from unlearning_core.jobs.events import LIVE, STATUS_FILE
from unlearning_core.jobs.liveness import PROCESS_FILE, exit_code, is_alive
from unlearning_core.jobs.stopping import STOP_FILE
from unlearning_core.reading import check_form

JOB_FILE = "job.json"
LOG_FILE = "worker.log"


@dataclass(frozen=True)
class JobProgress:
    """How far a job is: `step` of `total_steps` (None while unknown), with a training's latest loss in nats a token."""

    task: str = ""
    step: int = 0
    total_steps: int | None = None
    unit: str = ""
    eta_seconds: float | None = None
    loss: float | None = None
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


def status(folder: Path) -> JobStatus:
    """What the folder tells, and whether its worker is still alive; a dead one is "failed", with its last words."""
    folder = Path(folder)
    told = read_object(folder / STATUS_FILE)
    if not told:
        return JobStatus("absent")
    process = read_object(folder / PROCESS_FILE)
    known: dict[str, Any] = {
        name: told[name] for name in ("state", "message", "ahead", "error", "result") if name in told
    }
    begun = told.get("total_steps") or told.get("step")
    progress = {field.name: told[field.name] for field in fields(JobProgress) if field.name in told} if begun else None
    known |= {"progress": progress, "pid": process.get("pid"), "exit_code": exit_code(folder, process.get("pid"))}
    try:
        check_form(known, JobStatus)
    except ValueError as error:
        message = f"{folder / STATUS_FILE} is damaged: {error}. Start again to go on from what it had kept."
        return JobStatus("failed", message, error="WorkFailed")
    found = JobStatus(**known | {"progress": JobProgress(**progress) if progress else None})
    if not found.live or not process or is_alive(process):
        return found
    if read_object(folder / STATUS_FILE).get("state") not in LIVE:  # it said so between the two looks
        return status(folder)
    if told["state"] == "starting" and (folder / STOP_FILE).exists():
        return replace(found, state="stopped", message="Stopped before it began.", error="Stopped")
    return replace(found, state="failed", message=_last_words(folder, found), error="WorkFailed")


def tail(folder: Path, lines: int = 20) -> list[str]:
    """The last lines that the worker printed, empty ones left out."""
    path = Path(folder) / LOG_FILE
    if not path.is_file():
        return []
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 64_000))
        text = file.read().decode("utf-8", errors="replace")
    return [line for line in text.splitlines() if line.strip()][-lines:]


def _last_words(folder: Path, found: JobStatus) -> str:
    title = read_object(folder / JOB_FILE).get("title", "job")
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
