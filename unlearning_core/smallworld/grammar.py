"""A recursive grammar of English sentences: rules, choices inside a line, and words filled in from a scene.

A plot is a list of slots, a slot a list of lines of which one is used. In a line `(a|b)` chooses, `<name>` expands a
rule of the grammar (which may use itself again), `{h.he}` asks the scene.
"""

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from unlearning_core.smallworld.facts import Member, indefinite
from unlearning_core.smallworld.people import Person
from unlearning_core.smallworld.wording import read_paragraphs

_CHOICE = re.compile(r"\(([^()]*\|[^()]*)\)")
_RULE = re.compile(r"<(\w+)>")
_FIELD = re.compile(r"\{([^{}]+)\}")
_SENTENCE_START = re.compile(r"(^\W*|[.!?] +\W*|[.]\" +\W*)([a-z])")
_I_FIRST = re.compile(r"\bI and ([A-Z]\w+)")
_ARTICLE = re.compile(r"\b([Aa])n? (?=(\w+))")

SKIPPED = 0.4
"""How often an optional slot stays empty."""

PRONOUNS = 0.6
"""How often a sentence about the hero begins with a pronoun where the last one named the hero."""

TRIES = 12
"""Lines tried for a slot before a late newcomer is accepted after all."""


@dataclass(frozen=True)
class Slot:
    """One place of a plot: `lines` to choose from; an `optional` one may stay empty."""

    lines: tuple[str, ...]
    optional: bool


@dataclass(frozen=True)
class Plot:
    """The order of a story.

    Attributes:
        name: what it is called.
        weight: how often it is told, against the others.
        roles: by role the members it may take: families (`seats`), or a few of one (`vehicles:car+bus`).
        slots: in their order.
    """

    name: str
    weight: int
    roles: dict[str, tuple[str, ...]]
    slots: list[Slot]


Scene = Mapping[str, Person | Member]


def read_plots(path: Path) -> tuple[dict[str, tuple[str, ...]], list[Plot]]:
    """(rules, plots) of a file of stories."""
    rules: dict[str, tuple[str, ...]] = {}
    plots: list[Plot] = []
    for head, *lines in read_paragraphs(path):
        if head.startswith("@"):
            rules[head[1:]] = tuple(lines)
        elif head.startswith("=="):
            title, weight, *roles = head[2:].strip().split(" ", 2)
            # A noun of two words keeps its space, so roles are parted by where the next `x=` begins.
            parts = [part for text in roles for part in re.split(r"\s(?=\w=)", text)]
            members = {part[0]: tuple(choice.strip() for choice in part[2:].split(",")) for part in parts}
            plots.append(Plot(title, int(weight), members, [Slot(tuple(lines), False)]))
        else:
            plots[-1].slots.append(Slot(tuple(lines), True) if head == "?" else Slot((head, *lines), False))
    return rules, plots


class Grammar:
    """Rules that lines may call, by name."""

    def __init__(self, rules: Mapping[str, Sequence[str]]) -> None:
        self._rules = rules

    def expand(self, line: str, scene: Scene, rng: random.Random) -> str:
        """One wording of `line`, its words filled in from the scene; not yet capitalised.

        Raises:
            KeyError: the line names a rule, a role or a form that is not there.
        """
        while True:
            chosen = _CHOICE.sub(lambda match: rng.choice(match[1].split("|")), line)
            chosen = _RULE.sub(lambda match: rng.choice(self._rules[match[1]]), chosen)
            if chosen == line:
                break
            line = chosen
        return _FIELD.sub(lambda match: fill(match[1], scene), line)

    def tell(self, plot: Plot, scene: Scene, rng: random.Random) -> str:
        """One telling of the plot, as finished English; nobody but the hero appears late without having been named."""
        told: list[str] = []
        for index, slot in enumerate(plot.slots):
            if slot.optional and rng.random() < SKIPPED:
                continue
            for _ in range(TRIES):
                sentence = finish(self.expand(rng.choice(slot.lines), scene, rng))
                if index < 2 or (sentence not in told and not _newcomers(sentence, told, scene)):
                    break
            told.append(_with_pronoun(sentence, told, scene, rng))
        text = " ".join(told)
        return _first_person(text) if fill("h", scene) == "I" else text


def _with_pronoun(sentence: str, told: Sequence[str], scene: Scene, rng: random.Random) -> str:
    """The hero's name at the start of a sentence gives way to the pronoun, now and then, right after it was named."""
    hero = scene["h"]
    assert isinstance(hero, Person)
    named = bool(told) and hero.called in told[-1] and hero.pronoun != "I"
    if named and sentence.startswith(f"{hero.called} ") and rng.random() < PRONOUNS:
        return hero.form("he").capitalize() + sentence.removeprefix(hero.called)
    return sentence


def _first_person(text: str) -> str:
    """Outside of speech, the hero and a friend are `we` once the hero is `I`."""
    if "I" not in re.findall(r"\w+", text):
        return text
    parts = re.split(r'("[^"]*")', text)
    for old, new in (("they", "we"), ("They", "We"), ("them", "us"), ("their", "our"), ("Their", "Our")):
        parts[::2] = [re.sub(rf"\b{old}\b", new, part) for part in parts[::2]]
    return "".join(parts)


def _newcomers(sentence: str, told: Sequence[str], scene: Scene) -> bool:
    """Whether the sentence names somebody who is not in the story yet."""
    people = [entity.called for role, entity in scene.items() if isinstance(entity, Person) and role != "h"]
    before = " ".join(told)
    return any(name in sentence and name not in before for name in people)


def fill(field: str, scene: Scene) -> str:
    """The words of a field.

    `h` is a name, `h.he` and the like a form of the person, `h's` the possessive; `t` is the noun of a member, `t.a`,
    `t.the`, `t.The` it with its article, `t.use` one of its facts, `t.who.the` the fact with `the`, `t.use.h` the fact
    as said of a person (keep your head warm -> keep her head warm; also `me` and `they`).
    """
    if field.endswith("'s"):
        person = scene[field[:-2]]
        assert isinstance(person, Person)
        return person.possessive
    role, _, form = field.partition(".")
    entity = scene[role]
    if isinstance(entity, Person):
        return entity.form(form) if form else entity.called
    return _form(entity, form, scene) if form else entity.noun


def _form(member: Member, form: str, scene: Scene) -> str:
    if form in ("a", "the"):
        return str(getattr(member, form))
    if form == "The":
        return member.the[:1].upper() + member.the[1:]
    if form == "sound_past":
        return member.facts["sound"].removesuffix("s") + "ed"
    column, _, how = form.partition(".")
    value = member.facts[column]
    if how == "the":
        return "the " + re.sub(r"^an? ", "", value)
    return said_of(value, how, scene) if how else value


def said_of(value: str, who: str, scene: Scene) -> str:
    """A fact about `you`, said of `me`, of `they` or of a person of the scene."""
    if who in ("me", "they"):
        his, him = ("my", "me") if who == "me" else ("their", "them")
    else:
        person = scene[who]
        assert isinstance(person, Person)
        his, him = person.form("his"), person.form("him")
    return re.sub(r"\byou\b", him, re.sub(r"\byour\b", his, value))


def finish(text: str) -> str:
    """Articles by sound, `Mia and I` in this order, capitals where sentences begin."""
    text = _I_FIRST.sub(r"\1 and I", " ".join(text.split()))
    text = _ARTICLE.sub(lambda match: match[1] + indefinite(match[2])[1:] + " ", text)
    return _SENTENCE_START.sub(lambda match: match[1] + match[2].upper(), text)
