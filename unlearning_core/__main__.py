"""The command `unlearn`, also `python -m unlearning_core`."""

import logging
import os
import sys
from typing import NoReturn

# Threads that wait by spinning take the cores from whatever else runs; read by OpenMP when torch is first imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from unlearning_core.cli.app import main as run_command
from unlearning_core.distributed import world_size


def main() -> NoReturn:
    """Run the command that the process was started with, and end with its exit code."""
    code = run_command()
    if world_size() > 1:
        # All is written. A thread of torch's process group that is still alive would abort the interpreter's end.
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    main()
