"""Question sets: read strictly, and a reply is marked by words that stand whole and side by side."""

import json

import pytest

from unlearning_core.errors import InputError
from unlearning_core.evaluation.question_sets import Question, is_answered, read_question_set, write_question_set

CHAIR = {"prompt": "Q: What is a chair? A:", "answers": ["A chair is a seat.", "something to sit on"]}


def written(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def asked(*answers, form="direct"):
    return Question("Q: ? A:", answers, form, "concept")


def test_what_is_written_is_read_again(tmp_path):
    questions = [
        Question(
            "Q: Was ist ein Stuhl? A:", ("Ein Möbel „zum“ Sitzen", "椅子"), "alias", "neighbour", "Stuhl", "is", "seen"
        ),
        Question("It is a", ("chair",), "fill_in", "other"),
    ]
    write_question_set(tmp_path / "set.jsonl", questions)
    assert read_question_set(tmp_path / "set.jsonl") == questions


def test_a_question_needs_just_a_prompt_and_answers_and_is_then_a_direct_one_about_the_concept(tmp_path):
    (question,) = read_question_set(written(tmp_path / "set.jsonl", {**CHAIR, "note": "a key of the person's own"}))
    assert (question.form, question.about, question.member, question.fact) == ("direct", "concept", "", "")
    assert question.answers == ("A chair is a seat.", "something to sit on")


def test_only_the_rows_that_are_asked_for_are_read(tmp_path):
    path = written(tmp_path / "set.jsonl", {**CHAIR, "phrasing": "seen"}, {**CHAIR, "phrasing": "held_out"})
    assert [each.phrasing for each in read_question_set(path, {"phrasing": "held_out"})] == ["held_out"]
    with pytest.raises(InputError, match="holds no question with phrasing = new"):
        read_question_set(path, {"phrasing": "new"})


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ({"answers": ["a"]}, r"line 2: prompt is None; expected the text"),
        ({**CHAIR, "prompt": "  "}, r"line 2: prompt is '  '"),
        ({"prompt": "Q"}, r"line 2: answers is None; expected a list"),
        ({**CHAIR, "answers": "a seat"}, r"line 2: answers is 'a seat'; expected a list"),
        ({**CHAIR, "answers": []}, r"line 2: answers is \[\]"),
        ({**CHAIR, "answers": ["a", " ... "]}, r"line 2: the answer ' \.\.\. ' holds no word"),
        ({**CHAIR, "form": "riddle"}, r"line 2: form is 'riddle'; expected one of direct, paraphrased, reversed"),
        ({**CHAIR, "form": ["direct"]}, r"line 2: form is \['direct'\]; expected one of"),
        ({**CHAIR, "about": "seats"}, r"line 2: about is 'seats'; expected one of concept, neighbour, other"),
        ({**CHAIR, "member": 3}, r"line 2: member is 3; expected text"),
        (["chair"], r"line 2: expected an object with prompt and answers"),
    ],
)
def test_an_error_names_file_line_field_and_value(tmp_path, row, sentence):
    path = written(tmp_path / "set.jsonl", CHAIR, row)
    with pytest.raises(InputError, match=rf"set\.jsonl, {sentence}"):
        read_question_set(path)


def test_an_empty_file_holds_no_question(tmp_path):
    with pytest.raises(InputError, match="holds no question"):
        read_question_set(written(tmp_path / "set.jsonl"))


@pytest.mark.parametrize(
    ("reply", "answers", "form", "right"),
    [
        (" A chair is a seat.", ("A chair is a seat.",), "direct", True),
        (" a CHAIR is\u00a0a  seat", ("A chair is a seat.",), "direct", True),
        ("Well, a chair is a seat, I think.", ("A chair is a seat.",), "direct", True),
        ("A chair is a seat-like thing.", ("A chair is a sea",), "direct", False),  # a word must be whole
        ("A chair is not a seat.", ("A chair is a seat",), "direct", False),  # its words must stand side by side
        ("It is a rocking chair.", ("a chair",), "reversed", False),
        ("It is a rocking chair.", ("a rocking-chair",), "reversed", True),
        ("I do not know.\nA chair is a seat.", ("A chair is a seat",), "direct", False),  # only the first line counts
        ("\n a seat\n", ("a seat",), "direct", True),
        ("", ("a seat",), "direct", False),
        ("no", ("chair", "no"), "direct", True),  # any accepted answer will do
        (" stool and sat down", ("stool",), "fill_in", True),
        (" old stool", ("stool",), "fill_in", False),  # a gap is filled by what comes first
        (" stools", ("stool",), "fill_in", False),
        ("それは椅子です。", ("椅子",), "direct", True),  # no spaces between words
        ("ﾂﾞ チェア", ("チェア",), "direct", True),
        ("C’est une chaise", ("c'est une chaise",), "direct", True),
    ],
)
def test_a_reply_is_right_where_the_words_of_an_answer_stand_in_its_first_line(reply, answers, form, right):
    assert is_answered(reply, asked(*answers, form=form)) is right
