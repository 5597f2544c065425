"""One form of input."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Form:
    """One form of input.

    Attributes:
        name: what it is.
        give: makes it in an empty folder, gives it to the product, and returns what was read.
        holds: what must have been read; None where reading it at all is enough.
        refused: whether it must be refused instead.
    """

    name: str
    give: Callable[[Path], Any]
    holds: Any = None
    refused: bool = False


REFUSED = object()
"""In a table of forms, in place of what must have been read."""


def form(name: str, give: Callable[[Path], Any], expected: Any) -> Form:
    """A form whose `expected` is what must have been read, or REFUSED."""
    return Form(name, give, None if expected is REFUSED else expected, expected is REFUSED)
