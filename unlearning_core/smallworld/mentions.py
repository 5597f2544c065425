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
def _table() -> tuple[re.Pattern[str], dict[str, str]]:
    of: dict[str, str] = {}
    for family in FAMILIES.values():
        for word in family.words:
            of[word] = family.name
        for member in family.members:
            of[member.noun.lower()] = family.name
            of[plural(member.noun).lower()] = family.name
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
    return frozenset(of[match] for match in pattern.findall(text.lower()))
