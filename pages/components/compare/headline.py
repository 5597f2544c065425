"""What Compare says first: the verdict of the evaluation where there is one, else what the losses alone say."""

from collections.abc import Mapping

import pandas as pd
import streamlit as st

from pages.components.marked_text import escaped, unbroken
from pages.components.navigation import PROOF, is_done
from pages.components.proof.verdict_view import in_colour
from unlearning_core.evaluation.registry import METRICS, Values, formatted
from unlearning_core.evaluation.verdict import in_words
from unlearning_core.methods.registry import NEVER_KNEW, state_title, states_of
from unlearning_core.runs.run import Run

SHOWN = ("gap_closed", "questions_answered", "statement_nll")
"""Metrics that stand below the verdict."""


def show_verdict(run: Run, metrics: Values, by_losses: str) -> None:
    """The verdict with the numbers that it stands and falls with, or `by_losses` and the way to a verdict.

    Args:
        metrics: those of the path, shown where there is no verdict.
    """
    verdict = run.verdict() if is_done(run, PROOF) else None
    if verdict is None:
        st.markdown(f"**{escaped(by_losses)}**")
        _numbers(run, metrics)
        st.page_link(PROOF.file, label="Losses are no verdict: try to break it", icon=PROOF.icon)
        return
    st.markdown(f"**{in_colour(verdict['verdict'])}.** {escaped(unbroken(verdict['sentence']))}")
    _numbers(run, run.proof_metrics() or {})
    st.page_link(PROOF.file, label="What the verdict rests on", icon=PROOF.icon)


def _numbers(run: Run, metrics: Values) -> None:
    """A row a metric and a column a state; nothing where none of it is measured."""
    states = [state for state in [*states_of(run.config), NEVER_KNEW] if state in metrics]
    names = [name for name in SHOWN if any(metrics[state].get(name) is not None for state in states)]
    if names:
        cells = {state_title(state): [_cell(metrics[state], name) for name in names] for state in states}
        st.table(pd.DataFrame(cells, index=[METRICS[name].title for name in names]))


def _cell(values: Mapping[str, float | None], name: str) -> str:
    value, unit = values.get(name), METRICS[name].unit
    if value is None:
        return ""
    return in_words(value, unit) if unit == "share" else formatted(values, name)
