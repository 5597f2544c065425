"""How long work says how far it is, to whoever listens: a bar in the terminal, a bar on a page, an event file."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """One report.

    Attributes:
        task: what is being done, in words a person reads ("ranking neurons").
        done: units finished so far.
        total: units in all, or None while that is unknown.
        unit: what is counted ("sentences", "tokens", "steps", "bytes").
    """

    task: str
    done: float
    total: float | None = None
    unit: str = ""


ProgressCallback = Callable[[Progress], None]
"""Called from the thread that works, often (cheap to call). It may raise `errors.Stopped` to stop the work."""


def silent(progress: Progress) -> None:
    """Listen to nothing: the default callback."""
