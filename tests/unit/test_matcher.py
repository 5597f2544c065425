"""Whole words, any case, inflected forms, phrases: what a concept matches and what it must not."""

import re
import sys
from subprocess import run

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unlearning_core.concepts.lemmas import readings, singular
from unlearning_core.concepts.matcher import Matcher
from unlearning_core.concepts.words import Concept
from unlearning_core.errors import InputError


def found(text: str, *words: str, inflections: bool = True, language: str = "en") -> list[str]:
    matcher = Matcher(Concept(words, inflections, language))
    return [text[span.start : span.end] for span in matcher.spans(text)]


def credited(text: str, *words: str) -> list[str]:
    return [span.word for span in Matcher(Concept(words)).spans(text)]


@pytest.mark.parametrize(
    "text",
    [
        "position",
        "a website",
        "the site",
        "opposite",
        "deposit",
        "sited",
        "siting",
        "situation",
        "sitar",
        "visit",
        "Sí",
    ],
)
def test_sit_matches_no_other_word_that_holds_its_letters(text: str) -> None:
    assert found(text, "sit") == []


@pytest.mark.parametrize(
    ("word", "forms"),
    [
        ("sit", "sit sits sat sitting SAT Sitting"),
        ("seat", "seat seats seated seating"),
        ("bench", "bench benches"),
        ("sectional", "sectionals"),
        ("leaf", "leaf leaves"),
        ("wolf", "wolves"),
        ("mouse", "mice"),
        ("child", "children"),
        ("think", "thought thinking thinks"),
        ("leave", "left leaves leaving"),
        ("break", "broke broken breaking"),
        ("run", "ran running runs"),
        ("thank", "thanked thanking"),
        ("dine", "dined dining"),
    ],
)
def test_inflected_forms_of_a_word_match(word: str, forms: str) -> None:
    assert found(forms, word) == forms.split()


@pytest.mark.parametrize(
    ("word", "text"),
    [("be", "bed being-less Bede bee"), ("see", "seed"), ("we", "wing"), ("din", "dining"), ("cafe", "caves"),
     ("bear", "bare"), ("mare", "Maria"), ("the", "thing"), ("dog", "doge dogma hotdog"), ("car", "caring")],
)  # fmt: skip
def test_look_alikes_do_not_match(word: str, text: str) -> None:
    assert [form for form in found(text, word) if form != "being"] == []


def test_switched_off_only_the_written_form_matches() -> None:
    assert found("Sit, sat, sitting, SITS: sit!", "sit", inflections=False) == ["Sit", "sit"]


def test_an_inflected_word_in_the_list_stands_for_itself_and_a_plural_for_its_singular() -> None:
    assert found("seat seats seated seating", "seated") == ["seated"]
    assert found("a chair and two chairs", "chairs") == ["chair", "chairs"]
    assert found("leaf leave", "leaves") == ["leaf"]
    assert found("a man, men", "men") == ["man", "men"]
    assert found("bus gas Jame", "buses", "gas", "James") == ["bus", "gas"]


def test_the_exact_word_is_credited_before_the_lemma() -> None:
    assert credited("seated", "Seat", "Seated") == ["Seated"]
    assert credited("seats", "Seated", "Seat") == ["Seat"]


def test_punctuation_apostrophes_and_underscores() -> None:
    text = "chair. (Chair) “chairs,” chair’s chair's chair'll the chairs' _chair_ ‘chair’ *chair*…chair—chair"
    assert [form.lower().rstrip("s") for form in found(text, "chair")] == ["chair"] * 12
    assert found("can't can cans", "can") == ["can", "cans"]
    assert found("Don don't", "don") == ["Don"]
    assert found("O’Brien and O'Brien's", "O'Brien") == ["O’Brien", "O'Brien"]


def test_hyphens_separate_and_join() -> None:
    assert found("an arm-chair", "armchair") == ["arm-chair"]
    assert found("an arm-chair", "chair") == ["chair"]
    assert found("armchairs, arm chair, arm-chairs", "arm-chair") == ["armchairs", "arm chair", "arm-chairs"]
    assert found("a three-seat sofa", "seat") == ["seat"]


