"""The world's sentences as text files, and how they are read."""

import itertools
from collections.abc import Iterator
from pathlib import Path

FOLDER = Path(__file__).parent


def read_rules(name: str) -> dict[str, tuple[str, ...]]:
    """Lines by the `@name` above them."""
    return {head.removeprefix("@"): tuple(lines) for head, *lines in read_paragraphs(FOLDER / name)}


def read_paragraphs(path: Path) -> Iterator[list[str]]:
    """Runs of lines between empty ones; a line that begins with # is a comment."""
    lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#"))
    for filled, paragraph in itertools.groupby(lines, bool):
        if filled:
            yield list(paragraph)
