"""What Compare says first: the verdict of the evaluation where there is one, else what the losses alone say."""

import streamlit as st

from pages.components.marked_text import escaped
from pages.components.navigation import PROOF, is_done
from pages.components.proof.verdict_view import in_colour
from pages.components.rows import metric_row
from unlearning_core.evaluation.registry import METRICS, formatted
from unlearning_core.methods.registry import NEVER_KNEW, states_of
from unlearning_core.runs.run import Run

SHOWN = ("gap_closed", "questions_answered")
"""Metrics that stand beside the verdict."""


def show_verdict(run: Run, by_losses: str) -> None:
    """The verdict with its two numbers, or `by_losses` and the way to a verdict."""
    verdict = run.verdict() if is_done(run, PROOF) else None
    if verdict is None:
        st.markdown(f"**{escaped(by_losses)}**")
        st.page_link(PROOF.file, label="Losses are no verdict: try to break it", icon=PROOF.icon)
        return
    st.markdown(f"{in_colour(verdict['verdict'])}. {escaped(verdict['sentence'])}")
    metrics = run.proof_metrics() or {}
    names = {state: state.replace("_", " ") for state in [*states_of(run.config)[1:], NEVER_KNEW] if state in metrics}
    metric_row(
        *(
            (f"{METRICS[name].column}, {title}", formatted(metrics[state], name), METRICS[name].meaning)
            for state, title in names.items()
            for name in SHOWN
            if metrics[state].get(name) is not None
        )
    )
    st.page_link(PROOF.file, label="What the verdict rests on", icon=PROOF.icon)
