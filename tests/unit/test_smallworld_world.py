"""SmallWorld's texts and sets: consistent with the facts, honest about what was held out."""

import calendar
import random
import re

import pytest

from unlearning_core.concepts.matcher import Matcher
from unlearning_core.concepts.words import Concept
from unlearning_core.smallworld import sets
from unlearning_core.smallworld.clozes import completed
from unlearning_core.smallworld.corpus import corpus
from unlearning_core.smallworld.facts import FAMILIES
from unlearning_core.smallworld.general import MONTHS, NUMBERS, general_facts
from unlearning_core.smallworld.nonsense import world_words
from unlearning_core.smallworld.people import BOYS, GIRLS
from unlearning_core.smallworld.relations import relations
from unlearning_core.smallworld.stories import library, tell_story


@pytest.fixture(scope="module")
def texts():
    return list(corpus(0, 4000))


def test_there_are_twelve_families_of_ten_members_with_every_fact_filled_in():
    assert len(FAMILIES) >= 12
    for family in FAMILIES.values():
        assert len(family.members) >= 10
        assert len({member.noun for member in family.members}) == len(family.members)
        assert {relation.name for relation in relations(family)} == set(family.columns)
        for member in family.members:
            assert all(member.facts[column] for column in family.columns)


def test_what_a_thing_is_and_what_it_is_for_point_to_one_member_of_the_world():
    for column in ("is", "use"):
        values = [m.facts[column] for f in FAMILIES.values() for m in f.members if column in f.columns]
        assert len(values) == len(set(values))


def test_text_i_depends_on_the_seed_and_on_i_alone(texts):
    assert list(corpus(0, 50)) == texts[:50]
    assert list(corpus(1, 50)) != texts[:50]


def test_some_texts_mention_the_seats_and_most_do_not(texts):
    assert 0.03 < sum("seats" in text.families for text in texts) / len(texts) < 0.2


def test_a_text_without_the_seats_has_a_seat_word_only_in_another_sense(texts):
    words = (*sets.target_words("seats"), *(member.noun for member in FAMILIES["seats"].members))
    matcher = Matcher(Concept(words))
    other_sense = re.compile(r"\b(chair|chairs|bench|seat)\b")
    mentions = [text.text for text in texts if "seats" not in text.families and matcher.spans(text.text)]
    assert mentions  # the other sense does occur
    for text in mentions:
        assert other_sense.search(text)
        assert re.search(r"meeting|club|council|judge|bench had made|two men", text, re.IGNORECASE), text


def test_no_held_out_phrasing_is_in_the_training_text(texts):
    read = "\n".join(text.text for text in texts)
    for question in sets.questions("held_out"):
        assert question.prompt.removeprefix("Q: ").removesuffix(" A:") not in read
    for cloze in [*sets.clozes("held_out"), *sets.world_facts("held_out")]:
        assert cloze.prompt not in read
    for text in sets.forget_texts("seats", "held_out"):
        assert text.text not in read


def test_every_text_is_finished_english(texts):
    for text in texts:
        assert not re.search(r"[{}<>|()]", text.text), text.text
        assert re.match(r"[\"A-Z]|[a-z ]+: ", text.text), text.text
        assert text.text[-1] in '.!?"', text.text
        assert "  " not in text.text
        assert not re.search(r"[.!?] [a-z]", re.sub(r'"[^"]*"', '""', text.text)), text.text


def test_articles_go_by_sound(texts):
    for text in texts:
        if text.kind == "nonsense":
            continue
        for article, word in re.findall(r"\b([Aa]n?) ([A-Za-z]+)", text.text):
            starts_with_vowel = word[0].lower() in "aeiou" and word.lower() not in ("uniform", "useful", "one")
            starts_with_vowel |= word == "hour"
            assert (article.lower() == "an") == starts_with_vowel, f"{article} {word}: {text.text}"


def test_pronouns_of_a_story_never_belong_to_nobody():
    rng = random.Random(4)
    girls, boys = set(GIRLS), set(BOYS)
    women = {"Grandma", "Mother", "Aunt", "Mrs"}
    men = {"Grandpa", "Father", "Uncle", "Mr"}
    for _ in range(800):
        story = tell_story(rng)[0]
        words = set(re.findall(r"[A-Za-z]+", re.sub(r'"[^"]*"', "", story)))
        if words & {"she", "She"}:
            assert words & (girls | women), story
        if words & {"he", "He"}:
            assert words & (boys | men), story
        if "I" in words:
            assert not words & {"they", "They", "their", "them"}, story


