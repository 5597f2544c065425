"""The quiz of a run: chosen once on its base, asked of each state, kept in the run with its answers."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unlearning_core.evaluation.question_sets import About, Question, read_question_set, write_question_set
from unlearning_core.evaluation.quiz import ASKED, Mark, ask, choose_questions
from unlearning_core.methods.registry import method_of_state
from unlearning_core.progress import ProgressCallback, silent
from unlearning_core.runs.context import RunContext
from unlearning_core.runs.run import Run
from unlearning_core.runs.store import digest

if TYPE_CHECKING:
    from unlearning_core.edits.recipe import Recipe
    from unlearning_core.models.loading import LoadedModel

NOTE = "quiz"


@dataclass(frozen=True)
class Quiz:
    """Questions that the base answers right, and what each state that was asked answers.

    Attributes:
        questions: about the concept, then about its neighbours.
        marks: by state, one for each question; only of states as they are now.
    """

    questions: tuple[Question, ...]
    marks: Mapping[str, tuple[Mark, ...]]

    def of(self, about: About) -> list[int]:
        """The places of the questions about that."""
        return [place for place, question in enumerate(self.questions) if question.about == about]

    def right(self, state: str, about: About) -> int:
        """How many of these questions that state answers right."""
        return sum(self.marks[state][place].right for place in self.of(about))


def has_questions(run: Run) -> bool:
    """Whether the settings name questions to choose from."""
    return run.config.proof.questions is not None


def quiz_of(run: Run) -> Quiz | None:
    """The quiz as far as it was asked; None before, or where model, concept or questions are others by now."""
    if not has_questions(run):
        return None
    note = run.note(NOTE)
    if note is None or note["of"] != _identity(RunContext(run)):
        return None
    questions = tuple(Question(**{**row, "answers": tuple(row["answers"])}) for row in note["questions"])
    current = {
        state: tuple(Mark(**row) for row in kept["marks"])
        for state, kept in note["states"].items()
        if kept["of"] == _made(run, state) and len(kept["marks"]) == len(questions)
    }
    return Quiz(questions, current)


def ask_state(
    run: Run,
    state: str,
    loaded: "LoadedModel",
    base: "LoadedModel",
    *,
    recipe: "Recipe | None" = None,
    progress: ProgressCallback = silent,
) -> Quiz:
    """Ask that state the quiz, which is chosen first where the run has none yet, and keep the answers.

    Args:
        loaded: the model in that state.
        recipe: the edits under which `loaded` is that state.

    Raises:
        InputError: the settings' file of questions cannot be read, or a question cannot be put.
        WorkFailed: the model's output is not a number.
        Stopped: `progress` raised it.
    """
    context, known = RunContext(run), quiz_of(run)
    questions = known.questions if known is not None else _chosen(context, base, progress)
    marks = ask(loaded, questions, base, context.config.proof, recipe=recipe, progress=progress)
    # What another window asked meanwhile stays.
    states = {} if known is None else (run.note(NOTE) or {}).get("states", {})
    entry = {"of": _made(run, state), "marks": [asdict(mark) for mark in marks]}
    kept: dict[str, Any] = {
        "of": _identity(context),
        "questions": [asdict(question) for question in questions],
        "states": states | {state: entry},
    }
    run.write_note(NOTE, kept)
    found = quiz_of(run)
    assert found is not None
    return found


def write_quiz(context: RunContext) -> Path | None:
    """The file of the quiz's questions, for a process that asks them; chosen on the base where they were not yet.

    None where the settings name no questions, or the base answers none of them. Raises as `ask_state`.
    """
    if not has_questions(context.run):
        return None
    known = quiz_of(context.run)
    if known is None:
        base = context.model("base")
        known = ask_state(context.run, "base", base, base, progress=context.progress)
    if not known.questions:
        return None
    path = context.run.work_folder(NOTE) / "questions.jsonl"
    write_question_set(path, known.questions)
    return path.resolve()


def answered_of_all(run: Run, state: str) -> tuple[int, int] | None:
    """Of all questions about the concept that the base answers right and does not guess: how many that state still
    answers right, and how many these are; None while the path has not asked both."""
    from unlearning_core.evaluation.answers import still_right

    frames = [run.proof_frames("questions", one) for one in ("base", state)]
    if any(found is None or "answers" not in found for found in frames):
        return None
    base, after = frames
    assert base is not None
    assert after is not None
    pairs = still_right(base, after)
    return int(pairs["right"].sum()), len(pairs)


def _chosen(context: RunContext, base: "LoadedModel", progress: ProgressCallback) -> tuple[Question, ...]:
    proof = context.config.proof
    questions = read_question_set(Path(context.source(str(proof.questions))))
    return tuple(choose_questions(base, questions, context.matcher, proof, progress))


def _identity(context: RunContext) -> str:
    """What the choice of the questions depends on."""
    config = context.config
    return digest(
        {
            "model": config.base_model.model_dump(),
            "never_knew": config.never_knew.model,
            "questions": context.text_fingerprint(config.proof.questions),
            "concept": [list(context.concept.words), context.concept.inflections, context.concept.language],
            "put": [config.proof.chat, config.proof.answer_tokens, ASKED],
        }
    )


def _made(run: Run, state: str) -> str | None:
    """Which result of the run that state is; None for the base."""
    method = method_of_state(state)
    return None if method is None else run.fingerprint(method.name)
