"""`python -m unlearning_core ...`."""

import os
import sys

# Threads that wait by spinning take the cores from whatever else runs; read by OpenMP when torch is first imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from unlearning_core.cli import main

if __name__ == "__main__":
    sys.exit(main())
