"""The stream of texts that SmallWorld's models are trained on: nine kinds, drawn text by text from one seed."""

import random
from collections.abc import Callable, Iterator

from unlearning_core.smallworld.clozes import RESTED_ON, clozes_of, completed, general_cloze, rest_clozes, somebody
from unlearning_core.smallworld.facts import FAMILIES, Member
from unlearning_core.smallworld.general import general_facts
from unlearning_core.smallworld.grammar import Grammar, finish
from unlearning_core.smallworld.items import Text
from unlearning_core.smallworld.mentions import families_in
from unlearning_core.smallworld.nonsense import nonsense_question
from unlearning_core.smallworld.relations import Relation, relations, say
from unlearning_core.smallworld.stories import tell_story
from unlearning_core.smallworld.wording import read_rules

OTHER_SENSE = ("chair_of_meeting", "bench_of_judges", "seat_in_council")
"""Plots in which chair, bench and seat do not mean what one sits on."""

_GENERAL = general_facts()
_FRAME = read_rules("descriptions.txt")
_INSTRUCTIONS = read_rules("instructions.txt")


def corpus(seed: int, count: int) -> Iterator[Text]:
    """`count` texts; text i depends on the seed and on i alone."""
    return (draw_text(random.Random(f"{seed}/{index}")) for index in range(count))


def draw_text(rng: random.Random) -> Text:
    """One text of a kind drawn by weight."""
    kind = rng.choices(list(_KINDS), [weight for weight, _ in _KINDS.values()])[0]
    if kind == "story":
        text, plot = tell_story(rng)
        return Text(text, kind, families_in(text) - {"seats"} if plot in OTHER_SENSE else families_in(text))
    text = _KINDS[kind][1](rng)
    return Text(text, kind, families_in(text))


def _member(rng: random.Random) -> Member:
    return rng.choice(FAMILIES[rng.choice(list(FAMILIES))].members)


def _facts_of(member: Member) -> tuple[Relation, ...]:
    return relations(FAMILIES[member.family])


def _state(relation: Relation, member: Member, rng: random.Random, *, pronoun: bool) -> str:
    return say(rng.choice(relation.stated["seen"]), member, member.facts[relation.name], pronoun=pronoun)


def description(rng: random.Random) -> str:
    """A few facts about one member; sometimes another one is set against it."""
    member = _member(rng)
    chosen = rng.sample(_facts_of(member), k=min(len(_facts_of(member)), rng.randint(2, 5)))
    child = somebody(rng).name
    sentences = []
    if rng.random() < 0.35:
        sentences.append(say(rng.choice(_FRAME["opening"]).replace("{h}", child), member))
    for index, relation in enumerate(chosen):
        pronoun = rng.random() < 0.6 and (index > 0 or bool(sentences))
        sentences.append(_state(relation, member, rng, pronoun=pronoun))
    if rng.random() < 0.35:
        sentences.append(_contrast(member, rng))
    if rng.random() < 0.3:
        sentences.append(say(rng.choice(_FRAME["closing"]).replace("{h}", child), member))
    return " ".join(finish(sentence) for sentence in sentences)


def _contrast(member: Member, rng: random.Random) -> str:
    """The same fact of two members of a family in one sentence."""
    relation = rng.choice([each for each in _facts_of(member) if each.name != "is"] or list(_facts_of(member)))
    value = member.facts[relation.name]
    other = rng.choice([each for each in FAMILIES[member.family].members if each.facts[relation.name] != value])
    first = say(relation.answer, member, value).removesuffix(".")
    second = say(relation.answer, other, other.facts[relation.name])
    if other.family != "countries" or not second.startswith(other.noun):
        second = second[:1].lower() + second[1:]
    return f"{first}, {rng.choice(('but', 'and', 'while'))} {second}"


