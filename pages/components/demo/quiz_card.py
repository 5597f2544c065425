"""The quiz on a page: how many of ten each state answers, and what it answers, beside things that must stay."""

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from pages.components.marked_text import NOTHING, escaped
from pages.components.model_cache import base_model, state_model
from pages.components.progress import run_with_progress
from pages.components.states import heading
from unlearning_core.evaluation.question_sets import About
from unlearning_core.methods.registry import state_title
from unlearning_core.progress import ProgressCallback
from unlearning_core.runs.quiz import Quiz, ask_state, quiz_of
from unlearning_core.runs.run import Run

_TICK, _CROSS = ":green[:material/check:]", ":red[:material/close:]"

RULE = (
    "The questions are chosen by a rule: going through the model's question set form by form and thing by thing, the "
    "first ten that the whole model answers right without guessing. No other model has a say in it."
)
"""How the questions came here, for the help beside the card."""


def ask_now(run: Run, state: str, bar: ProgressCallback) -> None:
    """Ask that state the quiz; raises what `ask_state` and loading a model do."""
    with base_model(run, bar) as base, state_model(run, state, bar) as (loaded, recipe):
        ask_state(run, state, loaded, base, recipe=recipe, progress=bar)


def asked_quiz(run: Run, state: str) -> Quiz | None:
    """The quiz with that state's answers, asked under a bar where it was not yet; None when that went wrong."""
    known = quiz_of(run)
    if known is not None and state in known.marks:
        return known
    place = st.empty()
    with place:
        title = f"Asking the quiz: {state_title(state)}"
        done = run_with_progress(title, lambda bar: ask_now(run, state, bar), only_one=f"{run.id} quiz")
    if not done:
        return None
    place.empty()
    return quiz_of(run)


def subject_titles(run: Run) -> dict[About, str]:
    """What the two halves of the quiz are about."""
    return {"concept": run.config.neural_probing.activations_label or "the concept", "neighbour": "neighbours"}


def score_line(quiz: Quiz, about: About) -> str:
    """How many of its questions each state that was asked answers right, in markdown, in the order of asking."""
    most = len(quiz.of(about))
    return " → ".join(f"{heading(state)} **{quiz.right(state, about)} of {most}**" for state in quiz.marks)


def show_quiz(run: Run, quiz: Quiz, state: str) -> None:
    """Both halves side by side, with what that state answers; the scores of the states before it above."""
    titles = subject_titles(run)
    shown: dict[About, DeltaGenerator] = dict(zip(titles, st.columns(2, gap="medium"), strict=True))
    for about, column in shown.items():
        places = quiz.of(about)
        if not places:
            continue
        with column:
            st.metric(
                f"It knows about {titles[about]}", f"{quiz.right(state, about)} of {len(places)}",
                help=RULE if about == "concept" else None,
            )  # fmt: skip
            st.markdown(score_line(quiz, about))
            with st.expander("Questions and answers", expanded=len(quiz.marks) == 1 or about == "concept"):
                st.markdown("  \n".join(_line(quiz, state, place) for place in places))


def _line(quiz: Quiz, state: str, place: int) -> str:
    mark = quiz.marks[state][place]
    return answer_line(quiz.questions[place].prompt, mark.answer, right=mark.right)


def answer_line(prompt: str, answer: str, *, right: bool) -> str:
    """A question with its answer and a tick or a cross, in markdown."""
    asked = prompt.removeprefix("Q: ").removesuffix(" A:")
    return f"{_TICK if right else _CROSS} {escaped(asked)} **{escaped(answer) or NOTHING}**"
