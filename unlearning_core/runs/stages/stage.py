"""What a stage of a run is."""

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
        name: what status.json calls it; its first word is the kind of its artifact.
        title: what a progress bar calls it.
        needs: stages whose outcome this one builds on.
        outputs: files and folders that it leaves.
        inputs: everything else that its outcome depends on, JSON-able.
        run: does the work, leaves the outputs in the folder it is given, and returns a few figures.
        collective: all processes of a launch run it together; otherwise the main one alone.
        applies: whether this run has the stage at all.
    """

    name: str
    title: str
    needs: tuple[str, ...]
    outputs: tuple[str, ...]
    inputs: Callable[[RunContext], Any]
    run: Callable[[RunContext, Path], Summary]
    collective: bool = False
    applies: Callable[[RunContext], bool] = lambda context: True
