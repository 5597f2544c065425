"""The world's sentences as text files, and how they are read."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from unlearning_core.smallworld.facts import FAMILIES

FOLDER = Path(__file__).parent

THINGS = ("seats", "tables", "beds", "vehicles", "instruments", "tools")
"""The families that the files call things: what people use, with the same kinds of fact."""


@dataclass(frozen=True)
class Block:
    """One `== title: families` part of a file.

    Attributes:
        title: what it is about.
        families: whom it is for.
        values: the `key: value` lines under the title.
        lists: lines by the `name:` above them.
    """

    title: str
    families: tuple[str, ...]
    values: dict[str, str]
    lists: dict[str, tuple[str, ...]]


def read_blocks(name: str) -> list[Block]:
    """The blocks of a file, in their order.

    Raises:
        ValueError: a block is for a family that there is not.
    """
    blocks = []
    paragraphs = read_paragraphs(name)
    for head, *values in paragraphs:
        if head.startswith("=="):
            title, _, families = head.removeprefix("==").strip().partition(": ")
            pairs = dict(line.split(": ", 1) for line in values)
            blocks.append(Block(title, _families(families), pairs, {}))
        else:
            blocks[-1].lists[head.removesuffix(":")] = tuple(values)
    return blocks


def read_rules(name: str) -> dict[str, tuple[str, ...]]:
    """Lines by the `@name` above them."""
    return {head.removeprefix("@"): tuple(lines) for head, *lines in read_paragraphs(name)}


def read_paragraphs(name: str) -> Iterator[list[str]]:
    """Runs of lines between empty ones; a line that begins with # is a comment."""
    paragraph: list[str] = []
    for line in [*(FOLDER / name).read_text(encoding="utf-8").splitlines(), ""]:
        if line.startswith("#"):
            continue
        if line.strip():
            paragraph.append(line.strip())
        elif paragraph:
            yield paragraph
            paragraph = []


def _families(names: str) -> tuple[str, ...]:
    families = tuple(each for name in names.split() for each in (THINGS if name == "things" else (name,)))
    unknown = [name for name in families if name not in FAMILIES]
    if unknown:
        raise ValueError(f"{unknown} are no families of SmallWorld; choose from {', '.join(FAMILIES)}")
    return families
