"""The child's side of a job: call its function, tell how far it is and how it ended. No torch."""

import importlib
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, cast

from unlearning_core.compat import is_panic
from unlearning_core.errors import InputError, Stopped, WorkbenchError
from unlearning_core.files import disk_errors, read_object
from unlearning_core.jobs.events import EventLog
from unlearning_core.jobs.limits import Limits, within
from unlearning_core.jobs.liveness import record
from unlearning_core.jobs.process import alone_in
from unlearning_core.jobs.status import JOB_FILE
from unlearning_core.jobs.stopping import STOP_FILE
from unlearning_core.logs import FORMAT, RedactingFormatter, quiet_libraries, redact
from unlearning_core.progress import Progress

_log = logging.getLogger(__name__)
_STOPPED = "Stopped. What was finished is kept; start it again to go on."


@dataclass
class JobContext:
    """What a job's function is given beside its values: the job's events and status, and whether to stop."""

    log: EventLog

    def should_stop(self) -> bool:
        """Whether someone asked for a stop by `request_stop`."""
        return (self.log.folder / STOP_FILE).exists()

    def progress(self, update: Progress) -> None:
        """Write how far it is into the status.

        Raises:
            Stopped: someone asked for it.
        """
        if self.should_stop():
            raise Stopped(_STOPPED)
        if self.log.status.get("state") != "running":
            self.log.state("running")
        self.log.step(task=update.task, step=update.done, total_steps=update.total, unit=update.unit)


@contextmanager
def working_in(folder: Path, title: str, *, first: bool = True) -> Iterator[EventLog]:
    """This process works in `folder`: recorded there, alone, and if it ends by an exception the status says so.

    The other processes of a distributed launch, which are not `first`, write nothing.

    Raises:
        InputError: another process works there.
    """
    if first:
        with disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
    with alone_in(folder, title) if first else nullcontext():
        log = EventLog(folder, silent=not first)
        if first:
            record(folder, os.getpid())
        try:
            yield log
        except BaseException as error:
            state = "stopped" if isinstance(error, Stopped | KeyboardInterrupt) else "failed"
            message = _STOPPED if isinstance(error, KeyboardInterrupt) else str(error) or type(error).__name__
            with suppress(WorkbenchError, OSError):
                log.state(state, message, error=type(error).__name__)
            raise


def main(folder: Path) -> int:
    """Do the job in `folder`; the exit code is 0 (finished), 2 (a person's mistake) or 1 (stopped or failed).

    What is printed goes to `worker.log`; its last line says why the job ended.
    """

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    # Also where a shell's background job has inherited "ignore Ctrl-C".
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)
    quiet_libraries()
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(RedactingFormatter(FORMAT))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    job = read_object(folder / JOB_FILE)
    try:
        with working_in(folder, job["title"]) as log:
            _log.info("Process %d: %s", os.getpid(), job["target"])
            with within(Limits(**job.get("limits") or {}), log):
                result = _function(job["target"])(job["values"], JobContext(log))
            if log.status["state"] != "finished":  # it may have said so itself, with a message
                log.state("finished", result=result)
    except WorkbenchError as error:
        print(redact(str(error)), flush=True)
        return error.exit_code
    except KeyboardInterrupt:
        print(_STOPPED, flush=True)
        return Stopped.exit_code
    except BaseException as error:
        if not isinstance(error, Exception) and not is_panic(error):
            raise
        _log.exception("The job failed by an unexpected error")
        return 1
    return 0


def _function(target: str) -> Callable[[dict[str, Any], JobContext], dict[str, Any] | None]:
    module, _, name = target.partition(":")
    if module.partition(".")[0] != __name__.partition(".")[0]:
        raise InputError(f"target is {target!r}; expected a function of this program, as unlearning_core.module:name.")
    return cast("Callable[..., dict[str, Any] | None]", getattr(importlib.import_module(module), name))
