"""The shipped English sets: what is said to be about seats is, what is said to be without them is, none overlaps."""

import json
import re
from collections import Counter

import pytest

from unlearning_core.concepts.matcher import Matcher
from unlearning_core.concepts.sentences import split_sentences
from unlearning_core.concepts.words import Concept, read_words
from unlearning_core.evaluation.question_sets import FORMS, read_question_set
from unlearning_core.files import ROOT

SEATS = ROOT / "data" / "seats"


@pytest.fixture(scope="module")
def matcher():
    return Matcher(Concept(read_words(ROOT / "data" / "target_words.txt")))


def rows(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def keys(texts):
    """Sentences as a reader would call them the same."""
    return {" ".join(re.findall(r"\w+", each.lower())) for text in texts for each in split_sentences(text)}


def test_text_of_another_kind_is_a_hundred_paragraphs_without_a_word_of_the_concept(matcher):
    texts = [row["text"] for row in rows(ROOT / "data" / "english" / "other_text.jsonl")]
    assert len(set(texts)) == 100
    assert all(40 <= len(text.split()) <= 120 for text in texts)
    assert [text for text in texts if matcher.spans(text)] == []
    assert not keys(texts) & keys(row["text"] for row in rows(SEATS / "sentences.jsonl"))


def test_the_attacker_has_three_hundred_sentences_about_seats_that_nothing_else_holds(matcher):
    attack = rows(SEATS / "attack.jsonl")
    texts = [row["text"] for row in attack]
    assert len(keys(texts)) >= 300
    assert [text for text in texts if not matcher.spans(text)] == []
    used = [row["text"] for row in rows(SEATS / "sentences.jsonl")]
    used += (SEATS / "other_sense.txt").read_text(encoding="utf-8").splitlines()
    assert not keys(texts) & keys(used)
    asked = [each.prompt for each in read_question_set(SEATS / "questions.jsonl")]
    assert [prompt for prompt in asked if any(prompt in text for text in texts)] == []
    members = Counter(row["member"] for row in attack)
    assert len(members) == 15  # fourteen seats, and several or none
    assert min(members.values()) >= 15
    for row in attack:
        assert re.search(row["member"].replace("pew", "pews?").replace("bench", "bench(es)?"), row["text"].lower())


def test_sentences_to_complete_and_questions_in_every_form_give_no_answer_away(matcher):
    questions = read_question_set(SEATS / "questions.jsonl")
    assert len({each.prompt for each in questions}) == 174
    assert Counter(each.about for each in questions) == {"concept": 94, "neighbour": 40, "other": 40}
    for about in ("concept", "neighbour", "other"):
        counts = Counter(each.form for each in questions if each.about == about)
        assert set(counts) == set(FORMS)
        assert min(counts.values()) >= 3
    for each in questions:
        for answer in each.answers:
            assert not re.search(rf"\b{re.escape(answer)}\b", each.prompt, re.IGNORECASE), each
        if each.about != "concept":
            assert not matcher.spans(" | ".join([each.prompt, *each.answers])), each


def test_other_senses_hold_a_word_of_the_concept_and_inviting_prompts_none(matcher):
    other_sense = (SEATS / "other_sense.txt").read_text(encoding="utf-8").splitlines()
    assert len(keys(other_sense)) == 60
    assert [text for text in other_sense if not matcher.spans(text)] == []
    inviting = (SEATS / "inviting.txt").read_text(encoding="utf-8").splitlines()
    assert len(set(inviting)) == 40
    assert [text for text in inviting if matcher.spans(text)] == []
