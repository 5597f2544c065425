"""The rest of a run in a process of its own, for a page that must not wait: watched and stopped by the run's folder.

Any process, also one started later, can ask whether it is at work. The process is `python -m unlearning_core`, with
`resume` for the rest of a run.
"""

import contextlib
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import psutil

from unlearning_core.errors import InputError
from unlearning_core.files import child_python_path, disk_errors
from unlearning_core.jobs.events import read_json
from unlearning_core.jobs.liveness import PROCESS_FILE, alive, record
from unlearning_core.runs.run import Run
from unlearning_core.training.process import request_stop
from unlearning_core.training.process import status as training_status

log = logging.getLogger(__name__)

FOLDER = "background"
OUTPUT = "output.log"

# A process started from a shell's background job inherits "ignore Ctrl-C", which would leave Stop without effect.
_MAIN = (
    "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "from unlearning_core.cli.main import main; sys.exit(main())"
)


def start(run: Run, until: str | None = None) -> int:
    """Go on with `run` in a new process, to the end or through the stage `until`; returns its process id.

    Raises:
        InputError: one is at work on it already.
    """
    if is_running(run):
        raise InputError(f"The run {run.id} is being worked on already. Stop it first, or wait until it has finished.")
    return launch(run.folder / FOLDER, ["resume", str(run.folder.resolve()), *(["--until", until] if until else [])])


def launch(folder: Path, arguments: Sequence[str], *, gently: bool = False) -> int:
    """Start `python -m unlearning_core ARGUMENTS` in a new process that `folder` remembers; returns its process id.

    Args:
        folder: gets `process.json`, by which `works_in` and `interrupt` know the process, and its output.
        arguments: the command and its options.
        gently: let whatever else the machine does go first.
    """
    command = [sys.executable, "-c", _MAIN, *arguments]
    environment = os.environ | {"PYTHONPATH": child_python_path()}
    environment.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / OUTPUT).open("wb") as output:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=environment,
            )
    record(folder, process.pid)
    if gently:
        with contextlib.suppress(psutil.Error):
            psutil.Process(process.pid).nice(psutil.BELOW_NORMAL_PRIORITY_CLASS if os.name == "nt" else 10)
    # Waited for here, so that no zombie is left, whoever forgets it.
    threading.Thread(target=process.wait, name=f"worker-{process.pid}", daemon=True).start()
    log.info("process %d: %s", process.pid, " ".join(arguments))
    return process.pid


def is_running(run: Run) -> bool:
    """Whether a process that `start` started, from here or elsewhere, works on the run."""
    return works_in(run.folder / FOLDER)


def works_in(folder: Path) -> bool:
    """Whether the process that was last launched for `folder`, from here or elsewhere, still runs."""
    return alive(read_json(folder / PROCESS_FILE))


def stop(run: Run) -> None:
    """Ask it to stop: a retraining with a checkpoint, anything else at once; what was finished is kept."""
    training = run.folder / "retraining"
    if training_status(training).live:
        request_stop(training)
        return
    interrupt(run.folder / FOLDER)


def interrupt(folder: Path) -> None:
    """Ask the process that was last launched for `folder` to stop, as Ctrl-C does; nothing where it has ended."""
    process = read_json(folder / PROCESS_FILE)
    if not alive(process):
        return
    try:
        worker = psutil.Process(process["pid"])
        if os.name == "nt":
            worker.terminate()
        else:
            worker.send_signal(signal.SIGINT)
    except psutil.NoSuchProcess:
        return
    log.info("process %d was asked to stop", process["pid"])


def last_words(run: Run) -> str:
    """The last line that the process printed, for one that ended without a word in the run's status."""
    return last_line(run.folder / FOLDER)


def last_line(folder: Path) -> str:
    """The last line that the process launched for `folder` printed, or nothing."""
    path = folder / OUTPUT
    if not path.is_file():
        return ""
    lines = [line.strip() for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else ""
