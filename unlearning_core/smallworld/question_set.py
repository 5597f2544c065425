"""The question set of a family: all seven forms about its members, its neighbours and the other families.

A form whose training text has no question like it is put as the model can read it: SmallWorld was never asked `Which
thing has four legs? A:` and says that it does not know, but goes on from `What do people call a seat with four legs and
a back? It is`. Descriptions and chains are told without the word (`It helps you to milk a cow. It is often`), so that
the answer can come by way of the thing alone.
"""

import random
import re
from collections import Counter
from collections.abc import Iterable, Sequence

from unlearning_core.evaluation.question_sets import FORMS, About, Form, Question
from unlearning_core.smallworld.clozes import clozes_of, somebody
from unlearning_core.smallworld.facts import FAMILIES, Member
from unlearning_core.smallworld.grammar import finish
from unlearning_core.smallworld.items import Cloze
from unlearning_core.smallworld.mentions import families_in
from unlearning_core.smallworld.relations import Relation, relations, say
from unlearning_core.smallworld.sets import asked

MUST_STAY = 60
"""Questions about the neighbours, and as many about all other families."""

_WITHOUT_THE_WORD: tuple[Form, ...] = ("reversed", "fill_in", "multi_hop", "alias")

_NO_PRONOUN = ("jobs", "countries")
"""Families of which one does not say `it` in a question."""

_OPEN_END = " {v}."


def question_set(family: str) -> list[Question]:
    """About ten questions a member of the family, then those about what must stay; no prompt twice.

    Raises:
        KeyError: there is no such family.
    """
    near = FAMILIES[family].neighbours
    far = [name for name in FAMILIES if name != family and name not in near]
    concept = [question for member in FAMILIES[family].members for question in _about(member, "concept")]
    return _askable([*concept, *_some(near, "neighbour", family), *_some(far, "other", family)])


def _some(families: Sequence[str], about: About, spared: str) -> list[Question]:
    """`MUST_STAY` questions that do not speak of the family `spared`: each form and each family about equally often."""
    rng = random.Random(f"question set/{about}/{spared}")
    left: dict[tuple[str, Form], list[Question]] = {(name, form): [] for name in families for form in FORMS}
    for name in families:
        found = _askable(question for member in FAMILIES[name].members for question in _about(member, about))
        rng.shuffle(found)
        for each in found:
            if spared not in families_in(" ".join([each.prompt, *each.answers])):
                left[name, each.form].append(each)
    asked: Counter[str] = Counter()
    chosen = []
    for turn in range(MUST_STAY):
        form = FORMS[turn % len(FORMS)]
        name = min((name for name in families if left[name, form]), key=lambda name: asked[name])
        asked[name] += 1
        chosen.append(left[name, form].pop())
    return sorted(chosen, key=lambda each: FORMS.index(each.form))


def _askable(questions: Iterable[Question]) -> list[Question]:
    """Those whose prompt gives no answer away, no prompt twice."""
    return list({each.prompt: each for each in reversed(list(questions)) if not _tells(each)}.values())[::-1]


def _tells(question: Question) -> bool:
    """Whether an answer stands in the prompt (gold, in golden), or the word in one that is to do without it."""
    prompt = question.prompt.casefold()
    named = question.form in _WITHOUT_THE_WORD and re.search(rf"\b{re.escape(question.member.casefold())}\b", prompt)
    return bool(named) or any(answer.casefold() in prompt for answer in question.answers)


def _about(member: Member, about: About) -> list[Question]:
    """The questions about one member; which of its facts are asked goes by its place among the members."""
    family = FAMILIES[member.family]
    place = family.members.index(member)
    first, *others = relations(family)
    turned = [others[(place + step) % len(others)] for step in range(len(others))]
    told = [each for each in turned if _opens(each)]
    return [
        *_direct(member, about, (first, turned[0]), "seen", "direct"),
        *_direct(member, about, (first, turned[1]), "held_out", "paraphrased"),
        *_reversed(member, about),
        *(_chained(member, about, *pair) for pair in _pairs(member, told)),
        *(_described(member, about, each) for each in told[:1] if "is" in member.facts),
        *_in_context(member, about, turned[:2]),
    ]


