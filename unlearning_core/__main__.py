"""`python -m unlearning_core ...`."""

import logging
import os
import sys

# Threads that wait by spinning take the cores from whatever else runs; read by OpenMP when torch is first imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from unlearning_core.cli.main import main
from unlearning_core.distributed import world_size

if __name__ == "__main__":
    code = main()
    if world_size() > 1:
        # All is written. A thread of torch's process group that is still alive would abort the interpreter's end.
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)
