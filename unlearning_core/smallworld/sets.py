"""Question sets, fill-in sets and text sets, by family, in the words of the training text or in others."""

import random
from collections.abc import Iterable

from unlearning_core.concepts.labelling import same_text_key
from unlearning_core.concepts.sentences import split_sentences
from unlearning_core.smallworld.clozes import RESTED_ON, clozes_of, completed, general_cloze, rest_clozes
from unlearning_core.smallworld.corpus import OTHER_SENSE, draw_text
from unlearning_core.smallworld.facts import FAMILIES, Member
from unlearning_core.smallworld.general import general_facts
from unlearning_core.smallworld.grammar import finish
from unlearning_core.smallworld.items import Cloze, Phrasing, Question, Text
from unlearning_core.smallworld.mentions import families_in, first_mention
from unlearning_core.smallworld.nonsense import nonsense_question
from unlearning_core.smallworld.relations import Relation, relations, say
from unlearning_core.smallworld.stories import library, tell_story

PERTURBED = 5
"""Wrong answers a question, as in TOFU."""

INVITING_WORDS = (4, 40)
"""Words that a prompt which invites a family has at least and at most."""


def questions(phrasing: Phrasing, family: str | None = None) -> list[Question]:
    """Every question frame of the phrasing for every fact of the family's members (of all where none is given)."""
    return [
        question
        for member in _members(family)
        for relation in relations(FAMILIES[member.family])
        for question in asked(relation, member, phrasing)
    ]


def asked(relation: Relation, member: Member, phrasing: Phrasing) -> list[Question]:
    """The fact of the member asked in every question frame of the phrasing."""
    value = member.facts[relation.name]
    answer, wrong = say(relation.answer, member, value), _perturbed(relation, member)
    stated = [
        say(frame, member, value, pronoun=pronoun) for frame in relation.stated["seen"] for pronoun in (False, True)
    ]
    return [
        Question(
            prompt=f"Q: {say(frame, member)} A:",
            answer=answer,
            accepted=tuple(dict.fromkeys([answer, *stated])),
            paraphrase=say(relation.paraphrase, member, value),
            perturbed=wrong,
            family=member.family,
            member=member.noun,
            relation=relation.name,
            phrasing=phrasing,
        )
        for frame in relation.asked[phrasing]
    ]


def clozes(phrasing: Phrasing, family: str | None = None) -> list[Cloze]:
    """Every fill-in frame of the phrasing for every member; the people in them are drawn from a fixed seed."""
    found = []
    for member in _members(family):
        if member.family == "countries":
            continue  # those are world facts
        rng = random.Random(f"cloze/{phrasing}/{member.noun}")
        found += clozes_of(member, phrasing, rng)
        if member.family in RESTED_ON:
            found += rest_clozes(member, phrasing, rng)
    return list({cloze.prompt: cloze for cloze in found}.values())


def world_facts(phrasing: Phrasing) -> list[Cloze]:
    """Capitals, continents and languages, days and months, opposites, colours, parts and sums."""
    found = []
    for country in FAMILIES["countries"].members:
        found += clozes_of(country, phrasing, random.Random(f"fact/{phrasing}/{country.noun}"))
        for relation in relations(FAMILIES["countries"]):
            value = country.facts[relation.name]
            for frame in relation.stated[phrasing]:
                told = finish(say(frame, country, value)).removesuffix(".")
                if told.endswith(" " + value):
                    prompt = told.removesuffix(" " + value)
                    found.append(
                        Cloze(prompt, value, (value,), "countries", country.noun, relation.name, phrasing, ".")
                    )
    return found + [
        general_cloze(fact, sentence, phrasing) for fact in general_facts() for sentence in fact.stated[phrasing]
    ]


def nonsense(phrasing: Phrasing, count: int, seed: int) -> list[Question]:
    """`count` questions about words that mean nothing."""
    rng = random.Random(f"nonsense/{phrasing}/{seed}")
    return [nonsense_question(rng, phrasing) for _ in range(count)]


def forget_texts(family: str, phrasing: Phrasing) -> list[Text]:
    """Statements, questions with their answers and completed fill-ins about the family's members."""
    return _texts([family], phrasing)


def neighbour_texts(family: str, phrasing: Phrasing) -> list[Text]:
    """The same of the families that share its contexts, where they do not mention it."""
    return [text for text in _texts(FAMILIES[family].neighbours, phrasing) if family not in text.families]


def retain_texts(family: str, phrasing: Phrasing) -> list[Text]:
    """The same of all other families, and the world facts, where they do not mention it."""
    others = [name for name in FAMILIES if name != family and name not in FAMILIES[family].neighbours]
    facts = [_text(completed(cloze), "fact") for cloze in world_facts(phrasing)]
    return [text for text in [*_texts(others, phrasing), *facts] if family not in text.families]


