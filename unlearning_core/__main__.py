"""`python -m unlearning_core ...`."""

import sys

from unlearning_core.cli import main

if __name__ == "__main__":
    sys.exit(main())
