"""Which families a text speaks of, by its words."""

import functools
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
def _table() -> tuple[re.Pattern[str], dict[str, str]]:
    of: dict[str, str] = {}
    for family in FAMILIES.values():
        for word in family.words:
            of[word] = family.name
        for member in family.members:
            of[member.noun.lower()] = family.name
            of[plural(member.noun).lower()] = family.name
    longest_first = sorted(of, key=len, reverse=True)
    return re.compile(r"\b(" + "|".join(map(re.escape, longest_first)) + r")\b", re.IGNORECASE), of


def families_in(text: str) -> frozenset[str]:
    """The families of whose members, or words, the text has at least one."""
    pattern, of = _table()
    return frozenset(of[match.lower()] for match in pattern.findall(text))
