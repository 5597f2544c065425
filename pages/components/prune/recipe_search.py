"""Search the settings: many cuts and retrained recipes in the background, their front, and a way to take a point."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pandas as pd
import streamlit as st

from pages.components.current_run import changed
from pages.components.field_names import told
from pages.components.marked_text import escaped
from pages.components.progress import flash, show_errors
from pages.components.prune.cut_settings import History
from pages.components.runs.trials import trials_table
from pages.components.work import search_in_background
from unlearning_core.figures.pareto import pareto_figure
from unlearning_core.jobs.status import JobProgress
from unlearning_core.runs.run import Run
from unlearning_core.runs.tuning import job
from unlearning_core.runs.tuning.found import kept_rows


def search_settings(run: Run, past: History) -> None:
    """The button, how far the search is, and what it found; a click on a point shows its cut on the page."""
    if job.is_running(run):
        _watch(run)
        return
    st.session_state.pop(_stopping(run), None)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        minutes = st.number_input("Minutes", 1, 1440, 10, key=f"minutes of the search {run.id}", width=110)
        pressed = st.button("Search the settings", icon=":material/tune:", key=f"search settings {run.id}")
    st.caption(
        "Tries shares, token rows, noise and lengths of the retraining: many cuts, then the best of them retrained, "
        "each in a run of its own, the settings as they are now before all others. At least three cuts and two "
        "retrained models, however long they take. It goes on when this page is closed."
    )
    if pressed:
        search_in_background(run, float(minutes))
        st.rerun()
    _how_it_ended(run)
    _found(run, past)


@st.fragment(run_every=1.0)
def _watch(run: Run) -> None:
    """How far it is, once a second, until it has ended."""
    if not job.is_running(run):
        st.rerun()
    with show_errors():
        done = job.state(run).progress or JobProgress()
        share = min(1.0, done.step / done.total_steps) if done.total_steps else 0.0
        rows = kept_rows(run)
        so_far = "" if rows is None else f" ({_tried(rows)} so far)"
        st.progress(share, text=escaped(f"{done.task or 'loading'}{so_far}"))
        if st.button("Stop", icon=":material/stop_circle:", key="stop search of settings"):
            job.stop(run)
            st.session_state[_stopping(run)] = True
        if _stopping(run) in st.session_state:
            st.caption("Stopping; what was tried is kept.")
        if rows is not None and rows["forgotten"].notna().any():
            st.plotly_chart(pareto_figure(rows), key="front so far", alt=_ALT)


def _stopping(run: Run) -> str:
    return f"stopping search {run.id}"


def _tried(rows: pd.DataFrame) -> str:
    retrained = int((rows["kind"] == "retrained").sum())
    cuts = len(rows) - retrained
    tried = f"{cuts} {'cut' if cuts == 1 else 'cuts'} tried"
    return f"{tried}, {retrained} {'recipe' if retrained == 1 else 'recipes'} retrained"


def _how_it_ended(run: Run) -> None:
    ended = job.state(run)
    if ended.state == "stopped":
        st.info("Stopped. What was tried is kept; the same button goes on from there.", icon=":material/stop_circle:")
    elif ended.state == "failed":
        st.error(told(ended.message), icon=":material/error:")


def _found(run: Run, past: History) -> None:
    rows = kept_rows(run)
    if rows is None or rows["forgotten"].notna().sum() == 0:
        return
    if job.is_of_other_settings(run):
        st.info("These were tried with other settings of this run; a new search begins anew.", icon=":material/info:")
        trials_table(run, rows)
        return
    key = f"front {run.id}"
    st.plotly_chart(
        pareto_figure(rows), key=key, selection_mode="points", alt=_ALT,
        on_select=lambda: _clicked(key, run, past, rows),
    )  # fmt: skip
    st.caption(f"{_tried(rows)}. Click a point to put its settings on this page, or choose it here.")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        known = rows[rows["forgotten"].notna()].sort_values("mark", key=lambda marks: ~marks.str.contains("taken"))
        name = st.selectbox("Trial", known["name"], key=f"trial {run.id}", width=130)
        st.button(
            "Use these settings",
            icon=":material/check:",
            key=f"use trial {run.id}",
            on_click=lambda: use(run, past, rows, str(name)),
        )
    trials_table(run, rows)


_ALT = "What each trial forgets against what it costs, with the front"


def _clicked(key: str, run: Run, past: History, rows: pd.DataFrame) -> None:
    points: list[Any] = st.session_state[key].selection.points
    named = next((point["customdata"] for point in points if point.get("customdata") is not None), None)
    if named is not None:
        use(run, past, rows, str(named["0"] if isinstance(named, Mapping) else named[0]))


def use(run: Run, past: History, rows: pd.DataFrame, name: str) -> None:
    """Show the cut of a trial; of a retrained one also take over how it was retrained, for the page Retrain."""
    row = rows[rows["name"] == name].iloc[0]
    now = past.now
    rows_reset = replace(now.token_rows, strength=float(row["strength"]))
    past.go(
        replace(
            now,
            ratio=float(row["share"]),
            per_layer=bool(row["per_layer"]),
            token_rows=rows_reset,
            protected_layers=tuple(json.loads(row["protected"])),
        )
    )
    message = f"The settings of {name} are on the page."
    if row["kind"] == "retrained":
        steps = None if pd.isna(row["steps"]) else int(row["steps"])
        run.save_config(changed(run.config, retraining={"noise": float(row["noise"]), "max_steps": steps}))
        message += " Retrain has its noise and its steps."
    flash(message)
