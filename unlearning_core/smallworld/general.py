"""Facts that belong to no family: days, months, opposites, sums, colours."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from unlearning_core.smallworld.items import ByPhrasing

DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
MONTHS = "January February March April May June July August September October November December".split()
NUMBERS = "one two three four five six seven eight nine ten".split()
OPPOSITES = """hot cold, big small, old young, light dark, wet dry, hard soft, fast slow, high low, rich poor,
happy sad, open closed, long short, loud quiet, sweet sour, full empty, strong weak, early late, near far,
clean dirty, thick thin"""
COLOURS = "grass green, blood red, coal black, milk white, honey gold, mud brown, silver grey, butter yellow"
PARTS = """a finger/a hand, a toe/a foot, a wheel/a car, a leaf/a tree, a page/a book, a roof/a house,
a sail/a boat, a nose/a face, a wing/a bird"""

# Frames by relation, seen and held out: {a} is the subject, {b} the word asked for. The training text has no sentence
# that opens as the held-out ones do.
_AFTER = ("After {a} comes {b}", "{a} comes before {b}")
_EASY_AFTER = ("This is easy. After {a} comes {b}", "This is easy. {a} comes before {b}")
_FRAMES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "day_after": ((*_AFTER, "The day after {a} is {b}"), _EASY_AFTER),
    "month_after": ((*_AFTER, "The month after {a} is {b}"), _EASY_AFTER),
    "opposite": (
        (
            "The opposite of {a} is {b}",
            "If it is not {a}, it is {b}",
            "What is the opposite of {a}? It is {b}",
            "This one is {a}, but that one is {b}",
        ),
        ("Everybody knows that the opposite of {a} is {b}", "Do you know what the opposite of {a} is? It is {b}"),
    ),
    "colour_of": (
        ("The colour of {a} is {b}", "It is as {b} as {a}, so it is {b}", "What colour is {a}? It is {b}"),
        ("Everybody knows that the colour of {a} is {b}", "Do you know what colour {a} is? It is {b}"),
    ),
    "part_of": (
        ("{A} is a part of {b}", "You find {a} on {b}", "What is {a}? It is a part of {b}"),
        ("Everybody knows that {a} is a part of {b}",),
    ),
    "sum": (
        ("{A} make {b}", "{A} is {b}", "How much is {a}? It is {b}"),
        ("This is easy. {A} make {b}", "This is easy. How much is {a}? It is {b}"),
    ),
}


@dataclass(frozen=True)
class GeneralFact:
    """One fact: its relation and subject, the word asked for, and sentences by phrasing that end with that word."""

    relation: str
    subject: str
    answer: str
    stated: ByPhrasing


def general_facts() -> list[GeneralFact]:
    """All of them, in a fixed order."""
    opposites = [pair.split() for pair in OPPOSITES.split(",")]
    pairs: dict[str, Sequence[Sequence[str]]] = {
        "day_after": list(pairwise([*DAYS, DAYS[0]])),
        "month_after": list(pairwise([*MONTHS, MONTHS[0]])),
        "opposite": [pair for first, second in opposites for pair in ((first, second), (second, first))],
        "colour_of": [pair.split() for pair in COLOURS.split(",")],
        "part_of": [pair.strip().split("/") for pair in PARTS.split(",")],
        "sum": [
            (f"{NUMBERS[a - 1]} and {NUMBERS[b - 1]}", NUMBERS[a + b - 1])
            for a in range(1, 10)
            for b in range(1, 11 - a)
        ],
    }
    return [_fact(relation, *pair) for relation, found in pairs.items() for pair in found]


def _fact(relation: str, subject: str, answer: str) -> GeneralFact:
    seen, held_out = (
        tuple(frame.format(a=subject, A=subject.capitalize(), b=answer) for frame in frames)
        for frames in _FRAMES[relation]
    )
    return GeneralFact(relation, subject, answer, {"seen": seen, "held_out": held_out})
