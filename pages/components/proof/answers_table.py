"""Every question that was asked, with the base's answer and each state's."""

import pandas as pd
import streamlit as st

from pages.components.navigation import as_it_is
from pages.components.rows import metric_row
from unlearning_core.methods.registry import state_title
from unlearning_core.runs.proof_evidence import answered_states, answers, of_questions
from unlearning_core.runs.run import Run

FORMS = {
    "direct": "asked directly", "paraphrased": "in other words", "reversed": "from its description",
    "multi_hop": "in two steps", "alias": "by another name", "in_context": "with the word given",
    "fill_in": "to fill in",
}  # fmt: skip
"""How each form of a question is called."""

ABOUT = {"concept": "the concept", "neighbour": "neighbours", "other": "other things"}


def has_answers(run: Run) -> bool:
    """Whether the base and another state were asked."""
    states = answered_states(run)
    return len(states) > 1 and "base" in states


def show_answers(run: Run) -> None:
    """The counts, and the table with its filters."""
    states = answered_states(run)
    table = _table(run, tuple(states))
    known = of_questions(table, "base")[1]
    st.caption(f"Of the {known} questions about the concept that the base answers right, so many are still answered:")
    metric_row(*((state_title(state), "{} of {}".format(*of_questions(table, state))) for state in states[1:]))
    shown = _filtered(table, states)
    columns = {"prompt": "Question", "expected": "Right answer"} | {state: state_title(state) for state in states}
    marked = shown.assign(**{state: _marked(shown, state) for state in states})
    st.dataframe(marked[list(columns)].rename(columns=columns), hide_index=True, height=280)
    st.caption("✓: a right answer is in it word for word. Answers are cut after their first sentence.")


@st.cache_data(show_spinner="Reading the answers", max_entries=8, hash_funcs={Run: as_it_is})
def _table(run: Run, states: tuple[str, ...]) -> pd.DataFrame:
    return answers(run, states)


def _marked(table: pd.DataFrame, state: str) -> list[str]:
    pairs = zip(table[state], table[f"{state} right"], strict=True)
    return [f"{'✓' if right else '✗'} {answer}" for answer, right in pairs]


def _filtered(table: pd.DataFrame, states: list[str]) -> pd.DataFrame:
    one, two, three = st.columns(3)
    abouts = [about for about in ABOUT if (table["about"] == about).any()]
    about = one.selectbox("About", abouts, format_func=ABOUT.__getitem__, key="questions about")
    of_kind = table[table["about"] == about]
    forms = [None, *dict.fromkeys(of_kind["form"])]
    form = two.selectbox(
        "Form", forms, format_func=lambda name: "all" if name is None else FORMS.get(name, name.replace("_", " ")),
        key="questions form",
    )  # fmt: skip
    edited = [state for state in states[1:] if state != "never_knew"]
    kinds = {"all": None} | {f"still answered by {state_title(state).lower()}": state for state in edited}
    kind = three.selectbox("Show", list(kinds), len(edited), key="questions shown")
    if form is not None:
        of_kind = of_kind[of_kind["form"] == form]
    state = kinds[kind or "all"]
    return of_kind if state is None else of_kind[of_kind["base right"] & of_kind[f"{state} right"]]
