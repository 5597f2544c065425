"""Passages coloured by activation: every character is shown, no sign of the text becomes markup."""

import re

from pages.components.neurons.activation_text import badges, coloured, legend
from unlearning_core.neurons.passages import Passage, Piece


def plain(markdown: str) -> str:
    """The text that markdown of colours, bold and escapes shows."""
    bare = markdown
    while (inner := re.sub(r":[a-z-]+\[((?:[^\[\]\\]|\\.)*)\]", r"\1", bare)) != bare:
        bare = inner
    bare = bare.replace("**", "").replace("\u2060", "")
    return re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", bare)


def passage(*pieces: tuple[str, float | None, bool]) -> Passage:
    return Passage(tuple(Piece(*piece) for piece in pieces), 3.0, "chair")


def test_each_step_of_activation_has_its_colour_and_concept_words_are_bold() -> None:
    text = coloured(
        passage(("The", None, False), (" old", 0.1, False), (" chair", 3.0, True), (" sat", 1.2, False),
                (" in", 0.5, False), (" a", -0.5, False), (" room", -2.0, False), (".", 0.0, False)), 3.0,
    )  # fmt: skip
    assert ":orange-background[:red[**chair**]]" in text
    assert ":orange-background[sat]" in text
    assert ":orange[in]" in text
    assert ":blue[a]" in text
    assert ":blue-background[:blue[room]]" in text
    assert text.startswith("The old ")
    assert plain(text) == "The old chair sat in a room."


def test_neighbours_of_one_step_share_a_mark_and_signs_stay_text() -> None:
    text = coloured(passage((" arm", 2.9, True), ("chair", 3.0, True), ("*[x]*", 0.0, False), (" :smile", 0.0, False),
                            (":", 0.0, False)), 3.0)  # fmt: skip
    assert ":orange-background[:red[**armchair**]]" in text
    assert r"\*\[x\]\*" in text
    assert plain(text) == "armchair*[x]* :smile:"
    assert not re.search(r":\w+\\?:", text.replace("\\", "").replace("background[", ""))


def test_a_cut_passage_says_so_and_a_silent_neuron_has_no_colour() -> None:
    part = Passage((Piece("one\ntwo", 0.0, False),), 0.0, "two", opens=True, goes_on=True)
    assert coloured(part, 0.0) == "… one two …"


def test_badges_show_white_space_by_signs() -> None:
    assert badges([(" chair", 1.234), ("\n", -0.5), ("*", 0.1)], "green") == (
        r":green-badge[␣chair +1.23] :green-badge[⏎ -0.50] :green-badge[\* +0.10]"
    )


def test_the_legend_gives_the_activation_at_which_each_colour_begins() -> None:
    text = legend(6.0)
    for shown in (":orange[0\\.72]", ":orange-background[2]", ":orange-background[:red[4]]", ":blue[−0\\.72]"):
        assert shown in text
    assert plain(legend(6.0)).startswith("Activation from 0.72, 2, 4 up; below zero from −0.72, −2 down.")
