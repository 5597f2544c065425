"""On a child's PYTHONPATH: adds the toy jobs to `unlearning_core`, because a job's function must be in there."""

from pathlib import Path

import unlearning_core

unlearning_core.__path__.append(str(Path(__file__).parent / "modules"))
