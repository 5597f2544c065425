"""Summary, the last page of the guided demo: what is left, what that cost, and the attack to bring it back."""

import math

import pandas as pd
import streamlit as st

from pages.components.current_run import by_results
from pages.components.demo.quiz_card import asked_quiz, subject_titles
from pages.components.frame import show
from pages.components.marked_text import escaped
from pages.components.navigation import COMPARE, PROOF, is_done, run_beyond
from pages.components.progress import show_errors
from pages.components.proof.verdict_view import in_colour
from unlearning_core.evaluation.parts import PARTS
from unlearning_core.figures.relearning import relearning_race
from unlearning_core.methods.registry import NEVER_KNEW, state_title, states_of
from unlearning_core.reports.findings import losses_sentence
from unlearning_core.runs import background, proof
from unlearning_core.runs.proof_evidence import RACE, RaceOutcome, race_outcome, races
from unlearning_core.runs.quiz import Quiz, answered_of_all, has_questions, quiz_of
from unlearning_core.runs.run import Run


def main() -> None:
    """Draw the page."""
    st.title("Summary")
    run = run_beyond(COMPARE)
    if run is None:
        return
    if has_questions(run):
        with show_errors():
            what_is_left(run)
    with show_errors():
        what_it_cost(run)
    with show_errors():
        race(run)
    with show_errors():
        what_is_not_shown(run)


def what_is_left(run: Run) -> None:
    """The quiz of every state in a table, and the whole set of questions that its ten stand for."""
    states = run.states()
    if run.config.never_knew.model is not None:
        states.append(NEVER_KNEW)
    # While a process works on the run no model is loaded beside it: what was asked before is shown.
    busy = background.is_running(run) or proof.is_running(run)
    quiz: Quiz | None = None
    for state in states:
        quiz = quiz_of(run) if busy else asked_quiz(run, state)
        if quiz is None or state not in quiz.marks:
            return
    assert quiz is not None
    titles, last = subject_titles(run), states_of(run.config)[-1]
    st.subheader("What is left")
    st.dataframe(_scores(run, quiz, states), hide_index=True, height="content")
    lines = []
    left = [place for place in quiz.of("concept") if quiz.marks[last][place].right]
    if left:
        asked = "; ".join(
            f"*{escaped(quiz.questions[place].prompt)}* **{escaped(quiz.marks[last][place].answer)}**" for place in left
        )
        lines.append(f"Of the ten about {escaped(titles['concept'])} it still answers: {asked}")
    found = answered_of_all(run, last)
    if found is not None:
        right, most = found
        lines.append(
            f"The ten stand for a set of {most} questions that the whole model answers: of all of them it still "
            f"answers {right} ({100 * (right / most):.0f} %)."
        )
    st.markdown("\n".join(f"- {line}" for line in lines))


def _scores(run: Run, quiz: Quiz, states: list[str]) -> pd.DataFrame:
    rows = []
    for about, title in subject_titles(run).items():
        if places := quiz.of(about):
            scores = {state_title(state): f"{quiz.right(state, about)} of {len(places)}" for state in states}
            rows.append({"Questions about": title, **scores})
    return pd.DataFrame(rows)


def what_it_cost(run: Run) -> None:
    """What the losses say of concept and price, in a sentence."""
    metrics = run.metrics()
    if metrics is None:
        return
    st.subheader("What it cost")
    st.markdown(escaped(losses_sentence(metrics)))
    values = metrics.get(states_of(run.config)[-1], {})
    kept = {"neighbour": "about neighbours", "other": "about other things"}
    told = [
        f"{100 * share:.0f} % of the questions {where}"
        for about, where in kept.items()
        if (share := values.get(f"{about}_questions_answered")) is not None
    ]
    if told:
        st.markdown(f"Of what the whole model answers it still answers {' and '.join(told)}.")


def race(run: Run) -> None:
    """The attack: how fast the concept is learnt again, beside a model that never knew it."""
    last = states_of(run.config)[-1]
    found = race_outcome(run, last)
    if found is None:
        return
    st.subheader("The attack: teach it again", anchor="race")
    st.markdown(_race_sentence(found))
    drawn = {state: curve for state, curve in _races(run).items() if state in (last, NEVER_KNEW)}
    st.plotly_chart(
        relearning_race(drawn, found.rate), key="demo race",
        alt="Loss on the concept's words by training step, of the edited model and of one that never knew",
    )  # fmt: skip
    which = "low " if found.fastest is not None and found.fastest[0] != found.rate else ""
    st.caption(
        f"The lower a line falls, the more of the concept is there. Of the {which}learning rates that were tried this "
        f"is the one at which the edited model does worst ({found.rate:g})."
    )


@st.cache_data(show_spinner=False, max_entries=8, hash_funcs=by_results("relearn retrained", "relearn never_knew"))
def _races(run: Run) -> dict[str, pd.DataFrame]:
    return races(run, PARTS[RACE])


def _race_sentence(found: RaceOutcome) -> str:
    def steps(number: float) -> str:
        return f"more than {found.longest}" if math.isinf(number) else f"{number:.0f}"

    failed = "The attack failed" if found.never_knew is not None else "The attack failed where the model learns slowly"
    word = f":green[**{failed}**]" if found.held else ":red[**The attack gets further than it should**]"
    if found.never_knew is None or found.share is None:
        said = (
            f"{word}: at a learning rate of {found.rate:g} half of the concept is back after {steps(found.steps)} "
            f"training steps; at least {found.asked:.0f} are asked."
        )
        if found.fastest is not None and found.fastest[0] != found.rate:
            rate, back = found.fastest
            said += (
                f" At {rate:g} it is back after {steps(back)}: so fast a training teaches nearly any model, and "
                "without one that never knew nothing tells whether that would take longer."
            )
        return said
    return (
        f"{word}: half of the concept is back after {steps(found.steps)} training steps; a model that never knew it "
        f"needs {steps(found.never_knew)} to learn as much. That is {100 * found.share:.0f} % of its steps; at least "
        f"{100 * found.asked:.0f} % is asked."
    )


def what_is_not_shown(run: Run) -> None:
    """That ten questions and one attack are no proof, and where the rest is."""
    st.subheader("Is it forgotten?")
    verdict = run.verdict() if is_done(run, PROOF) else None
    if verdict is not None:
        st.markdown(f"**{in_colour(verdict['verdict'])}**: {escaped(verdict['sentence'])}")
    else:
        st.markdown(
            "Ten questions and one attack are a demonstration, not a proof. The page Proof asks in more ways, tries "
            "the other attacks, and gives a verdict."
        )
    st.page_link(PROOF.file, label="Go to Proof", icon=PROOF.icon)


show(main)
