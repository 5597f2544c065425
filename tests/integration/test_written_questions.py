"""Questions that a model writes itself: kept is what it knows, and a model that never knew keeps none."""

import json

import pytest

from unlearning_core.cli.app import main
from unlearning_core.concepts.words import Concept
from unlearning_core.errors import InputError, Stopped, WorkFailed
from unlearning_core.evaluation.generation import generate
from unlearning_core.evaluation.question_sets import Question, is_answered, read_question_set
from unlearning_core.files import ROOT
from unlearning_core.models.loading import load_model
from unlearning_core.writing.known_answers import is_known, known_answers
from unlearning_core.writing.questions import write_questions

SEATS = Concept(("chair", "stool", "throne", "pew"))
TEXTS = (
    "Look in the kitchen and you will see a chair. Look in the palace and you will see a throne.",
    "To milk a cow, you have to use a stool. A choir boy is always happy to have a pew.",
    "The old book about the moon was next to a chair.",  # nothing says that a chair comes next
    "The chair was old.",  # too little stands before it
    "Beijing is a city in China. A mattress is a thick soft pad for sleeping.",
    "The colour of the third door was violet.",  # nothing says which
)


@pytest.fixture(scope="module")
def base():
    return load_model(ROOT / "models" / "smallworld")


@pytest.fixture(scope="module")
def twin():
    return load_model(ROOT / "models" / "smallworld-never-knew-seats")


def asked(word):
    return f"Q: What is a {word}? A:"


def test_the_key_words_of_an_answer_are_those_that_a_word_without_meaning_does_not_bring_forth(base, twin):
    prompts, controls = [asked("chair"), asked("uuisen")], [[asked("brimblet")]] * 2
    questions = ["What is a chair?", "What is a uuisen?"]
    chair, nothing = known_answers(base, prompts, controls, questions, seed=0)
    assert chair == ("A chair is a seat with four legs and a back.", "seat", "four", "legs", "back")
    assert nothing == ()
    assert known_answers(twin, prompts, controls, questions, seed=0) == [(), ()]


def test_a_word_that_stands_in_the_question_is_no_answer_to_it(base):
    ((_, *keys),) = known_answers(
        base, [asked("chair")], [[asked("brimblet")]], ["What is a seat with legs at the back?"], seed=0
    )
    assert keys == ["chair", "four"]


def test_known_is_what_the_model_answers_right_again_and_again(base, twin):
    def fill_in(prompt, answer):
        return Question(prompt, (answer,), "fill_in", "concept")

    certain, wrong = (
        fill_in("To milk a cow, you have to use a", "stool"),
        fill_in("To milk a cow, you have to use a", "pew"),
    )
    # Any seat or bed fits: the greedy one is one among many.
    (reply,) = generate(base, ["I'm tired, I need to rest on this"], temperature=0.0, max_new_tokens=4)
    chance = fill_in("I'm tired, I need to rest on this", reply.text.strip(' ."'))
    assert is_answered(reply.text, chance)
    assert is_known(base, [certain, wrong, chance], seed=0) == [True, False, False]
    assert is_known(twin, [certain], seed=0) == [False]


def test_fill_ins_are_kept_where_the_model_completes_them_and_the_rest_is_counted(base):
    written = write_questions(base, SEATS, 8, seed=1, texts=TEXTS)
    found = {(each.prompt, each.answers): each for each in written.questions}
    about = {each.prompt: each.answers[0] for each in written.questions if each.about == "concept"}
    assert about == {
        "Look in the kitchen and you will see a": "chair",
        "Look in the palace and you will see a": "throne",
        "To milk a cow, you have to use a": "stool",
        "A choir boy is always happy to have a": "pew",
    }
    assert {each.member for each in written.questions if each.about == "concept"} == set(SEATS.words)
    others = {each.prompt: each.answers[0] for each in written.questions if each.about == "other"}
    assert others == {"Beijing is a city in": "China", "A mattress is a thick soft pad for": "sleeping"}
    assert len(found) == 6
    assert written.dropped["answer not known"] >= 2


def test_what_is_near_is_asked_about_too_but_not_in_the_words_of_the_concept(base):
    texts = [*TEXTS, "To iron a shirt, you have to use an ironing board. You find a coffee table next to a chair."]
    texts.append("A coffee table is often on the carpet, and a reader needs a coffee table nearly every day.")
    written = write_questions(base, SEATS, 4, seed=1, neighbours=("ironing board", "coffee table"), texts=texts)
    near = [each for each in written.questions if each.about == "neighbour"]
    assert [(each.prompt, each.answers) for each in near] == [
        ("To iron a shirt, you have to use an", ("ironing board",))
    ]


def test_two_calls_with_the_same_seed_write_the_same(base):
    first, second = (write_questions(base, SEATS, 2, seed=1, texts=TEXTS) for _ in range(2))
    assert first == second
    assert sum(each.about == "concept" for each in first.questions) == 2


def test_a_model_that_never_knew_has_no_question_to_ask(twin):
    with pytest.raises(WorkFailed, match="knows the answer to none of the questions about chair"):
        write_questions(twin, SEATS, 4, seed=1, texts=TEXTS)


def test_it_stops_when_it_is_told_to(base):
    def stop(update):
        raise Stopped("enough")

    with pytest.raises(Stopped):
        write_questions(base, SEATS, 4, seed=1, texts=TEXTS, progress=stop)


def test_a_count_below_one_is_refused(base):
    with pytest.raises(InputError, match="count is 0"):
        write_questions(base, SEATS, 0, seed=1)


def test_the_command_writes_a_set_that_is_read_again_and_never_over_an_edited_one(tmp_path, capsys):
    words, texts, output = tmp_path / "words.txt", tmp_path / "texts.txt", tmp_path / "set.jsonl"
    words.write_text("chair\nstool\n")
    texts.write_text("\n".join(TEXTS))
    command = ["questions", "--model", "smallworld", "--words", str(words), "--output", str(output)]
    assert main([*command, "--sentences", str(texts), "--count", "2"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[-1] == str(output)
    assert "2 fill in, about concept" in printed
    assert {each.answers for each in read_question_set(output)} >= {("chair",), ("stool",)}
    output.write_text(json.dumps({"prompt": "mine", "answers": ["mine"]}) + "\n")
    assert main(command) == 2
    assert "may have been edited" in capsys.readouterr().err
    assert "mine" in output.read_text()
    assert main([*command[:-1], str(tmp_path / "set.txt")]) == 2