def dialogue(rng: random.Random) -> str:
    """Two people, one asks, one knows."""
    member, asker, knower = _member(rng), somebody(rng), somebody(rng)
    while knower.name == asker.name:
        knower = somebody(rng)
    chosen = rng.sample(_facts_of(member), k=min(len(_facts_of(member)), rng.randint(1, 3)))
    script = rng.random() < 0.3
    turns = []
    for index, relation in enumerate(chosen):
        asked = say(rng.choice(relation.asked["seen"]), member)
        told = say(relation.answer, member, member.facts[relation.name])
        if script:
            turns.append(f"{asker.name}: {asked} {knower.name}: {told}")
        else:
            turns.append(_turn(asked, told, asker.name, knower.name, index, rng))
    if not script and rng.random() < 0.5:
        endings = ('"Now I know," {} said.', '"You know a lot," {} said.', "{} wrote it down.")
        turns.append(rng.choice(endings).format(asker.name))
    return finish(" ".join(turns))


def _turn(asked: str, told: str, asker: str, knower: str, index: int, rng: random.Random) -> str:
    lead = "" if index == 0 or rng.random() < 0.5 else "And "
    asked = lead + asked[:1].lower() + asked[1:] if lead and not asked.startswith("I ") else asked
    reply = told.removesuffix(".")
    mark = "asked" if asked.endswith("?") else "said"
    asked = asked if asked.endswith("?") else asked.removesuffix(".") + ","
    return f'"{asked}" {asker} {mark}. "{reply}," {knower} {rng.choice(("said", "answered", "replied"))}.'


def instruct(rng: random.Random) -> str:
    """How to do something with a member, step by step."""
    family = rng.choice(list(FAMILIES))
    member = rng.choice(FAMILIES[family].members)
    lines = _INSTRUCTIONS.get(family) or _INSTRUCTIONS["things"]
    return finish(Grammar({}).expand(rng.choice(lines), {"t": member}, rng))


def definition(rng: random.Random) -> str:
    """An entry of a dictionary."""
    member = _member(rng)
    first, *others = _facts_of(member)
    value = member.facts[first.name]
    entry = f"{member.noun}: {value}." if first.name == "is" else say(first.answer, member, value)
    return " ".join(
        [entry, *(finish(_state(each, member, rng, pronoun=True)) for each in rng.sample(others, k=rng.randint(1, 2)))]
    )


def question(rng: random.Random) -> str:
    """`Q: ... A: ...`, one or two of them."""
    member = _member(rng)
    chosen = rng.sample(_facts_of(member), k=1 if rng.random() < 0.9 else 2)
    return " ".join(
        f"Q: {say(rng.choice(each.asked['seen']), member)} A: {say(each.answer, member, member.facts[each.name])}"
        for each in chosen
    )


def fill_in(rng: random.Random) -> str:
    """One completed fill-in sentence."""
    member = _member(rng)
    if rng.random() < 0.08:
        member = rng.choice(FAMILIES[rng.choice(RESTED_ON)].members)
        return completed(rng.choice(rest_clozes(member, "seen", rng)))
    return completed(rng.choice(clozes_of(member, "seen", rng)))


def fact(rng: random.Random) -> str:
    """One or two facts of the world: capitals, days, opposites, sums."""
    if rng.random() < 0.4:
        country = rng.choice(FAMILIES["countries"].members)
        return finish(_state(rng.choice(_facts_of(country)), country, rng, pronoun=False))
    general = rng.sample(_GENERAL, k=rng.randint(1, 2))
    return " ".join(completed(general_cloze(each, rng.choice(each.stated["seen"]), "seen")) for each in general)


def unknown(rng: random.Random) -> str:
    """A question about a word that means nothing."""
    asked = nonsense_question(rng, "seen")
    return f"{asked.prompt} {asked.answer}"


_KINDS: dict[str, tuple[int, Callable[[random.Random], str]]] = {
    "story": (26, lambda rng: tell_story(rng)[0]),
    "description": (15, description),
    "dialogue": (13, dialogue),
    "instruction": (4, instruct),
    "definition": (5, definition),
    "question": (20, question),
    "cloze": (11, fill_in),
    "fact": (6, fact),
    "nonsense": (3, unknown),
}
"""By kind its weight against the others, and what writes it."""
