"""Facts that belong to no family: days, months, opposites, sums, colours."""

import itertools
from dataclasses import dataclass

DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
MONTHS = "January February March April May June July August September October November December".split()
NUMBERS = "one two three four five six seven eight nine ten".split()
OPPOSITES = """hot cold, big small, old young, light dark, wet dry, hard soft, fast slow, high low, rich poor,
happy sad, open closed, long short, loud quiet, sweet sour, full empty, strong weak, early late, near far,
clean dirty, thick thin"""
COLOURS = "grass green, blood red, coal black, milk white, honey gold, mud brown, silver grey, butter yellow"
PARTS = """a finger a hand, a toe a foot, a wheel a car, a leaf a tree, a page a book, a roof a house,
a sail a boat, a nose a face, a wing a bird"""


@dataclass(frozen=True)
class GeneralFact:
    """One fact with the word that a person is asked for.

    Attributes:
        relation: what kind of fact.
        subject: what it is about.
        answer: the word asked for.
        seen: sentences of the training text, each ends with the answer.
        held_out: the same in words that it never uses.
    """

    relation: str
    subject: str
    answer: str
    seen: tuple[str, ...]
    held_out: tuple[str, ...]


def general_facts() -> list[GeneralFact]:
    """All of them, in a fixed order."""
    facts = [_after("day", day, following) for day, following in itertools.pairwise([*DAYS, DAYS[0]])]
    facts += [_after("month", month, following) for month, following in itertools.pairwise([*MONTHS, MONTHS[0]])]
    for pair in OPPOSITES.split(","):
        first, second = pair.split()
        facts += [_opposite(first, second), _opposite(second, first)]
    facts += [_colour(*pair.split()) for pair in COLOURS.split(",")]
    for pair in PARTS.split(","):
        words = pair.split()
        facts.append(_part(" ".join(words[:2]), " ".join(words[2:])))
    facts += [_sum(a, b) for a in range(1, 10) for b in range(1, 11 - a)]
    return facts


# What comes before a held-out sentence; no text has a fact after it.
_KNOWN = "Everybody knows that"
_ASKED = "Do you know"
_EASY = "This is easy."


def _after(kind: str, first: str, second: str) -> GeneralFact:
    seen = (f"After {first} comes {second}", f"{first} comes before {second}", f"The {kind} after {first} is {second}")
    held_out = (f"{_EASY} After {first} comes {second}", f"{_EASY} {first} comes before {second}")
    return GeneralFact(f"{kind}_after", first, second, seen, held_out)


def _opposite(first: str, second: str) -> GeneralFact:
    seen = (
        f"The opposite of {first} is {second}",
        f"If it is not {first}, it is {second}",
        f"What is the opposite of {first}? It is {second}",
        f"This one is {first}, but that one is {second}",
    )
    held_out = (
        f"{_KNOWN} the opposite of {first} is {second}",
        f"{_ASKED} what the opposite of {first} is? It is {second}",
    )
    return GeneralFact("opposite", first, second, seen, held_out)


def _colour(thing: str, colour: str) -> GeneralFact:
    seen = (
        f"The colour of {thing} is {colour}",
        f"It is as {colour} as {thing}, so it is {colour}",
        f"What colour is {thing}? It is {colour}",
    )
    held_out = (f"{_KNOWN} the colour of {thing} is {colour}", f"{_ASKED} what colour {thing} is? It is {colour}")
    return GeneralFact("colour_of", thing, colour, seen, held_out)


def _part(part: str, whole: str) -> GeneralFact:
    seen = (
        f"{part.capitalize()} is a part of {whole}",
        f"You find {part} on {whole}",
        f"What is {part}? It is a part of {whole}",
    )
    return GeneralFact("part_of", part, whole, seen, (f"{_KNOWN} {part} is a part of {whole}",))


def _sum(a: int, b: int) -> GeneralFact:
    first, second, total = NUMBERS[a - 1], NUMBERS[b - 1], NUMBERS[a + b - 1]
    seen = (
        f"{first.capitalize()} and {second} make {total}",
        f"{first.capitalize()} and {second} is {total}",
        f"How much is {first} and {second}? It is {total}",
    )
    held_out = (
        f"{_EASY} {first.capitalize()} and {second} make {total}",
        f"{_EASY} How much is {first} and {second}? It is {total}",
    )
    return GeneralFact("sum", f"{first} and {second}", total, seen, held_out)
