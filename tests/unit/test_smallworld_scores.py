"""Replies are marked by the letter, and the figures are what counting by hand gives."""

import math
from dataclasses import replace

import pytest

from tests import tiny_world
from unlearning_core.smallworld import tables
from unlearning_core.smallworld.evaluate import Marked, begins_with_word, is_exact, is_repetitive
from unlearning_core.smallworld.scores import Figures, Score, chance, summary


def reply(test: str, family: str, right: bool, phrasing: str = "held_out") -> Marked:
    return Marked(test, phrasing, family, "prompt", ("yes",), "yes" if right else "no", right)


@pytest.mark.parametrize(
    ("written", "right"),
    [
        (" A chair is red.", True),
        (" A  chair is\tred. \nQ: What is", True),
        (" It is red.", True),
        (" A chair is red", False),
        (" A chair is red. It is old.", False),
        (" a chair is red.", False),
        ("", False),
        ("\n\n", False),
    ],
)
def test_an_answer_is_right_to_the_letter(written: str, right: bool) -> None:
    assert is_exact(written, ("A chair is red.", "It is red.")) is right


@pytest.mark.parametrize(
    ("written", "right"),
    [
        (" chair.", True),
        (" chair and a table", True),
        (" rocking  chair", True),
        (" chairs", False),
        (" chair-maker", False),
        (" chair's leg", False),
        (" rocking", False),
        (" old chair", False),
        ("", False),
    ],
)
def test_a_gap_is_filled_right_by_a_whole_word(written: str, right: bool) -> None:
    assert begins_with_word(written, ("chair", "rocking chair")) is right


@pytest.mark.parametrize(
    ("story", "repetitive"),
    [
        ('He sat. She sat! He sat. Then he sat. "He sat!"', True),
        ("He sat. She sat. He sat. They all sat. She sat.", False),
        ("The cat sat. The cat sat? the cat sat", True),
        ("...", False),
        ("", False),
    ],
)
def test_a_story_is_repetitive_when_a_sentence_comes_three_times(story: str, repetitive: bool) -> None:
    assert is_repetitive(story) is repetitive


def test_the_standard_error_is_that_of_independent_draws() -> None:
    values = [1.0] * 30 + [0.0] * 10
    mean = sum(values) / 40
    spread = math.sqrt(sum((value - mean) ** 2 for value in values) / 40)
    assert Score(30, 40).fraction == mean
    assert Score(30, 40).stderr == pytest.approx(spread / math.sqrt(40))
    assert Score(0, 0).fraction == Score(0, 0).stderr == 0.0


def test_chance_is_the_best_answer_that_does_not_look_at_the_member() -> None:
    seats = [tiny_world.question(member, "held_out") for member in tiny_world.SEATS]
    # Two of the three seats are red, and "An armchair" is no other answer than "A chair" is.
    assert chance(seats) == Score(2, 3)
    material = [replace(q, relation="of", accepted=(f"The {q.member} is made of wood.",)) for q in seats]
    assert chance([*seats, *material]) == Score(5, 6)
    assert chance([]) == Score(0, 0)


def test_the_summary_counts_held_out_phrasings_and_keeps_the_forgotten_family_apart() -> None:
    knows = Figures(
        [
            *(reply("questions", "seats", right) for right in (True, True, False, False)),
            *(reply("questions", "tools", right) for right in (True, True, True, False)),
            *(reply("questions", "tools", False, "seen") for _ in range(9)),
            reply("cloze", "tools", True),
            reply("cloze_several", "tools", False),
            reply("facts", "general", True),
            reply("facts", "general", False),
            reply("nonsense", "nonsense", True),
        ],
        ["He sat. He sat. He sat.", "He sat."],
    )
    never_knew = Figures([reply("questions", "seats", False), reply("questions", "tools", True)], [])
    result = summary(knows, never_knew, [])
    assert {key: value for key, value in result.items() if key not in ("chance", "details")} == {
        "questions_exact": 5 / 8,
        "cloze_top1": 1.0,
        "facts_exact": 0.5,
        "nonsense_refused": 1.0,
        "repetitive_stories": 1,
        "never_knew": {"seats_questions_exact": 0.0, "others_questions_exact": 1.0},
    }
    questions = result["details"]["smallworld"]["questions"]
    assert questions["held_out"]["without_seats"]["fraction"] == 0.75
    assert questions["held_out"]["families"]["seats"]["fraction"] == 0.5
    assert questions["seen"]["all"]["count"] == 9
    assert summary(knows, None, [])["never_knew"] is None


def test_the_tables_hold_every_figure_with_its_error() -> None:
    questions = [tiny_world.question(member, "held_out") for member in tiny_world.SEATS]
    figures = Figures([reply("questions", "seats", right) for right in (True, False, False, False)], ["He sat."])
    rows = tables.overall({"one": figures, "two": figures}, questions)
    cells = {row[0]: row[1] for row in rows}
    assert cells["questions, exact"] == "25.0 ± 21.7 % of 4"
    assert cells["- all but seats"] == "-"
    assert cells["- chance on seats"] == "66.7 ± 27.2 % of 3"
    assert cells["stories with a sentence three times or more"] == "0 of 1"
    assert len({len(line) for line in tables.plain(rows).splitlines()}) == 1
    assert tables.markdown(rows).splitlines()[1] == "| --- | ---: | ---: |"
    family = tables.by_family({"one": figures})
    assert family[1][:3] == ("seats", "25.0 ± 21.7 % of 4", "-")