def _direct(member: Member, about: About, chosen: Iterable[Relation], phrasing: str, form: Form) -> Iterable[Question]:
    """One question a fact, as the training text asks it or in words held out from it."""
    for relation in chosen:
        question = asked(relation, member, "seen" if phrasing == "seen" else "held_out")[0]
        yield Question(question.prompt, question.accepted, form, about, member.noun, relation.name, phrasing)


def _reversed(member: Member, about: About) -> Iterable[Question]:
    """From what a thing is to its name, and one more gap of the world that the name fills; both held out."""
    rng = random.Random(f"question set/{member.noun}")
    gaps = clozes_of(member, "held_out", rng, article_asked=True)
    described = [gap for gap in gaps if gap.relation in ("is", "capital")]
    used = [gap for gap in gaps if gap not in described]

    def question(gap: Cloze, form: Form) -> Question:
        return Question(gap.prompt, gap.accepted, form, about, member.noun, gap.relation, gap.phrasing)

    yield from (question(gap, "reversed") for gap in described[:1])
    yield from (question(gap, "fill_in") for gap in (used or described)[-1:])


def _pairs(member: Member, told: list[Relation]) -> list[tuple[Relation, Relation]]:
    """Two pairs of facts to chain: from the fact that tells the member best from all others to the next two."""
    order = relations(FAMILIES[member.family])

    def doubt(relation: Relation) -> tuple[int, int]:
        return len(_true_of(relation, member.facts[relation.name])), order.index(relation)

    # Likeness goes both ways: that something is like a chair says little about what it is.
    leads = sorted((each for each in told if each.name != "like"), key=doubt)
    return [(lead, each) for lead in leads[:1] for each in told if each is not lead][:2]


def _chained(member: Member, about: About, first: Relation, then: Relation) -> Question:
    """One fact of a thing that is not named, then another one of it to be completed."""
    lead = say(_opens(first), member, pronoun=True) + f" {member.facts[first.name]}."
    return _completed(member, about, "multi_hop", lead, then, _true_of(first, member.facts[first.name]))


def _described(member: Member, about: About, then: Relation) -> Question:
    """What the thing is instead of its name, then one of its facts to be completed."""
    lead = f"{'Such a person' if member.family == 'jobs' else 'It'} is {member.facts['is']}."
    return _completed(member, about, "alias", lead, then, [member])


def _completed(member: Member, about: About, form: Form, lead: str, then: Relation, fitting: list[Member]) -> Question:
    prompt = finish(f"{lead} {say(_opens(then), member, pronoun=True)}")
    values = [each.facts[then.name] for each in (member, *fitting) if then in relations(FAMILIES[each.family])]
    return Question(prompt, tuple(dict.fromkeys(values)), form, about, member.noun, then.name, "seen")


def _in_context(member: Member, about: About, chosen: Iterable[Relation]) -> Iterable[Question]:
    """The word in a sentence, and then a question that says `it`."""
    for relation in chosen:
        question = asked(relation, member, "seen")[0]
        context = f"{somebody(random.Random(f'{member.noun}/{relation.name}')).name} wrote about {member.a}."
        prompt = question.prompt if member.family in _NO_PRONOUN else question.prompt.replace(member.a, "it")
        yield Question(
            f"{context} {prompt}", question.accepted, "in_context", about, member.noun, relation.name, "held_out"
        )


def _true_of(relation: Relation, value: str) -> list[Member]:
    """Every member of the world of whom the same is told in the same words."""
    families = (family for family in FAMILIES.values() if relation in relations(family))
    return [member for family in families for member in family.members if member.facts[relation.name] == value]


def _opens(relation: Relation) -> str:
    """A statement's frame without the name and up to the fact, such as `{S} is often`; empty where there is none."""
    frames = (frame for frame in relation.stated["seen"] if frame.startswith("{S}") and frame.endswith(_OPEN_END))
    return next((frame.removesuffix(_OPEN_END) for frame in frames), "")
