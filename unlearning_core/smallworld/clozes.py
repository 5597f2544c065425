"""Fill-in sentences: a frame, a member, a person; the text up to the gap and the word that belongs there."""

import random
import re

from unlearning_core.smallworld.facts import FAMILIES, Member
from unlearning_core.smallworld.general import GeneralFact
from unlearning_core.smallworld.grammar import Scene, finish, said_of
from unlearning_core.smallworld.items import Cloze, Phrasing
from unlearning_core.smallworld.people import BOYS, GIRLS, Person
from unlearning_core.smallworld.relations import read_blocks

RESTED_ON = ("seats", "beds")
"""The families of what one rests on: there any member is right."""

_FIELD = re.compile(r"\{([^{}]+)\}")


def somebody(rng: random.Random) -> Person:
    """A child, in the third person."""
    return Person(rng.choice(GIRLS), "she") if rng.random() < 0.5 else Person(rng.choice(BOYS), "he")


def clozes_of(member: Member, phrasing: Phrasing, rng: random.Random, *, article_asked: bool = False) -> list[Cloze]:
    """Every frame of the phrasing that asks for the member, each with a person drawn for it.

    With `article_asked` the text breaks off before the article already (It is | a chair), which gives less away.
    """
    return [
        _cloze(frame, block.title, member, phrasing, somebody(rng), article_asked)
        for block in read_blocks("clozes.txt")
        if member.family in block.families and block.title != "rest"
        for frame in block.lists[phrasing.replace("_", " ")]
    ]


def rest_clozes(member: Member, phrasing: Phrasing, rng: random.Random) -> list[Cloze]:
    """`I'm tired, I need to rest on this` and its kin; every seat and bed is right."""
    fitting = tuple(each.noun for family in RESTED_ON for each in FAMILIES[family].members)
    found = []
    (block,) = (block for block in read_blocks("clozes.txt") if block.title == "rest")
    for frame in block.lists[phrasing.replace("_", " ")]:
        prompt = finish(_fill(frame.removesuffix(" {n}"), member, {"h": somebody(rng)}))
        tail = '."' if prompt.count('"') % 2 else "."
        found.append(Cloze(prompt, member.noun, fitting, member.family, member.noun, "rest", phrasing, tail))
    return found


def general_cloze(fact: GeneralFact, sentence: str, phrasing: Phrasing) -> Cloze:
    """The sentence of a general fact without its last word (or two, where it has an article)."""
    prompt = sentence.removesuffix(" " + fact.answer)
    return Cloze(prompt, fact.answer, (fact.answer,), "general", fact.subject, fact.relation, phrasing, ".")


def completed(cloze: Cloze) -> str:
    """The whole sentence."""
    return f"{cloze.prompt} {cloze.answer}{cloze.tail}"


def _cloze(frame: str, relation: str, member: Member, phrasing: Phrasing, person: Person, article_asked: bool) -> Cloze:
    told = finish(_fill(frame.replace("{a}", member.a), member, {"h": person}))
    right = [member, *_also_right(frame, member)]
    if article_asked:
        nouns = [each.a for each in right]
    else:
        nouns = [each.noun for each in right if each.a.split()[0] == member.a.split()[0]]
    prompt = told.removesuffix(" " + nouns[0])
    accepted = tuple(dict.fromkeys(nouns))
    return Cloze(prompt, nouns[0], accepted, member.family, member.noun, relation, phrasing, ".")


def _also_right(frame: str, member: Member) -> list[Member]:
    """The members of whom the frame says the same."""
    columns = {field.split(".")[0] for field in _FIELD.findall(frame)} - {"a", "h"}
    return [
        other
        for other in FAMILIES[member.family].members
        if all(other.facts[column] == member.facts[column] for column in columns)
    ]


def _fill(frame: str, member: Member, scene: Scene) -> str:
    def word(match: re.Match[str]) -> str:
        role, _, form = match[1].partition(".")
        entity = scene.get(role)
        if isinstance(entity, Person):
            return entity.form(form) if form else entity.called
        value = member.facts[role]
        return said_of(value, form, scene) if form else value

    return _FIELD.sub(word, frame)
