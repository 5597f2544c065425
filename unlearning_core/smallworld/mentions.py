"""Which families a text speaks of, by its words."""

import functools
import itertools
import operator
import re

from unlearning_core.smallworld.facts import FAMILIES

_IRREGULAR = {"mouse": "mice", "wolf": "wolves", "knife": "knives", "sheep": "sheep"}


def plural(noun: str) -> str:
    """The plural of a noun of the world; of a compound its last word's."""
    head, _, last = noun.rpartition(" ")
    if last in _IRREGULAR:
        last = _IRREGULAR[last]
    elif re.search(r"[^aeiou]y$", last):
        last = last[:-1] + "ies"
    else:
        last += "es" if last.endswith(("s", "x", "ch", "sh")) else "s"
    return f"{head} {last}".strip()


@functools.cache
def _table() -> tuple[re.Pattern[str], dict[str, tuple[str, str]]]:
    """A pattern of every word and noun, and of each its family and member; a family's own words have no member."""
    of: dict[str, tuple[str, str]] = {}
    for family in FAMILIES.values():
        for word in family.words:
            of[word] = family.name, ""
        for member in family.members:
            of[member.noun.lower()] = of[plural(member.noun).lower()] = family.name, member.noun
    # By first letter: hundreds of alternatives, tried one by one at every word, are most of what drawing a text takes.
    longest_first = sorted(of, key=lambda phrase: (phrase[0], -len(phrase)))
    groups = (
        first + "(?:" + "|".join(re.escape(phrase[1:]) for phrase in phrases) + ")"
        for first, phrases in itertools.groupby(longest_first, key=operator.itemgetter(0))
    )
    return re.compile(r"\b(?:" + "|".join(groups) + r")\b"), of


def families_in(text: str) -> frozenset[str]:
    """The families of whose members, or words, the text has at least one."""
    pattern, of = _table()
    return frozenset(of[match][0] for match in pattern.findall(text.lower()))


def members_in(text: str, family: str) -> frozenset[str]:
    """The nouns of the family's members that the text names, in the singular or plural."""
    pattern, of = _table()
    return frozenset(of[match][1] for match in pattern.findall(text.lower()) if of[match][0] == family) - {""}


def first_mention(text: str, family: str) -> int | None:
    """Where the first word of the family, or of one of its members, begins; None where there is none."""
    pattern, of = _table()
    return next((match.start() for match in pattern.finditer(text.lower()) if of[match[0]][0] == family), None)
