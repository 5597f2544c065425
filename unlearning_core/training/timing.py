"""A few steps of a training, to see how fast it would go: nothing is saved and nothing is changed.

`measure_rate` runs them in a child process (`python -m unlearning_core.training.timing JOB.json`), so that the memory
that a training needs is given back.
"""

import json
import logging
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from unlearning_core.errors import InputError, WorkbenchError, WorkFailed
from unlearning_core.jobs.device_queue import Ticket, device_queue, hold_device
from unlearning_core.jobs.events import EventLog
from unlearning_core.jobs.stopping import never
from unlearning_core.progress import Progress, ProgressCallback, silent
from unlearning_core.training.job import TrainingJob
from unlearning_core.training.process import absolute, worker_environment
from unlearning_core.training.rate import Rate

STEPS = 3
"""Steps that are timed, after one that warms up."""


def measure_rate(job: TrainingJob, progress: ProgressCallback = silent) -> Rate:
    """Take `STEPS` steps of `job` in a child process and time them; takes seconds to a minute.

    Args:
        progress: told that it goes on; may raise Stopped, which ends the child.

    Raises:
        InputError: something in the job cannot be used, or another retraining is running on the device.
        WorkFailed: the child failed; says its last line.
    """
    with tempfile.TemporaryDirectory() as scratch:
        job_file = Path(scratch) / "job.json"
        job_file.write_text(json.dumps(absolute(job) | {"output_folder": scratch}), encoding="utf-8")
        output = Path(scratch) / "output.log"
        with output.open("wb") as file:
            child = subprocess.Popen(
                [sys.executable, "-m", __name__, str(job_file)],
                stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT, env=worker_environment(),
            )  # fmt: skip
            try:
                while child.poll() is None:
                    progress(Progress(f"timing {STEPS} training steps", 0))
                    time.sleep(0.2)
            finally:
                child.kill()
                child.wait()
        lines = output.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    last = lines[-1] if lines else "it said nothing"
    if child.returncode == InputError.exit_code:
        raise InputError(last)
    if child.returncode != 0:
        raise WorkFailed(f"The speed of the training could not be measured ({last}). It can be started all the same.")
    return Rate(**json.loads(last))


def trial(job: TrainingJob, steps: int = STEPS) -> Rate:
    """Take the steps in this process.

    Raises:
        InputError: something in the job cannot be used, or another retraining is running on the device.
    """

    def refuse(before: list[Ticket]) -> None:
        raise InputError(
            "Another retraining is running on this device, so the speed cannot be measured now. Start this one: it "
            "queues, and begins by itself."
        )

    with hold_device(device_queue(job.device), job.folder, waiting=refuse, should_stop=never):
        return _time(job, steps)


def _time(job: TrainingJob, steps: int) -> Rate:
    from unlearning_core.training.callback import EVALUATIONS
    from unlearning_core.training.data import gather
    from unlearning_core.training.learning import Learning
    from unlearning_core.training.train import make_trainer

    started = time.monotonic()
    material = gather(job)
    beside = time.monotonic() - started
    trainer = make_trainer(job, material, steps + 1)
    clock = _clock(trainer)
    trainer.add_callback(clock)
    trainer.train()
    started = time.monotonic()
    trainer.evaluate()
    beside += (EVALUATIONS + 1) * (time.monotonic() - started)
    started = time.monotonic()
    Learning(job, steps, EventLog(job.folder, silent=True), trainer, material.tokenizer).measure(steps)
    beside += 2 * (time.monotonic() - started)
    return Rate(clock.tokens / clock.seconds, round(beside, 3), job.batch_size, steps)


def _clock(trainer: Any) -> Any:
    from transformers import TrainerCallback

    class Clock(TrainerCallback):
        """Tokens and seconds of all steps but the first, which also sets things up."""

        tokens = 0
        seconds = 0.0

        def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            trainer.step_tokens = 0
            self._mark = time.monotonic()

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if state.global_step > 1:
                self.tokens += trainer.step_tokens
                self.seconds += time.monotonic() - self._mark

    return Clock()


def main(argv: list[str]) -> int:
    """Print the rate as JSON, on the last line."""
    logging.basicConfig(level=logging.WARNING)
    try:
        job = TrainingJob.load(argv[0])
        print(json.dumps(asdict(trial(replace(job, max_steps=None)))), flush=True)
    except WorkbenchError as error:
        print(error, flush=True)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
