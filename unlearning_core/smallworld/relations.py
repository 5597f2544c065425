"""How each kind of fact is asked, answered and stated: `wording/relations.txt`, with its words filled in."""

import functools
from dataclasses import dataclass

from unlearning_core.smallworld.facts import FAMILIES, Family, Member
from unlearning_core.smallworld.items import ByPhrasing
from unlearning_core.smallworld.wording import FOLDER, read_paragraphs

THINGS = ("seats", "tables", "beds", "vehicles", "instruments", "tools")
"""The families that the files call things: what people use, with the same kinds of fact."""


@dataclass(frozen=True)
class Block:
    """A `== title: families` part of a file, its `key: value` lines, and its other lines by the `name:` above them."""

    title: str
    families: tuple[str, ...]
    values: dict[str, str]
    lists: dict[str, tuple[str, ...]]


@functools.cache
def read_blocks(name: str) -> list[Block]:
    """The blocks of a file, in their order.

    Raises:
        ValueError: a block is for a family that there is not.
    """
    blocks: list[Block] = []
    for head, *lines in read_paragraphs(FOLDER / name):
        if head.startswith("=="):
            title, _, families = head.removeprefix("==").strip().partition(": ")
            blocks.append(Block(title, _families(families), dict(line.split(": ", 1) for line in lines), {}))
        else:
            blocks[-1].lists[head.removesuffix(":")] = tuple(lines)
    return blocks


def _families(names: str) -> tuple[str, ...]:
    families = tuple(each for name in names.split() for each in (THINGS if name == "things" else (name,)))
    unknown = [name for name in families if name not in FAMILIES]
    if unknown:
        raise ValueError(f"{unknown} are no families of SmallWorld; choose from {', '.join(FAMILIES)}")
    return families


@dataclass(frozen=True)
class Relation:
    """One kind of fact of some families.

    Attributes:
        name: the column of the facts' table.
        answer: the one sentence that answers a question about it.
        paraphrase: another wording, used by no text.
        asked: questions by phrasing; the training text asks the seen ones only.
        stated: sentences that state it, likewise.
    """

    name: str
    answer: str
    paraphrase: str
    asked: ByPhrasing
    stated: ByPhrasing


@functools.cache
def _by_family() -> dict[str, tuple[Relation, ...]]:
    found: dict[str, tuple[Relation, ...]] = dict.fromkeys(FAMILIES, ())
    for block in read_blocks("relations.txt"):
        lists = block.lists
        asked: ByPhrasing = {"seen": lists["asked"], "held_out": lists["asked held out"]}
        stated: ByPhrasing = {"seen": lists["stated"], "held_out": lists["stated held out"]}
        for family in block.families:
            found[family] += (Relation(block.title, **block.values, asked=asked, stated=stated),)
    return found


def relations(family: Family) -> tuple[Relation, ...]:
    """The kinds of fact that the world knows about a family's members."""
    return _by_family()[family.name]


def say(frame: str, member: Member, value: str = "", *, pronoun: bool = False) -> str:
    """Fill a frame; with `pronoun` a statement's subject is not named again."""
    words = {"a": member.a, "the": member.the, "n": member.noun, "v": value}
    words |= {name.capitalize(): word[:1].upper() + word[1:] for name, word in words.items()}
    words["S"] = ("Such a person" if member.family == "jobs" else "It") if pronoun else words["A"]
    return frame.format(**words)
