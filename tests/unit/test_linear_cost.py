"""Every pass over a text takes a time linear in its length, whatever the text is made of."""

import os
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from unlearning_core.concepts.corrections import Corrections, forms_of
from unlearning_core.concepts.labelling import LabelledSet, LabelledText, label_text, same_text_key
from unlearning_core.concepts.matcher import Matcher
from unlearning_core.concepts.neighbours import with_neighbours
from unlearning_core.concepts.sentences import split_sentences
from unlearning_core.concepts.split_filter import FilteredSplit
from unlearning_core.concepts.tokens_labels import word_labels
from unlearning_core.concepts.words import Concept
from unlearning_core.progress import silent

CONCEPT = Concept(
    ("rocking chair", *"chair anti-disestablishment-arianism 椅子 의자 개 כיסא كرسي कुर्सी C++ เก้าอี้".split())
)
NEIGHBOURS = Concept(("seat", "桌子"))

UNITS = {
    "one word": "a", "hyphens": "-", "joined letters": "a-", "joined words": "Ala-7-", "joined matches": "chair-",
    "zero-width spaces": "a\u200b", "soft hyphens": "a\u00ad", "only invisible": "\u200b\u00ad", "brackets": "(",
    "closed brackets": ")]", "digits": "7", "marks": "\u0301\u0323", "apostrophes": "'",
    "letters and apostrophes": "a'", "clitics": "chair's", "line breaks": "\n", "lines": "\n ", "spaces": " ",
    "full stops": ".", "sentence ends": "A. ", "mixed ends": "!?…", "quotes": '."', "Chinese": "椅",
    "Chinese matches": "椅子", "Chinese stops": "。」", "emoji": "👩\u200d", "flags": "🇩", "Korean": "의",
    "Korean particles": "개에게", "Hebrew": "כ", "Arabic": "كرسي", "Hindi": "कुर्सी", "Thai": "ก ",
    "phrases": "rocking ", "neighbours": "chair seat ", "signs": "c+", "accents": "ά", "other script": "a椅",
    "surrogates": "\U0001f9d1", "control": "\x00", "carriage returns": "\r\n", "escapes": "\\n", "backslashes": "\\",
    "entities": "&#x41;", "ampersands": "&a", "tags": "<b", "percent": "%C3", "mojibake": "Ã¼",
}  # fmt: skip


def match(text: str) -> None:
    Matcher(CONCEPT).spans(text)


def filter_texts(text: str) -> None:
    split = FilteredSplit("train", Matcher(CONCEPT), silent)
    split._keeps(text)


def label(text: str) -> None:
    item = label_text(text, Matcher(CONCEPT))
    assert len(word_labels(item)) == len(text.split())
    same_text_key(text)


def neighbour(text: str) -> None:
    items = [label_text(text, Matcher(CONCEPT)), LabelledText("a seat")]
    with_neighbours(LabelledSet(items), Matcher(CONCEPT), Matcher(NEIGHBOURS))


def correct(text: str) -> None:
    items = [label_text(text, Matcher(CONCEPT))]
    forms_of(items)
    Corrections((text,), ("chair", "椅子"), (("chair", "seat"),)).find(items, CONCEPT)


PASSES: dict[str, Callable[[str], object]] = {
    "matcher": match, "sentences": split_sentences, "labels": label, "filter": filter_texts, "neighbours": neighbour,
    "corrections": correct,
}  # fmt: skip


def text_of(unit: str, length: int) -> str:
    return ("a" if UNITS[unit].isspace() else "") + UNITS[unit] * (length // len(UNITS[unit])) + "a"


LENGTH = int(os.environ.get("UNLEARNING_LONG_TEXT", "50000"))
"""Characters of the longest texts; a million takes ten minutes."""


def seconds(work: Callable[[str], object], text: str) -> float:
    start = time.process_time()
    work(text)
    return time.process_time() - start


@pytest.mark.parametrize("work", ["matcher", "sentences"])
@pytest.mark.parametrize("unit", UNITS)
def test_a_text_of_one_thing_over_and_over_is_done_at_once(unit: str, work: str) -> None:
    # Steps that grow with the square of this length take half a minute, those of today under a second.
    assert seconds(PASSES[work], text_of(unit, 40_000)) < 8


@pytest.mark.parametrize("work", ["labels", "filter", "neighbours", "corrections"])
@pytest.mark.parametrize("unit", ["one word", "joined matches", "neighbours", "Chinese matches", "clitics", "marks"])
def test_what_is_done_with_matches_is_linear_too(unit: str, work: str) -> None:
    assert seconds(PASSES[work], text_of(unit, 40_000)) < 8


@pytest.mark.slow
@pytest.mark.parametrize("work", PASSES)
@pytest.mark.parametrize("unit", UNITS)
def test_a_long_text_takes_four_times_what_a_quarter_takes(unit: str, work: str) -> None:
    # The better of two: the first pass over a text also fills what is remembered of its words.
    quarter, whole = (
        min(seconds(PASSES[work], text_of(unit, length)) for _ in range(2)) for length in (LENGTH // 4, LENGTH)
    )
    assert whole < max(10 * quarter, 1.0)
    assert whole < 60


@pytest.mark.parametrize("unit", ["one word", "joined letters", "Hebrew", "marks", "accents"])
def test_nothing_long_is_remembered(unit: str) -> None:
    matcher = Matcher(CONCEPT)
    matcher.spans(text_of(unit, 60_000))
    remembered = [*matcher._dull, *matcher._known]
    assert max(map(len, remembered), default=0) <= 100
    assert sum(map(len, remembered)) < 30_000


def test_a_chain_of_hyphens_is_still_joined_where_it_is_a_word() -> None:
    matcher = Matcher(replace(CONCEPT, words=("armchair", "constitution")))
    text = "x-" * 5000 + "arm-chairs-" + "c-o-n-s-t-i-t-u-t-i-o-n-" + "y-" * 5000
    assert [text[span.start : span.end] for span in matcher.spans(text)] == ["arm-chairs", "c-o-n-s-t-i-t-u-t-i-o-n"]


def test_a_text_costs_no_more_for_many_phrases_that_begin_alike() -> None:
    text = "a chair of wood and a chair of " * 1000

    def cost(phrases: int) -> float:
        matcher = Matcher(Concept(tuple(f"chair of x{letter}" for letter in range(phrases))))
        matcher.spans(text)
        return seconds(lambda again: matcher.spans(again), text)

    assert cost(2000) < max(5 * cost(20), 0.2)
