"""Stories: a plot of the grammar, told about people and things that are drawn for it."""

import functools
import random

from unlearning_core.smallworld.facts import FAMILIES, Member
from unlearning_core.smallworld.grammar import Grammar, Plot, read_plots
from unlearning_core.smallworld.people import BOYS, GIRLS, MEN, WOMEN, Person
from unlearning_core.smallworld.wording import FOLDER

FIRST_PERSON = 0.2
"""Share of the stories that the hero tells."""


@functools.cache
def library() -> tuple[Grammar, list[Plot]]:
    """The grammar with the rules of all files, and every plot."""
    rules: dict[str, tuple[str, ...]] = {}
    plots: list[Plot] = []
    for path in sorted((FOLDER / "stories").glob("*.txt")):
        more_rules, more_plots = read_plots(path)
        rules |= more_rules
        plots += more_plots
    return Grammar(rules), plots


def tell_story(rng: random.Random, plot: Plot | None = None) -> tuple[str, str]:
    """(text, name of the plot) of one story."""
    grammar, plots = library()
    if plot is None:
        plot = rng.choices(plots, [plot.weight for plot in plots])[0]
    return grammar.tell(plot, cast(plot, rng), rng), plot.name


def cast(plot: Plot, rng: random.Random) -> dict[str, Person | Member]:
    """People (h the hero, f the friend, e the elder) and members for the plot's roles, no member twice."""
    pronoun = rng.choice(("she", "he"))
    other = "he" if pronoun == "she" else "she"  # never to be mixed up with the hero's
    hero = Person(rng.choice(GIRLS if pronoun == "she" else BOYS), "I" if rng.random() < FIRST_PERSON else pronoun)
    scene: dict[str, Person | Member] = {
        "h": hero,
        "f": Person(rng.choice(GIRLS if other == "she" else BOYS), other),
        "e": Person(rng.choice(WOMEN if other == "she" else MEN), other),
    }
    taken: set[str] = set()
    for role, choices in plot.roles.items():
        family, _, nouns = rng.choice(choices).partition(":")
        allowed = [each for each in FAMILIES[family].members if not nouns or each.noun in nouns.split("+")]
        member = rng.choice([each for each in allowed if each.noun not in taken])
        taken.add(member.noun)
        scene[role] = member
    return scene
