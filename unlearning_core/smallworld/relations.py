"""How each kind of fact is asked, answered and stated: `wording/relations.txt`, with its words filled in."""

import functools
from dataclasses import dataclass

from unlearning_core.smallworld.facts import Member
from unlearning_core.smallworld.facts.table import Family
from unlearning_core.smallworld.wording import read_blocks


@dataclass(frozen=True)
class Relation:
    """One kind of fact of some families.

    Attributes:
        name: the column of the facts' table.
        answer: the one sentence that answers a question about it.
        paraphrase: another wording, used by no text.
        asked: questions that the training text asks.
        asked_held_out: questions that it never asks.
        stated: sentences of the training text that state it.
        stated_held_out: sentences that it never contains.
    """

    name: str
    answer: str
    paraphrase: str
    asked: tuple[str, ...]
    asked_held_out: tuple[str, ...]
    stated: tuple[str, ...]
    stated_held_out: tuple[str, ...]


@functools.cache
def _by_family() -> dict[str, tuple[Relation, ...]]:
    found: dict[str, tuple[Relation, ...]] = {}
    for block in read_blocks("relations.txt"):
        asked, stated = block.lists["asked"], block.lists["stated"]
        held = block.lists["asked held out"], block.lists["stated held out"]
        answer, paraphrase = block.values["answer"], block.values["paraphrase"]
        relation = Relation(block.title, answer, paraphrase, asked, held[0], stated, held[1])
        for family in block.families:
            found[family] = (*found.get(family, ()), relation)
    return found


def relations(family: Family) -> tuple[Relation, ...]:
    """The kinds of fact that the world knows about a family's members."""
    return _by_family()[family.name]


def say(frame: str, member: Member, value: str, *, pronoun: bool = False) -> str:
    """Fill a frame; with `pronoun` a statement's subject is not named again."""
    it = "Such a person" if member.family == "jobs" else "It"
    return (
        frame.replace("{S}", it if pronoun else _upper(member.a))
        .replace("{The}", _upper(member.the))
        .replace("{the}", member.the)
        .replace("{A}", _upper(member.a))
        .replace("{a}", member.a)
        .replace("{n}", member.noun)
        .replace("{V}", _upper(value))
        .replace("{v}", value)
    )


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]
