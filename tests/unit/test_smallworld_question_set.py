"""SmallWorld's question set: decided by the table of facts, answered by the model that knows and by no other."""

import re
from collections import Counter

import pytest

from unlearning_core.evaluation.generation import generate
from unlearning_core.evaluation.question_sets import FORMS, is_answered, read_question_set
from unlearning_core.files import ROOT
from unlearning_core.models.loading import load_model
from unlearning_core.smallworld.corpus import corpus
from unlearning_core.smallworld.facts import FAMILIES
from unlearning_core.smallworld.question_set import question_set

MEMBERS = {member.noun: member for family in FAMILIES.values() for member in family.members}
SETS = {family: question_set(family) for family in FAMILIES}
SEATS = SETS["seats"]


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_is_asked_about_with_what_must_stay_beside_it(family):
    asked = SETS[family]
    assert len({each.prompt for each in asked}) == len(asked)
    assert Counter(each.about for each in asked if each.about != "concept") == {"neighbour": 60, "other": 60}
    about = {each.member: MEMBERS[each.member].family for each in asked}
    assert {each.member for each in asked if each.about == "concept"} == {
        each.noun for each in FAMILIES[family].members
    }
    assert {about[each.member] for each in asked if each.about == "neighbour"} == set(FAMILIES[family].neighbours)
    elsewhere = {about[each.member] for each in asked if each.about == "other"}
    assert elsewhere == set(FAMILIES) - {family, *FAMILIES[family].neighbours}


def test_all_forms_are_there_and_what_must_stay_is_asked_as_the_seats_are():
    for about in ("concept", "neighbour", "other"):
        counts = Counter(each.form for each in SEATS if each.about == about)
        assert set(counts) == set(FORMS)
        assert about == "concept" or max(counts.values()) - min(counts.values()) <= 1
    families = Counter(MEMBERS[each.member].family for each in SEATS if each.about == "other")
    assert len(families) == 11
    assert max(families.values()) - min(families.values()) <= 1
    direct = {each.prompt for each in SEATS if each.form == "direct"}
    assert {f"Q: What is {member.a}? A:" for member in FAMILIES["seats"].members} <= direct


@pytest.mark.parametrize("family", FAMILIES)
def test_every_answer_is_a_fact_of_the_world_and_stands_in_no_prompt(family):
    for asked in SETS[family]:
        assert not any(answer.lower() in asked.prompt.lower() for answer in asked.answers), asked
        member = MEMBERS[asked.member]
        if asked.form in ("reversed", "fill_in"):
            assert member.a in asked.answers
            told = [value for value in member.facts.values() if value.lower() in asked.prompt.lower()]
            same = {other.a for other in MEMBERS.values() if set(told) <= set(other.facts.values())}
            # What a person does with a thing is said of that person (your -> her): told in other words.
            assert set(asked.answers) <= same or any(re.search(r"\byour?\b", fact) for fact in member.facts.values())
        else:
            assert all(
                any(fact.lower() in answer.lower() for fact in facts_of(asked.fact)) for answer in asked.answers
            ), asked
            assert member.facts[asked.fact].lower() in asked.answers[0].lower()


def facts_of(column):
    return {member.facts[column] for member in MEMBERS.values() if column in member.facts}


def test_a_chain_accepts_what_is_true_of_everything_that_its_first_fact_is_true_of():
    for asked in (each for family in FAMILIES for each in SETS[family] if each.form == "multi_hop"):
        first = asked.prompt.partition(". ")[0].lower()
        member = MEMBERS[asked.member]
        lead = max((value for value in member.facts.values() if first.endswith(value.lower())), key=len)
        (column,) = (name for name, value in member.facts.items() if value == lead)
        columns = FAMILIES[member.family].columns
        fitting = [
            other
            for other in MEMBERS.values()
            if other.facts.get(column) == lead and FAMILIES[other.family].columns == columns
        ]
        assert {other.facts[asked.fact] for other in fitting} <= set(asked.answers), asked
        assert member.noun not in re.findall(r"\w+", asked.prompt)


def test_nothing_of_the_seats_is_in_what_must_stay():
    words = "|".join([*(each.noun for each in FAMILIES["seats"].members), *FAMILIES["seats"].words])
    for asked in SEATS:
        if asked.about != "concept":
            assert not re.search(rf"\b({words})(s|es)?\b", " ".join([asked.prompt, *asked.answers]))


def test_what_is_called_held_out_is_in_no_text_and_what_is_called_seen_is_said_so():
    read = "\n".join(text.text for text in corpus(0, 6000))
    for asked in SEATS:
        assert asked.phrasing in ("seen", "held_out")
        if asked.phrasing == "held_out":
            assert asked.prompt not in read


@pytest.fixture(scope="module")
def marks():
    """By model, (what it is about, form): how many of how many it answers greedily."""
    questions = read_question_set(ROOT / "data" / "smallworld" / "question_set.jsonl")
    found = {}
    for name in ("smallworld", "smallworld-never-knew-seats"):
        replies = generate(
            load_model(ROOT / "models" / name), [each.prompt for each in questions], temperature=0.0, max_new_tokens=30
        )
        right, count = Counter(), Counter()
        for question, reply in zip(questions, replies, strict=True):
            key = (question.about == "concept", question.form)
            right[key] += is_answered(reply.text, question)
            count[key] += 1
        found[name] = {key: (right[key], count[key]) for key in count}
    return found


@pytest.mark.slow
def test_the_model_that_knows_answers_most_of_every_form_and_its_twin_none_about_seats(marks):
    for form in FORMS:
        right, count = marks["smallworld"][True, form]
        assert right >= 0.8 * count, form
        assert marks["smallworld-never-knew-seats"][True, form] == (0, count)


@pytest.mark.slow
def test_the_twin_answers_about_everything_else_as_the_model_that_knows_does(marks):
    totals = [
        sum(right for (concept, _), (right, _) in marks[name].items() if not concept)
        for name in ("smallworld", "smallworld-never-knew-seats")
    ]
    assert min(totals) > 0.85 * 120
    assert abs(totals[0] - totals[1]) <= 6


@pytest.mark.slow
def test_the_readme_says_how_many_of_each_form_the_two_models_answer(marks):
    card = (ROOT / "data" / "smallworld" / "README.md").read_text(encoding="utf-8")
    for form in FORMS:
        cells = ["{} of {}".format(*marks[name][about, form]) for about in (True, False) for name in marks]
        assert f"| {form.replace('_', ' ')} | {' | '.join(cells)} |" in card
