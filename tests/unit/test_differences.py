"""Which words differ between two texts."""

import pytest

from unlearning_core.reports.differences import changed_words


def words(before: str, after: str) -> list[str]:
    return [after[start:end] for start, end in changed_words(before, after)]


@pytest.mark.parametrize(
    ("before", "after", "changed"),
    [
        ("A chair is a seat.", "A chair is a seat.", []),
        ("A chair is a seat.", "A table is a seat.", ["table"]),
        ("A chair is a seat.", "A  chair\nis a seat.", []),
        ("A chair is a seat.", "A chair.", []),
        ("A chair.", "A very old chair.", ["very old"]),
        ("red blue", "green\nyellow", ["green", "yellow"]),
        ("It is so", "It isn't so!", ["isn't", "!"]),
        ("", "all new", ["all new"]),
        ("all gone", "", []),
        ("the cat sat", "The cat sat", ["The"]),
    ],
)
def test_the_words_that_only_the_second_text_has(before: str, after: str, changed: list[str]) -> None:
    assert words(before, after) == changed


def test_a_word_that_moved_is_changed_once() -> None:
    assert len(words("one two three four", "two three four one")) == 1
