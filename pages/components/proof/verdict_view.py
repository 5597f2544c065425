"""The verdict on every state of a model: one large line, and a column a state with a line for each question."""

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from pages.components.marked_text import escaped
from pages.components.states import columns, heading
from unlearning_core.evaluation.verdict import SUBJECTS
from unlearning_core.methods.registry import state_title

_LOOKS = {
    "forgotten": ("green", "check_circle"), "unproven": ("blue", "help"), "costly": ("orange", "payments"),
    "suppressed": ("orange", "visibility_off"), "dimmed": ("orange", "brightness_medium"),
    "not forgotten": ("red", "cancel"), "harmful": ("red", "dangerous"),
}  # fmt: skip
"""Colour and icon of each verdict."""

_MARKS = {
    True: ":green[:material/check_circle:]", False: ":red[:material/cancel:]", None: ":gray[:material/help:]",
}  # fmt: skip


def big_line(verdict: Mapping[str, Any]) -> None:
    """The verdict on the last state, large, and the sentence that says why."""
    st.header(in_colour(verdict["verdict"]), anchor=False)
    st.markdown(escaped(verdict["sentence"]))
    if verdict["quick"]:
        st.caption("From a quick look, with about a quarter of the work: the intervals are wide.")


def in_colour(verdict: str) -> str:
    """A verdict with its icon, in its colour."""
    colour, icon = _LOOKS.get(verdict, ("gray", "help"))
    return f":{colour}[:material/{icon}: {escaped(verdict.capitalize())}]"


def by_state(verdict: Mapping[str, Any]) -> None:
    """A column for each state that was judged: the four questions, the measurement that decides, and all others."""
    for state, column in columns(list(verdict["states"])).items():
        with column:
            _one_state(state, verdict["states"][state])


def _one_state(state: str, judged: Mapping[str, Any]) -> None:
    st.markdown(f"{heading(state)}: {in_colour(judged['verdict'])}")
    for subject, title in SUBJECTS.items():
        checks = [check for check in judged["checks"] if check["subject"] == subject]
        with st.container(border=True):
            _one_question(title, checks)


def _one_question(title: str, checks: Sequence[Mapping[str, Any]]) -> None:
    st.markdown(f"{_MARKS[passed(checks)]} **{title}**")
    if not checks:
        st.caption("There is nothing here to measure it by.")
        return
    deciding = _deciding(checks)
    st.markdown(escaped(deciding["sentence"]))
    if deciding["example"]:
        st.caption(f"Such as: {escaped(deciding['example'])}")
    rest = [check for check in checks if check is not deciding]
    if rest:
        failed = sum(check["passed"] is False for check in rest)
        label = f"{len(rest)} more" + (f", {failed} of them fail" if failed else "")
        with st.expander(label):
            st.markdown("\n".join(f"- {_MARKS[check['passed']]} {escaped(check['sentence'])}" for check in rest))


def passed(checks: Sequence[Mapping[str, Any]]) -> bool | None:
    """Whether all of them pass; None where none fails but one is not measured, or there are none."""
    if any(check["passed"] is False for check in checks):
        return False
    return True if checks and all(check["passed"] for check in checks) else None


def _deciding(checks: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The first that fails, else the first that was measured, else the first."""
    order = (False, True, None)
    return min(checks, key=lambda check: order.index(check["passed"]))


def short_line(verdict: Mapping[str, Any]) -> str:
    """Verdict and state in a few words, for a list."""
    return f"{verdict['verdict']} ({state_title(verdict['state']).lower()})" if verdict["state"] else "not judged"
