"""How the training behind a ranking goes: one line of JSON a step, in the folder where the method keeps its work."""

import json
from collections.abc import Sequence
from pathlib import Path

from unlearning_core.files import write_text

Step = dict[str, int | float]
"""Figures of one training step, by name; `step` is its number."""

FILE = "history.jsonl"


def write_history(folder: Path, steps: Sequence[Step]) -> None:
    """Replace the history in `folder` by `steps`."""
    write_text(folder / FILE, "".join(json.dumps(step) + "\n" for step in steps))


def read_history(folder: Path) -> list[Step]:
    """The steps so far, the first one first; empty where no training has begun."""
    path = folder / FILE
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.is_file() else []