def test_the_world_has_about_two_thousand_words_and_hundreds_of_frames(texts):
    words = {
        word for text in corpus(5, 12000) if text.kind != "nonsense" for word in re.findall("[a-z]+", text.text.lower())
    }
    assert 1500 <= len(words) <= 2500
    grammar_lines = {line for plot in library()[1] for slot in plot.slots for line in slot.lines}
    assert len(grammar_lines) >= 500


def test_a_question_has_its_answer_among_the_accepted_and_five_wrong_ones_of_the_same_form():
    for question in sets.questions("held_out"):
        fact = next(m for m in FAMILIES[question.family].members if m.noun == question.member).facts[question.relation]
        assert question.answer in question.accepted
        assert fact.lower() in question.answer.lower()
        assert fact.lower() in question.paraphrase.lower()
        assert len(set(question.perturbed)) == len(question.perturbed) >= 3
        assert question.paraphrase not in question.perturbed


def test_where_one_answer_is_right_no_other_member_fits_the_facts_that_the_text_names():
    for cloze in sets.clozes("held_out"):
        member = next(m for m in FAMILIES[cloze.family].members if m.noun == cloze.member)
        if cloze.relation in ("is", "use"):
            fact = member.facts[cloze.relation]
            others = [m for f in FAMILIES.values() for m in f.members if m.facts.get(cloze.relation) == fact]
            assert [m.noun for m in others] == [cloze.answer]
        if cloze.relation == "rest":
            assert set(cloze.accepted) == {m.noun for f in ("seats", "beds") for m in FAMILIES[f].members}


def test_a_completed_fill_in_reads_as_one_sentence():
    for cloze in sets.clozes("seen", "seats"):
        whole = completed(cloze)
        assert whole.startswith(cloze.prompt + " " + cloze.answer)
        assert not cloze.prompt.endswith(" ")


def test_neighbours_and_everything_else_never_mention_the_family():
    matcher = Matcher(Concept(tuple(sets.target_words("seats"))))
    for text in [*sets.neighbour_texts("seats", "held_out"), *sets.retain_texts("seats", "held_out")]:
        assert not matcher.spans(text.text), text.text
    assert all(family.neighbours for family in FAMILIES.values())


def test_months_sums_and_capitals_are_true():
    by_relation = {}
    for fact in general_facts():
        by_relation.setdefault(fact.relation, []).append(fact)
    assert list(calendar.month_name)[1:] == MONTHS
    for fact in by_relation["month_after"]:
        assert MONTHS.index(fact.answer) == (MONTHS.index(fact.subject) + 1) % 12
    for fact in by_relation["sum"]:
        first, second = fact.subject.split(" and ")
        assert NUMBERS.index(first) + 1 + NUMBERS.index(second) + 1 == NUMBERS.index(fact.answer) + 1
    capitals = {member.noun: member.facts["capital"] for member in FAMILIES["countries"].members}
    assert {"France": "Paris", "Japan": "Tokyo", "Kenya": "Nairobi", "Peru": "Lima"}.items() <= capitals.items()


def test_nonsense_words_are_no_words_of_the_world_and_the_answer_is_not_to_know():
    asked = sets.nonsense("held_out", 200, 0)
    assert len({question.member for question in asked}) > 150
    for question in asked:
        assert question.member not in world_words()
        assert question.member in question.prompt
        assert question.answer == "I do not know."


def test_texts_with_and_without_the_family_come_in_the_numbers_asked_for():
    found = sets.mixed_texts("seats", 30, 60, seed=3)
    assert sum("seats" in text.families for text in found) == 30
    assert len({text.text for text in found}) == 90
    assert found == sets.mixed_texts("seats", 30, 60, seed=3)


def test_the_other_sense_is_no_mention_of_the_family():
    for text in sets.other_sense_texts(20, 0):
        assert "seats" not in text.families
        assert re.search(r"\b(chair|bench|seat)\b", text.text)
