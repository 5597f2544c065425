"""What Compare says first: for every model that was made, in a column, the four lines of the verdict."""

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from pages.components.marked_text import escaped, unbroken
from pages.components.navigation import PROOF, is_done
from pages.components.proof.verdict_view import MARKS, deciding, failing, in_colour, passed
from pages.components.states import columns, heading
from unlearning_core.evaluation.registry import Values
from unlearning_core.reports.findings import asked_subjects, findings, losses_sentence
from unlearning_core.runs.run import Run

NOT_TRIED = "Not tried yet: Proof tries to bring it back."
"""Stands for the last line of a state that was neither trained on nor evaluated."""


def show_verdict(run: Run, metrics: Values) -> None:
    """A column a state: what is gone, what it cost, whether it came back, held against what is asked once evaluated."""
    verdict = run.verdict() if is_done(run, PROOF) else None
    answers = findings(metrics)
    if verdict is None:
        st.markdown(f"**{escaped(unbroken(losses_sentence(metrics)))}**")
    judged: Mapping[str, Any] = verdict["states"] if verdict else {}
    subjects = asked_subjects(answers, judged=verdict is not None)
    for state, column in columns(list(answers)).items() if answers else ():
        with column:
            of_state = judged.get(state)
            st.markdown(heading(state) + (f" {in_colour(of_state['verdict'])}" if of_state else ""))
            for subject, title in subjects.items():
                checks = [check for check in (of_state or {}).get("checks", ()) if check["subject"] == subject]
                _line(title, answers[state].get(subject, ""), checks if of_state else None)
    label = "Losses are not a verdict: try to break it" if verdict is None else "What the verdict rests on"
    st.page_link(PROOF.file, label=label, icon=PROOF.icon)


def _line(title: str, finding: str, checks: Sequence[Mapping[str, Any]] | None) -> None:
    """One line; `checks` are None where nothing was evaluated."""
    if checks is None:
        st.markdown(f"**{title}** {escaped(unbroken(finding or NOT_TRIED))}")
        return
    said = deciding(checks) if failing(checks) or not finding else ""
    st.markdown(f"{MARKS[passed(checks)]} **{title}** {escaped(unbroken(finding))}")
    if said:
        st.caption(escaped(unbroken(said)))