def test_phrases() -> None:
    text = "Rocking\n  chairs, a rocking-chair; rocking, chair. She sat down on the chair"
    assert found(text, "rocking chair", "sit down") == ["Rocking\n  chairs", "rocking-chair", "sat down"]
    assert credited("a rocking chair and a chair", "chair", "rocking chair") == ["rocking chair", "chair"]
    assert found("rock chair", "rocking chair") == []


def test_words_with_other_signs_match_as_written() -> None:
    assert found("c++ C+ C++11 on 9/11, 19/11", "C++", "9/11") == ["c++", "C++", "9/11"]


def test_unicode() -> None:
    assert found("CAFÉ cafe cafe\u0301 cafés", "café") == ["CAFÉ", "cafe\u0301", "cafés"]
    assert found("STRASSE Straße Straßen", "straße", inflections=False) == ["STRASSE", "Straße"]
    assert found("so\u00adfa ｓｏｆａ", "sofa") == ["so\u00adfa", "ｓｏｆａ"]
    assert found("стул стула", "стул", language="ru") == ["стул", "стула"]


def test_other_languages_know_their_own_inflections() -> None:
    assert found("die Stühle, der Stuhl; er saß", "Stuhl", "sitzen", language="de") == ["Stühle", "Stuhl", "saß"]
    assert found("l'homme, d’hommes", "homme", language="fr") == ["homme", "hommes"]
    with pytest.raises(InputError, match="'xx'"):
        Matcher(Concept(("chair",), language="xx"))


def test_forms_are_counted_by_the_word_they_belong_to() -> None:
    matcher = Matcher(Concept(("Sit", "chair", "sofa")))
    assert [len(matcher.spans(text)) for text in ("He sat on a chair.", "Sat sitting")] == [2, 2]
    assert matcher.forms() == {"Sit": {"sat": 2, "sitting": 1}, "chair": {"chair": 1}}
    assert matcher.matches("a CHAIR")
    assert not matcher.matches("a table")


ALPHABET = st.sampled_from(
    ["sit", "sits", "site", "arm", "chair", " ", " ", "\n", ".", ",", "-", "’s", "É", "1", "Sit"]
)


@settings(max_examples=200, deadline=None)
@given(st.lists(ALPHABET, max_size=30).map("".join))
def test_without_inflections_the_spans_are_those_of_a_plain_word_border_search(text: str) -> None:
    words = re.finditer(r"(?<![\w’-])1*(sit|chair)1*(?![\w’-])", text, re.IGNORECASE)
    plain = Matcher(Concept(("sit", "chair"), inflections=False)).spans(text)
    isolated = [
        (span.start, span.end) for span in plain
        if not text[: span.start].rstrip("1").endswith(("-", "’"))
        and not text[span.end :].lstrip("1").startswith(("-", "’"))
    ]  # fmt: skip
    assert isolated == [word.span(1) for word in words]


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60))
def test_spans_of_any_text_are_ordered_apart_and_inside_it(text: str) -> None:
    spans = Matcher(Concept(("a", "b c", "1/2", "ab"))).spans(text)
    borders = [place for span in spans for place in (span.start, span.end)]
    assert borders == sorted(borders)
    assert all(0 <= span.start < span.end <= len(text) for span in spans)


def test_readings_begin_with_the_form_itself() -> None:
    assert readings("sitting")[0] == "sitting"
    assert set(readings("leaves")) == {"leaves", "leave", "leaf"}
    assert readings("sat", "") == ("sat",)
    assert [singular(word) for word in ("glasses", "news", "geese", "series")] == ["glass", None, "goose", None]


def test_importing_the_room_brings_no_heavy_library() -> None:
    code = (
        "import sys; from unlearning_core.concepts import filtering, matcher, sentences, tokens_labels;"
        "assert not {'torch', 'datasets', 'pandas', 'spacy', 'streamlit', 'simplemma'} & set(sys.modules)"
    )
    assert run([sys.executable, "-c", code], check=False).returncode == 0
