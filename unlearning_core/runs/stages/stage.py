"""What a stage is, and what its inputs are identified by."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unlearning_core.runs.context import RunContext

Summary = dict[str, Any]


@dataclass(frozen=True)
class Stage:
    """One step of the path.

    Attributes:
        name: what status.json calls it.
        title: what a progress bar calls it.
        needs: stages whose outcome this one builds on.
        outputs: files and folders it leaves in the run folder.
        inputs: everything else that its outcome depends on, JSON-able.
        run: does the work and returns a few figures.
        collective: all processes of a launch run it together; otherwise the main one alone.
        applies: whether this run has the stage at all.
    """

    name: str
    title: str
    needs: tuple[str, ...]
    outputs: tuple[str, ...]
    inputs: Callable[[RunContext], Any]
    run: Callable[[RunContext], Summary]
    collective: bool = False
    applies: Callable[[RunContext], bool] = lambda context: True


def identity(source: str | None) -> Any:
    """What a source of text is by content: a digest for a file, names and sizes for a folder, the name for the Hub."""
    if source is None:
        return None
    path = Path(source)
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file())
        return [[str(file.relative_to(path)), file.stat().st_size, file.stat().st_mtime_ns] for file in files]
    return source
