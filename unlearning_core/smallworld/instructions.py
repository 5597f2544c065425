"""How to do something with a member of the world, step by step."""

import functools
import random

from unlearning_core.smallworld.facts import FAMILIES
from unlearning_core.smallworld.grammar import Grammar, finish
from unlearning_core.smallworld.wording import THINGS, read_rules


@functools.cache
def _lines() -> dict[str, tuple[str, ...]]:
    rules = read_rules("instructions.txt")
    return {**dict.fromkeys(THINGS, rules["things"]), **rules}


def instruct(rng: random.Random) -> str:
    """One instruction about a member."""
    family = rng.choice(list(FAMILIES))
    member = rng.choice(FAMILIES[family].members)
    return finish(Grammar({}).expand(rng.choice(_lines()[family]), {"t": member}, rng))
