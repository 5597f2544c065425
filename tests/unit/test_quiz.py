"""The quiz: its order by hand, its choice on the real SmallWorld models, its answers kept with the run."""

import json
from pathlib import Path

import numpy as np
import pytest

from unlearning_core.concepts.matcher import Matcher
from unlearning_core.concepts.words import Concept
from unlearning_core.config.reading import starter_config
from unlearning_core.config.schema import ProofSection
from unlearning_core.edits.mask import Mask
from unlearning_core.edits.recipe import Recipe
from unlearning_core.edits.weights import bake
from unlearning_core.evaluation.answers import answered, guessable
from unlearning_core.evaluation.question_sets import FORMS, Question, is_answered, read_question_set
from unlearning_core.evaluation.quiz import ASKED, ask, choose_questions, in_turn
from unlearning_core.files import ROOT
from unlearning_core.models.loading import LoadedModel, load_model
from unlearning_core.runs.context import RunContext
from unlearning_core.runs.pipeline import create_run
from unlearning_core.runs.quiz import ask_state, quiz_of, write_quiz
from unlearning_core.runs.run import Run

SET = ROOT / "data" / "smallworld" / "question_set.jsonl"


@pytest.fixture(scope="module")
def base() -> LoadedModel:
    return load_model("smallworld")


@pytest.fixture(scope="module")
def twin() -> LoadedModel:
    return load_model("smallworld-never-knew-seats")


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return create_run(starter_config("smallworld"), tmp_path)


@pytest.fixture
def matcher(run: Run) -> Matcher:
    return RunContext(run).matcher


def question(form: str, member: str, prompt: str = "") -> Question:
    return Question(prompt or f"{form} {member}", ("yes",), form, "concept", member)  # type: ignore[arg-type]


def test_forms_come_in_turn_and_of_each_the_least_asked_thing() -> None:
    given = [
        question("fill_in", "chair"), question("direct", "chair"), question("direct", "sofa"),
        question("direct", "chair", "again"), question("reversed", "chair"), question("fill_in", "sofa"),
    ]  # fmt: skip
    found = [(one.form, one.member) for one in in_turn(given)]
    # By hand: direct chair; reversed has only chair; of the fill-ins sofa was not asked yet; then sofa directly, ...
    assert found == [
        ("direct", "chair"), ("reversed", "chair"), ("fill_in", "sofa"), ("direct", "sofa"), ("fill_in", "chair"),
        ("direct", "chair"),
    ]  # fmt: skip
    assert in_turn(given)[-1].prompt == "again"


def test_the_ten_are_the_first_that_the_base_answers_right_whatever_the_form(
    base: LoadedModel, matcher: Matcher
) -> None:
    settings = starter_config("smallworld").proof
    questions = read_question_set(SET)
    found = choose_questions(base, questions, matcher, settings)
    for about, kept in (("concept", found[:ASKED]), ("neighbour", found[ASKED:])):
        order = in_turn([one for one in questions if one.about == about])[:40]
        table = answered(base, order, new_tokens=settings.answer_tokens)
        known = [one for one, right in zip(order, table["exact"], strict=True) if right]
        pairs = guessable(known, matcher)
        blank = answered(base, [other for _, other in pairs], new_tokens=settings.answer_tokens)
        guessed = {one.prompt for (one, _), right in zip(pairs, blank["exact"], strict=True) if right}
        assert kept == [one for one in known if one.prompt not in guessed][:ASKED]
        assert len({one.member for one in kept}) == ASKED
        assert {one.form for one in kept} == set(FORMS)


def test_what_is_guessed_without_the_word_is_not_asked(base: LoadedModel) -> None:
    prompt = "Q: What is a chair? A:"
    (row,) = answered(base, [Question("Q: What is a thing? A:", ("x",), "direct", "concept")]).itertuples()
    guessed = Question(prompt, ("four legs and a back", row.answer), "direct", "concept")
    only = Question(prompt, guessed.answers[:1], "direct", "concept")
    matcher = Matcher(Concept(("chair",)))
    assert choose_questions(base, [guessed], matcher, ProofSection()) == []
    assert choose_questions(base, [only], matcher, ProofSection()) == [only]


def test_the_model_that_never_knew_answers_none_of_the_ten_and_the_neighbours(
    base: LoadedModel, twin: LoadedModel, run: Run
) -> None:
    assert quiz_of(run) is None
    ask_state(run, "base", base, base)
    quiz = ask_state(run, "never_knew", twin, base)
    assert list(quiz.marks) == ["base", "never_knew"]
    assert [quiz.right("base", about) for about in ("concept", "neighbour")] == [ASKED, ASKED]
    assert quiz.right("never_knew", "concept") == 0
    assert quiz.right("never_knew", "neighbour") >= ASKED - 1
    for asked, mark in zip(quiz.questions, quiz.marks["never_knew"], strict=True):
        assert mark.right == is_answered(mark.answer, asked)
    assert quiz_of(Run(run.folder)) == quiz


def test_answers_are_those_under_the_recipe_and_the_model_stays_as_it_was(base: LoadedModel) -> None:
    asked = [question("direct", "chair", "Q: What is a chair? A:")]
    whole = ask(base, asked, base, ProofSection())
    neurons = np.argwhere(np.ones(base.map.shapes["mlp"], bool)).tolist()
    mask = Mask.from_neurons(base.map.shapes, [("mlp", layer, index) for layer, index in neurons])
    under = ask(base, asked, base, ProofSection(), recipe=Recipe(mask, "smallworld", {}, 1.0))
    cut = load_model("smallworld")
    bake(cut.model, mask, cut.map)
    assert under == ask(cut, asked, base, ProofSection())
    assert under != whole
    assert ask(base, asked, base, ProofSection()) == whole


def test_a_training_is_given_the_questions_that_the_page_asks(base: LoadedModel, run: Run, tmp_path: Path) -> None:
    path = write_quiz(RunContext(run, base=base))
    assert path is not None
    chosen = quiz_of(run)
    assert chosen is not None
    assert read_question_set(path) == list(chosen.questions)
    assert len(chosen.questions) == 2 * ASKED
    # Chosen once: with the answers there, the base is not needed again.
    path.unlink()
    assert write_quiz(RunContext(run)) == path
    assert read_question_set(path) == list(chosen.questions)
    config = run.config
    config.proof.questions = None
    run.save_config(config)
    assert write_quiz(RunContext(run)) is None


def test_answers_of_other_settings_or_of_a_model_made_anew_are_asked_again(base: LoadedModel, run: Run) -> None:
    ask_state(run, "base", base, base)
    note = json.loads((run.folder / "quiz.json").read_text(encoding="utf-8"))
    note["states"]["pruned"] = {"of": "a cut of before", "marks": note["states"]["base"]["marks"]}
    run.write_note("quiz", note)
    kept = quiz_of(run)
    assert kept is not None
    assert list(kept.marks) == ["base"]
    config = run.config
    config.proof.answer_tokens += 1
    run.save_config(config)
    assert quiz_of(run) is None
