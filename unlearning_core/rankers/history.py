"""How the training behind a ranking goes: one line of JSON a step, in the folder where the method keeps its work."""

import json
from collections.abc import Sequence
from pathlib import Path

from unlearning_core.files import write_text
from unlearning_core.reading import parse_lines

Step = dict[str, int | float]
"""Figures of one training step, by name; `step` is its number."""

FILE = "history.jsonl"


def write_history(folder: Path, steps: Sequence[Step]) -> None:
    """Replace the history in `folder` by `steps`."""
    write_text(folder / FILE, "".join(json.dumps(step) + "\n" for step in steps))


def read_history(folder: Path) -> list[Step]:
    """The steps so far, the first one first; empty where no training has begun; a damaged line is left out."""
    path = folder / FILE
    lines = path.read_bytes().split(b"\n") if path.is_file() else []
    return [step for step in parse_lines(lines) if isinstance(step, dict)]
