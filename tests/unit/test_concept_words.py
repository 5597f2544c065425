"""The rate of concept words in generated text."""

import math

import pytest

from unlearning_core.concepts.matcher import Matcher
from unlearning_core.concepts.words import Concept
from unlearning_core.evaluation.concept_words import concept_words_per_100, count_words

SEATS = Matcher(Concept(("chair", "sit", "park bench")))


def test_words_are_counted_with_their_apostrophes_and_hyphens() -> None:
    assert count_words("It's a well-made chair -- isn't it? (Naïve, 7 of them.)") == 10
    assert count_words(" ... !? ") == 0


def test_each_letter_of_a_script_without_spaces_is_a_word() -> None:
    assert count_words("他坐在iPhone旁的椅子上。") == 9
    assert count_words("a\u0301 \u0301b") == 2
    assert concept_words_per_100(["他坐在椅子上。", "她走了。"], Matcher(Concept(("椅子",)))).value == pytest.approx(
        100 / 9
    )


def test_the_rate_is_matches_over_words_of_all_texts_together() -> None:
    texts = ["He sat on a chair.", "Nothing here at all, my friend, nothing.", "The park bench was wet."]
    # 2 of 5, 0 of 7, 1 (a phrase) of 5.
    assert concept_words_per_100(texts, SEATS).value == pytest.approx(100 * 3 / 17)


def test_whole_words_only() -> None:
    assert concept_words_per_100(["The site and its position.", "A chairman."], SEATS).value == 0


def test_the_standard_error_is_that_of_the_mean_when_texts_are_equally_long() -> None:
    texts = ["chair one two three", "one two three four", "chair chair two three", "one two sit four"]
    rates = [25.0, 0.0, 50.0, 25.0]
    mean = sum(rates) / 4
    expected = math.sqrt(sum((rate - mean) ** 2 for rate in rates) / 3 / 4)
    assert concept_words_per_100(texts, SEATS).stderr == pytest.approx(expected)


def test_no_words_give_no_rate() -> None:
    estimate = concept_words_per_100(["", " ..."], SEATS)
    assert math.isnan(estimate.value)
    assert math.isnan(estimate.stderr)
    assert math.isnan(concept_words_per_100([], SEATS).value)
