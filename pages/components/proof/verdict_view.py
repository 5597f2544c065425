"""The verdict on every state of a model: one large line, and for each of the four questions a box a state."""

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from pages.components.marked_text import escaped, unbroken
from pages.components.states import columns, heading
from unlearning_core.evaluation.verdict import SUBJECTS

_LOOKS = {
    "forgotten": ("green", "check_circle"), "unproven": ("blue", "help"), "costly": ("orange", "payments"),
    "suppressed": ("orange", "visibility_off"), "dimmed": ("orange", "brightness_medium"),
    "not forgotten": ("red", "cancel"), "harmful": ("red", "dangerous"),
}  # fmt: skip
"""Colour and icon of each verdict."""

MARKS = {
    True: ":green[:material/check_circle:]", False: ":red[:material/cancel:]", None: ":gray[:material/help:]",
}  # fmt: skip

MOST = 3
"""Measurements that fail which are shown at once; the rest can be opened."""

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
    """For each of the four questions a row with a box for each state: what fails, or what was measured."""
    states = list(verdict["states"])
    if not states:
        return
    for state, column in columns(states).items():
        column.markdown(f"{heading(state)}  \n{in_colour(verdict['states'][state]['verdict'])}")
    for subject, title in SUBJECTS.items():
        st.markdown(f"**{title}**")
        for state, column in columns(states).items():
            checks = [check for check in verdict["states"][state]["checks"] if check["subject"] == subject]
            with column.container(border=True, height="stretch"):
                _one_box(state, checks)


def _one_box(state: str, checks: Sequence[Check]) -> None:
    st.markdown(f"{MARKS[passed(checks)]} {heading(state)}")
    if not checks:
        st.caption("There is nothing here to measure it by.")
        return
    first = deciding(checks)
    for check in first:
        st.markdown(_line(check))
        if check["example"]:
            st.caption(f"Such as: {escaped(check['example'])}")
    rest = [check for check in checks if check not in first]
    if rest:
        with st.expander(f"{len(rest)} more"):
            st.markdown("\n".join(f"- {_line(check)}" for check in rest))


def _line(check: Check) -> str:
    mark = MARKS[check["passed"] if check.get("judges", True) else None]
    return f"{mark} {escaped(unbroken(check['sentence']))}"


def passed(checks: Sequence[Check]) -> bool | None:
    """Whether all of those that count pass; None where none fails but one is not measured, or there are none."""
    counted = [check for check in checks if check.get("judges", True)]
    if any(check["passed"] is False for check in counted):
        return False
    return True if counted and all(check["passed"] for check in counted) else None


def deciding(checks: Sequence[Check]) -> list[Check]:
    """Those that fail, at most `MOST`; where none does the first that was measured, else the first."""
    failed = [check for check in checks if check.get("judges", True) and check["passed"] is False]
    measured = [check for check in checks if check["passed"] is not None]
    return failed[:MOST] or measured[:1] or list(checks[:1])
