"""The rest of a run in a process of its own, for a page that must not wait: watched and stopped by the run's folder.

Any process, also one started later, can ask whether it is at work. The process is `python -m unlearning_core resume`.
"""

import logging
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import psutil

from unlearning_core.errors import InputError
from unlearning_core.files import disk_errors
from unlearning_core.retraining.events import read_json
from unlearning_core.retraining.liveness import PROCESS_FILE, alive, record
from unlearning_core.retraining.process import request_stop
from unlearning_core.retraining.process import status as training_status
from unlearning_core.runs import BACKGROUND as FOLDER
from unlearning_core.runs import Run

log = logging.getLogger(__name__)

OUTPUT = "output.log"

# A process started from a shell's background job inherits "ignore Ctrl-C", which would leave Stop without effect.
_MAIN = (
    "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "from unlearning_core.cli import main; sys.exit(main())"
)


def start(run: Run, until: str | None = None) -> int:
    """Go on with `run` in a new process, to the end or through the stage `until`; returns its process id.

    Raises:
        InputError: one is at work on it already.
    """
    if is_running(run):
        raise InputError(f"The run {run.id} is being worked on already. Stop it first, or wait until it has finished.")
    folder = run.folder / FOLDER
    command = [sys.executable, "-c", _MAIN, "resume", str(run.folder.resolve())]
    command += ["--until", until] if until else []
    root = str(Path(__file__).resolve().parents[1])
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))}
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
    # Waited for here, so that no zombie is left, whoever forgets it.
    threading.Thread(target=process.wait, name=f"run-{process.pid}", daemon=True).start()
    log.info("process %d goes on with run %s", process.pid, run.id)
    return process.pid


def is_running(run: Run) -> bool:
    """Whether a process that `start` started, from here or elsewhere, works on the run."""
    return alive(read_json(run.folder / FOLDER / PROCESS_FILE))


def stop(run: Run) -> None:
    """Ask it to stop: a retraining with a checkpoint, anything else at once; what was finished is kept."""
    training = run.folder / "retraining"
    if training_status(training).live:
        request_stop(training)
        return
    process = read_json(run.folder / FOLDER / PROCESS_FILE)
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
    path = run.folder / FOLDER / OUTPUT
    if not path.is_file():
        return ""
    lines = [line.strip() for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else ""