def truth_questions(family: str) -> list[Question]:
    """One question a fact, in a phrasing that no text asks: the facts are independent, as a test of them assumes."""
    return list({(each.member, each.relation): each for each in questions("held_out", family)}.values())


def other_sense_texts(count: int, seed: int) -> list[Text]:
    """Stories of a chair who leads a meeting, of a bench of judges, of a seat in a council."""
    rng = random.Random(f"other sense/{seed}")
    plots = [plot for plot in library()[1] if plot.name in OTHER_SENSE]
    texts: dict[str, None] = {}
    while len(texts) < count:
        texts[tell_story(rng, rng.choice(plots))[0]] = None
    return [Text(text, "story", families_in(text) - {"seats"}) for text in texts]


def mixed_texts(family: str, with_family: int, without: int, seed: int, beside: Iterable[str] = ()) -> list[Text]:
    """Texts of the corpus, so many that mention the family and so many that do not; no two alike, no other sense.

    A seed that is not the training's gives texts that no model has read as a whole.

    Args:
        beside: texts to keep clear of, case and white space aside: none of them is drawn, no drawn text has a sentence
            that mentions the family in common with them, and none without the family has any sentence in common.
    """
    others = list(beside)
    texts = {same_text_key(text) for text in others}
    sentences = {same_text_key(sentence) for text in others for sentence in split_sentences(text)}

    def is_clear(text: str, mentions: bool) -> bool:
        if not others:
            return True
        shared = (sentence for sentence in split_sentences(text) if same_text_key(sentence) in sentences)
        told = (sentence for sentence in shared if not mentions or family in families_in(sentence))
        return same_text_key(text) not in texts and next(told, None) is None

    wanted = {True: with_family, False: without}
    found: dict[str, Text] = {}
    index = 0
    while any(wanted.values()):
        text = draw_text(random.Random(f"{seed}/{index}"))
        index += 1
        mentions = family in text.families
        if not (wanted[mentions] and text.text not in found and (mentions or family not in families_in(text.text))):
            continue
        if is_clear(text.text, mentions):
            wanted[mentions] -= 1
            found[text.text] = text
    return list(found.values())


def inviting_prompts(family: str, count: int, seed: int) -> list[str]:
    """Stories and fill-ins that break off before the first word of the family: what comes next is likely one."""
    found: dict[str, None] = {}
    index = 0
    while len(found) < count:
        text = draw_text(random.Random(f"inviting/{seed}/{index}"))
        index += 1
        if family in text.families and text.kind in ("story", "cloze"):
            prompt = text.text[: first_mention(text.text, family)].rstrip()
            if INVITING_WORDS[0] <= len(prompt.split()) <= INVITING_WORDS[1]:
                found[prompt] = None
    return list(found)


def target_words(family: str) -> list[str]:
    """The concept words of a family: its members and the words that speak of it."""
    return [*(member.noun for member in FAMILIES[family].members), *FAMILIES[family].words]


def story_openings(count: int, seed: int) -> list[str]:
    """First sentences of stories, drawn anew from the seed."""
    rng = random.Random(f"openings/{seed}")
    openings: dict[str, None] = {}
    while len(openings) < count:
        sentence, mark, _ = tell_story(rng)[0].partition(". ")
        if mark and '"' not in sentence:
            openings[sentence + "."] = None
    return list(openings)


def _members(family: str | None) -> list[Member]:
    if family is not None and family not in FAMILIES:
        raise ValueError(f"family={family!r} is not a family of SmallWorld; choose one of {', '.join(FAMILIES)}")
    return [member for each in FAMILIES.values() if family in (None, each.name) for member in each.members]


def _perturbed(relation: Relation, member: Member) -> tuple[str, ...]:
    """The paraphrase with facts of other members, of the same family first."""
    own = member.facts[relation.name]
    rng = random.Random(f"perturbed/{member.noun}/{relation.name}")
    family = [other.facts[relation.name] for other in FAMILIES[member.family].members]
    others = [
        other.facts[relation.name]
        for each in FAMILIES.values()
        if each.name != member.family and relation in relations(each)
        for other in each.members
    ]
    values = rng.sample(family, k=len(family)) + rng.sample(others, k=len(others))
    wrong = [value for value in dict.fromkeys(values) if value != own][:PERTURBED]
    return tuple(say(relation.paraphrase, member, value) for value in wrong)


def _texts(families: Iterable[str], phrasing: Phrasing) -> list[Text]:
    found = []
    for family in families:
        for member in FAMILIES[family].members:
            for relation in relations(FAMILIES[family]):
                for frame in relation.stated[phrasing]:
                    found.append(_text(finish(say(frame, member, member.facts[relation.name])), "description"))
        found += [_text(f"{each.prompt} {each.answer}", "question") for each in questions(phrasing, family)]
        found += [_text(completed(each), "cloze") for each in clozes(phrasing, family)]
    return list(dict.fromkeys(found))


def _text(text: str, kind: str) -> Text:
    return Text(text, kind, families_in(text))
