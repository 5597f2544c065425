"""Which generated sentences are fit to keep."""

import pytest

from unlearning_core.writing.prompts import compose
from unlearning_core.writing.quality import opening, reason_to_drop, tidy


@pytest.mark.parametrize(
    "sentence",
    [
        "The old fisherman sat down on a bench and looked at the sea.",
        "The boy said that he had “never seen such a tall tower” in his life.",
        "She asked whether the chairs were new, but nobody knew.",
    ],
)
def test_plain_sentences_are_kept(sentence: str) -> None:
    assert reason_to_drop(sentence) is None


@pytest.mark.parametrize(
    ("sentence", "reason"),
    [
        ("He sat down.", "length"),
        ("He " + "walked and walked on to the " * 8 + "sea.", "length"),
        ("and then he went to the market to buy bread.", "not a whole plain sentence"),
        ("Then he went to the market to buy some", "not a whole plain sentence"),
        ("See [1] for the way to the old market.", "not a whole plain sentence"),
        ("Here is a sentence about a chair in the garden.", "about the task"),
        ("As an AI I can not sit on a chair today.", "about the task"),
        ('He said "come in and took the chair by the door.', "open quotation"),
        ("The chair was a chair and the chair was old.", "repetition"),
        ("He was very very tired after the long walk home.", "repetition"),
    ],
)
def test_a_broken_sentence_says_why(sentence: str, reason: str) -> None:
    assert reason_to_drop(sentence) == reason


def test_list_marks_and_quotes_around_lines_go() -> None:
    assert tidy('1. "He sat."\n- She ran.\n\n2) They slept.') == "He sat. She ran. They slept."


def test_near_copies_share_their_opening() -> None:
    assert opening("The old man's dog slept.") == opening("the Old man's DOG ran away!") == "the old man's dog"


def test_requests_name_the_word_and_differ_by_seed() -> None:
    requests = {compose("pew", chat=True, seed=seed) for seed in range(200)}
    assert len(requests) > 180
    assert all('"pew"' in request for request in requests)
    assert not any(
        "{" in request or "pew" in request for request in (compose(None, chat=True, seed=s) for s in range(99))
    )
    assert compose("pew", chat=False, seed=3) == compose("pew", chat=False, seed=3)
