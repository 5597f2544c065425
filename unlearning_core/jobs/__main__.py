"""`python -m unlearning_core.jobs FOLDER`: the process that works on the job which `launch` wrote in FOLDER."""

import sys
from pathlib import Path

from unlearning_core.jobs.worker import main

if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
