"""The verdict on every state of a model: one large line, and a column a state with its four questions."""

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from pages.components.marked_text import escaped, unbroken
from pages.components.states import columns, heading
from unlearning_core.evaluation.verdict import SUBJECTS
from unlearning_core.methods.registry import NEVER_KNEW

_LOOKS = {
    "forgotten": ("green", "check_circle"), "unproven": ("blue", "help"), "costly": ("orange", "payments"),
    "suppressed": ("orange", "visibility_off"), "dimmed": ("orange", "brightness_medium"),
    "not forgotten": ("red", "cancel"), "harmful": ("red", "dangerous"),
}  # fmt: skip
"""Colour and icon of each verdict."""

MARKS = {
    True: ":green[:material/check_circle:]", False: ":red[:material/cancel:]", None: ":gray[:material/help:]",
}  # fmt: skip

Check = Mapping[str, Any]
"""A measurement held against what is asked, as `verdict.json` has it."""


def big_line(verdict: Mapping[str, Any]) -> None:
    """The verdict on the last state, large, and the sentence that says why."""
    st.header(in_colour(verdict["verdict"]), anchor=False)
    st.markdown(escaped(unbroken(verdict["sentence"])))
    if verdict["quick"]:
        st.caption("From a quick look, with about a quarter of the work: the intervals are wide.")


def in_colour(verdict: str) -> str:
    """A verdict with its icon, in its colour."""
    colour, icon = _LOOKS.get(verdict, ("gray", "help"))
    return f":{colour}[:material/{icon}: {escaped(verdict.capitalize())}]"


def by_state(verdict: Mapping[str, Any]) -> None:
    """A column for each model that was made, with the four questions."""
    states: Mapping[str, Mapping[str, Any]] = verdict["states"]
    made = [state for state in states if state != NEVER_KNEW] or list(states)
    if not made:
        return
    with st.container(border=True):
        for state, column in columns(made).items():
            with column:
                st.markdown(f"{heading(state)} {in_colour(states[state]['verdict'])}")
                for subject, title in SUBJECTS.items():
                    _subject(title, [check for check in states[state]["checks"] if check["subject"] == subject])
                with st.expander(f"All {len(states[state]['checks'])} measurements"):
                    _all(states[state]["checks"])


def of_never_knew(verdict: Mapping[str, Any] | None) -> None:
    """The measurements of the model that never knew, folded; nothing where there is none."""
    judged = verdict["states"].get(NEVER_KNEW) if verdict is not None else None
    if judged is not None:
        with st.expander("The model that never knew, measured alike"):
            st.markdown(f"{heading(NEVER_KNEW)} {in_colour(judged['verdict'])}")
            _all(judged["checks"])


def _subject(title: str, checks: Sequence[Check]) -> None:
    """One of the four questions: whether it passes, and what decides it."""
    said = deciding(checks) or "There is nothing here to measure it by."
    st.markdown(f"{MARKS[passed(checks)]} **{title}**  \n:small[{escaped(unbroken(said))}]")


def _all(checks: Sequence[Check]) -> None:
    """Every measurement, under the question that it answers."""
    for subject, title in SUBJECTS.items():
        lines = "\n".join(f"- {_line(check)}{_example(check)}" for check in checks if check["subject"] == subject)
        if lines:
            st.markdown(f"**{title}**\n{lines}")


def _example(check: Check) -> str:
    """Of what fails, how."""
    return f" Such as: {escaped(check['example'])}" if check["example"] and check["passed"] is False else ""


def _line(check: Check) -> str:
    mark = MARKS[check["passed"] if check.get("judges", True) else None]
    return f"{mark} {escaped(unbroken(check['sentence']))}"


def passed(checks: Sequence[Check]) -> bool | None:
    """Whether all of those that count pass; None where none fails but one is not measured, or there are none."""
    counted = [check for check in checks if check.get("judges", True)]
    if any(check["passed"] is False for check in counted):
        return False
    return True if counted and all(check["passed"] for check in counted) else None


def failing(checks: Sequence[Check]) -> list[Check]:
    """Those that count and fail."""
    return [check for check in checks if check.get("judges", True) and check["passed"] is False]


def deciding(checks: Sequence[Check]) -> str:
    """The first that fails, in its sentence, and how many more do; where none does the first that was measured."""
    failed = failing(checks)
    measured = [check for check in checks if check["passed"] is not None]
    said = next((str(check["sentence"]) for check in [*failed, *measured, *checks]), "")
    others = len(failed) - 1
    return f"{said} {others} more {'fails' if others == 1 else 'fail'}." if others > 0 else said
