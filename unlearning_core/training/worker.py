"""The child process of a retraining: `python -m unlearning_core.training.worker JOB.json`."""

import logging
import sys
from pathlib import Path

from unlearning_core.errors import WorkbenchError
from unlearning_core.jobs.stopping import STOP_FILE, stop_on_signals
from unlearning_core.training.job import TrainingJob


def main(argv: list[str]) -> int:
    """Run the job; the exit code is 0 (finished), 2 (a person's mistake) or 1 (stopped or failed).

    How it ended stands in the status file; what is printed goes to `worker.log`, the last line saying why it ended.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s", stream=sys.stdout)
    job = TrainingJob.load(Path(argv[0]))
    stop_file = job.folder / STOP_FILE
    # Before the heavy import, which takes seconds in which a stop may come.
    with stop_on_signals() as signalled:
        from transformers.utils.logging import disable_progress_bar

        from unlearning_core.training.train import train

        disable_progress_bar()
        try:
            train(job, should_stop=lambda: signalled() or stop_file.exists())
        except WorkbenchError as error:
            print(error, flush=True)
            return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
