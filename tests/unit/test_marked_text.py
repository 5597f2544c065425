"""Text of people and models inside markdown: every sign is shown, none is obeyed."""

import re

from pages.components.marked_text import escaped, highlighted


def shown(markdown: str) -> str:
    """What CommonMark makes of escaped text: a backslash before punctuation or a line end goes, nothing else."""
    return re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", markdown.replace("\\\n", "\n")).replace("\u2060", "")


def test_every_sign_is_escaped_so_that_it_is_shown_as_it_is() -> None:
    text = "# 1. *a* _b_ `c` $x$ [d](e) <b> :red[f] ~g~ | h & i \\ j"
    marked = escaped(text)
    assert shown(marked) == text
    assert not re.search(r"(?<!\\)[*_`$\[\]<>#|~:]", marked)


def test_an_icon_name_stays_text() -> None:
    assert ":\u2060smile\\:" in escaped("a :smile: here").replace("\\:\u2060", ":\u2060")


def test_concept_words_are_marked_where_they_stand() -> None:
    text = "Two chairs, one *sofa*"
    assert highlighted(text, [(4, 10), (17, 21)]) == (
        "Two :orange-background[**chairs**]\\, one \\*:orange-background[**sofa**]\\*"
    )


def test_white_space_around_the_text_is_left_out_and_line_breaks_stay() -> None:
    assert highlighted("  a\nchair \n", [(4, 9)]) == "a\\\n:orange-background[**chair**]"


def test_changed_words_are_in_coloured_italics_and_a_changed_concept_word_is_both() -> None:
    text = "She sat on a red chair."
    assert highlighted(text, [(17, 22)], [(13, 22)]) == (
        "She sat on a :violet[*red*] :violet[*:orange-background[**chair**]*]\\."
    )


def test_an_empty_text_and_one_of_white_space_give_nothing() -> None:
    assert highlighted("", [], []) == ""
    assert highlighted(" \n ", []) == ""
