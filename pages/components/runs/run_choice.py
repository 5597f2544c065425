"""The table of all runs, a few columns at a time so that each fits, and which one or two of them are chosen."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st

from pages.components.current_run import current_run
from pages.components.run_summary import described
from unlearning_core.evaluation.registry import METRICS
from unlearning_core.methods.registry import state_title
from unlearning_core.reports.run_table import COLUMNS, of_state, run_table, states_in
from unlearning_core.runs.run import Run

CHOSEN, FOLLOWED, MARKS, VERSION = "chosen runs", "run that the choice follows", "marked runs", "version of the marks"

OUTCOME, PROOF, SETTINGS, PROGRESS = "Outcome", "Proof", "Settings", "Progress"
_VIEWS = {
    OUTCOME: ("made", "verdict", "table"),
    PROOF: ("made", "verdict", "proof"),
    SETTINGS: ("model", "concept", "ranker", "site", "ratio", "cut"),
    PROGRESS: ("made", "state", "reached", "run"),
}
"""Columns after the run's name; "table" and "proof" stand for the metrics that the registry has for that place."""

_LAST = "the last one of each run"


def choose(runs: Sequence[Run]) -> list[Run]:
    """The table, and the one or two runs that are marked in it or named below it."""
    known = {run.id: run for run in runs}
    follow(known)
    show_table(run_table(runs), list(known))
    names = st.multiselect(
        "One or two runs", list(known), key=CHOSEN, max_selections=2,
        # The end of its id tells apart two that were made in the same minute.
        format_func=lambda name: f"{described(known[name])} ({name[-6:]})",
        placeholder="Mark rows above, or choose here",
    )  # fmt: skip
    return [known[name] for name in names]


def follow(known: dict[str, Run]) -> None:
    """Whenever another run is opened it is the one that is chosen; a run that is gone is chosen no more."""
    opened = current_run()
    now = opened.id if opened is not None else None
    if CHOSEN not in st.session_state or st.session_state.get(FOLLOWED) != now:
        st.session_state[CHOSEN] = [now] if now is not None else []
    st.session_state[FOLLOWED] = now
    st.session_state[CHOSEN] = [name for name in st.session_state[CHOSEN] if name in known]


def show_table(table: pd.DataFrame, names: Sequence[str]) -> None:
    """The columns of one view; what is marked in it is what is chosen."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        view = st.segmented_control("Columns", list(_VIEWS), default=OUTCOME, required=True, key="columns of runs")
        states = states_in(table)
        state = None
        if view in (OUTCOME, PROOF) and len(states) > 1:
            state = st.selectbox(
                "Numbers for which state", [None, *states], key="state of runs", width=220,
                format_func=lambda one: _LAST if one is None else state_title(one).lower(),
            )  # fmt: skip
    shown = of_state(table, state)
    columns = _columns(shown, str(view))
    key = _table_key(names)
    st.dataframe(
        shown[list(columns)], key=key, hide_index=True, column_config=columns, selection_mode="multi-row",
        selection_default={"selection": {"rows": [names.index(name) for name in st.session_state[CHOSEN]]}},
        on_select=lambda: _choose_marked(key, names), height="content" if len(table) < 12 else 440, placeholder="–",
    )  # fmt: skip


def _table_key(names: Sequence[str]) -> str:
    """The table's; another one, whose marks are then drawn from the choice, when the choice or the rows are others."""
    marks = (st.session_state[CHOSEN], list(names))
    if st.session_state.get(MARKS) != marks:
        st.session_state[MARKS] = marks
        st.session_state[VERSION] = st.session_state.get(VERSION, 0) + 1
    return f"table of runs {st.session_state[VERSION]}"


def _choose_marked(key: str, names: Sequence[str]) -> None:
    """What was marked in the table is what is chosen: of more than two the two that were marked last."""
    marked = [names[row] for row in st.session_state[key]["selection"]["rows"] if row < len(names)]
    before = [name for name in st.session_state[CHOSEN] if name in marked]
    chosen = [*before, *(name for name in marked if name not in before)][-2:]
    st.session_state[CHOSEN] = chosen
    if len(marked) < 3:  # otherwise the table has to be drawn anew with two marks
        st.session_state[MARKS] = (chosen, list(names))


def _columns(table: pd.DataFrame, view: str) -> dict[str, Any]:
    """What Streamlit is told of each column of the view, the run's name first."""
    known = _settings_columns()
    found: dict[str, Any] = {"name": known["name"]}
    for name in _VIEWS[view]:
        if name in COLUMNS:
            found[name] = known[name]
        else:
            found |= {
                metric: _metric_column(metric) for metric in table if metric in METRICS and _belongs(metric, name)
            }
    return found


def _belongs(metric: str, place: str) -> bool:
    """Whether a metric stands in the view of that place; each stands in one."""
    places = METRICS[metric].shown_in
    return "table" in places if place == "table" else "table" not in places


def _metric_column(name: str) -> Any:
    metric = METRICS[name]
    return st.column_config.NumberColumn(
        metric.column or metric.title, help=f"{metric.full_title}. {metric.meaning}", width=84,
        format="percent" if metric.unit == "share" else "%+.3f" if metric.change_of else "%.3g",
    )  # fmt: skip


def _settings_columns() -> dict[str, Any]:
    text, number = st.column_config.TextColumn, st.column_config.NumberColumn
    return {
        "name": text("Run", width=166, pinned=True, help="The name you gave it, or else its model and concept."),
        "run": text("Id", width=282, help="The name of its folder; it never changes."),
        "made": st.column_config.DatetimeColumn("Made", format="YYYY-MM-DD HH:mm", width=126),
        "verdict": text(
            "Verdict", width=126, help="On the last state of its model, from the page Proof. Empty: not checked yet."
        ),
        "model": text("Model", width=120),
        "concept": text("Concept", width=90),
        "ranker": text("Method", width=140),
        "site": text("Site", width=70),
        "ratio": number("Share cut", format="percent", width=80, help="Of the neurons ranked."),
        "cut": number("Cut", format="localized", width=70, help="Neurons cut."),
        "state": text("State", width=74),
        "reached": text("Reached", width=120, help="The last stage that is finished."),
    }
