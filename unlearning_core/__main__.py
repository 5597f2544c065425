"""The command `unlearn`, also `python -m unlearning_core`."""

import logging
import os
import sys
from typing import NoReturn

from unlearning_core.openmp import wait_without_spinning

wait_without_spinning()

INTERRUPTED = 130
"""What a shell calls a program that Ctrl-C ended."""


def main() -> NoReturn:
    """Run the command that the process was started with, and end with its exit code."""
    try:
        # Here, so that Ctrl-C is heard while the libraries are read.
        from unlearning_core.cli.app import main as run_command
        from unlearning_core.distributed import world_size

        code = run_command()
        sys.stdout.flush()
    except KeyboardInterrupt:
        print("Stopped before anything was begun.", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        # Who read the output, such as `head`, has enough. Python would complain once more when it flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    if world_size() > 1:
        # All is written. A thread of torch's process group that is still alive would abort the interpreter's end.
        logging.shutdown()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    main()
