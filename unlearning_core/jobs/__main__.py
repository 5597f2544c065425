"""`python -m unlearning_core.jobs FOLDER`: the process that works on the job which `launch` wrote in FOLDER."""

import gc
import sys
from pathlib import Path

from unlearning_core.jobs.worker import main

if __name__ == "__main__":
    code = main(Path(sys.argv[1]))
    # The interpreter looks at everything several times when it ends. With torch in memory that is a second of processor
    # time, many seconds for a job that works gently beside others, in which one that was stopped still seems to run.
    gc.freeze()
    sys.exit(code)
