"""Runs: all of them with settings and headline numbers; open, compare, delete, export, import."""

from typing import Any

import pandas as pd
import streamlit as st

from pages.components.current_run import close_run, current_run, runs_root
from pages.components.frame import show
from pages.components.marked_text import escaped
from pages.components.model.choose_model import import_config
from pages.components.navigation import PATH_PAGES, START, icon_of
from pages.components.progress import flash, show_errors
from pages.components.run_summary import described
from unlearning_core.errors import InputError
from unlearning_core.evaluation.ratio import INTERVAL_NOTE
from unlearning_core.evaluation.registry import METRICS
from unlearning_core.methods.registry import state_title
from unlearning_core.reports.run_report import run_report
from unlearning_core.reports.run_table import COLUMNS, DAMAGED, different_settings, metrics_of_two, run_table
from unlearning_core.runs.listing import delete_run, list_runs, open_run
from unlearning_core.runs.run import Run

CHOSEN, TABLE, DELETE = "chosen runs", "table of runs", "run to delete"


def main() -> None:
    """Draw the page."""
    st.title("Runs")
    st.markdown("Everything that was tried here. Mark one run to open, export or delete it, or two to compare them.")
    with show_errors():
        delete_confirmed()
    runs = list_runs(runs_root())
    if runs:
        with show_errors():
            chosen = choose(runs)
        if len(chosen) == 1:
            with st.container(border=True), show_errors():
                one_run(chosen[0])
        elif len(chosen) == 2:
            with show_errors():
                two_runs(*chosen)
    else:
        st.info(f"There are no runs in {escaped(str(runs_root()))} yet.", icon=":material/folder_open:")
        st.page_link(START.file, label="Go to Start", icon=START.icon)
    with st.expander("Start a run from a config.json"), show_errors():
        st.caption("The same file that `python -m unlearning_core run config.json` takes, and that a run exports.")
        import_config()


def delete_confirmed() -> None:
    """Delete the run that was confirmed, before anything of it is drawn."""
    name = st.session_state.pop(DELETE, None)
    if name is None:
        return
    delete_run(open_run(name, runs_root()))
    if (st.session_state.get("run") or st.query_params.get("run")) == name:
        close_run()
    flash(f"The run {name} is deleted.")
    st.rerun()


def choose(runs: list[Run]) -> list[Run]:
    """The table, and the one or two runs that are marked in it or named below it."""
    table = run_table(runs)
    known = {run.id: run for run in runs}
    if CHOSEN not in st.session_state:
        opened = current_run()
        st.session_state[CHOSEN] = [opened.id] if opened is not None else []
    st.session_state[CHOSEN] = [name for name in st.session_state[CHOSEN] if name in known]
    shown = table.drop(columns="run").dropna(axis="columns", how="all")
    shown["reached"] = shown["reached"].fillna("–") if "reached" in shown else "–"
    columns = _columns(table)
    st.dataframe(
        shown, key=TABLE, hide_index=True, column_config=columns, column_order=list(columns),
        selection_mode="multi-row", on_select=lambda: _choose_marked(list(table["run"])),
        height="content" if len(table) < 12 else 440,
    )  # fmt: skip
    names = st.multiselect(
        "One or two runs", list(known), key=CHOSEN, max_selections=2,
        # The end of its id tells apart two that were made in the same minute.
        format_func=lambda name: f"{described(known[name])} ({name[-6:]})",
        placeholder="Mark rows above, or choose here",
    )  # fmt: skip
    return [known[name] for name in names]


def _choose_marked(names: list[str]) -> None:
    """What was marked in the table is what is chosen: the first two."""
    rows = st.session_state[TABLE]["selection"]["rows"]
    st.session_state[CHOSEN] = [names[row] for row in rows if row < len(names)][:2]


def _columns(table: pd.DataFrame) -> dict[str, Any]:
    columns = {
        "made": st.column_config.DatetimeColumn("Made", format="YYYY-MM-DD HH:mm"),
        "model": "Model",
        "concept": "Concept",
        "verdict": st.column_config.TextColumn(
            "Verdict", help="On the last state of its model, from the page Proof. Empty: not checked yet."
        ),
    }
    for column in table.columns.difference(COLUMNS, sort=False):
        state, name = column.split(".", 1)
        metric = METRICS[name]
        title = f"{metric.column or metric.title}, {state_title(state).lower()}"
        meaning = f"{metric.full_title}. {metric.meaning}"
        form = "percent" if metric.unit == "share" else "%+.3f"
        columns[column] = st.column_config.NumberColumn(title, help=meaning, format=form)
    return columns | {
        "cut": st.column_config.NumberColumn("Cut", format="localized", help="Neurons cut."),
        "ratio": st.column_config.NumberColumn("Share cut", format="percent", help="Of the neurons ranked."),
        "ranker": "Method",
        "site": "Site",
        "state": "State",
        "reached": st.column_config.TextColumn("Reached", help="The last stage that is finished."),
    }


def one_run(run: Run) -> None:
    """Links to it on every page, its settings, its report, and Delete."""
    st.markdown(f"**{escaped(run.id)}**")
    damaged = run_table([run])["state"].iloc[0] == DAMAGED
    if damaged:
        told = run.status()["message"] if run.status()["state"] == DAMAGED else ""
        st.warning(
            escaped(told or "The settings of this run (config.json) cannot be read. Mend the file, or delete it.")
        )
    else:
        with st.container(horizontal=True):
            for page in PATH_PAGES:
                icon, params = icon_of(run, page), {"run": run.id}
                st.page_link(page.file, label=page.title, icon=icon, query_params=params, width="content")
        st.caption("Each of these is a link that can be sent on: it opens this run on that page.")
    with st.container(horizontal=True):
        if not damaged:
            st.download_button(
                "Export config.json", run.config_bytes(), "config.json", "application/json",
                on_click="ignore", icon=":material/download:",
            )  # fmt: skip
            if run.metrics() and run.generations():
                st.download_button(
                    "Report (HTML)", run_report(run), f"{run.id}.html", "text/html", on_click="ignore",
                    icon=":material/description:",
                )  # fmt: skip
        ask_to_delete(run)


def ask_to_delete(run: Run) -> None:
    """Delete, with a second question; never a run that is being worked on."""
    busy = run.at_work()
    with st.popover(
        "Delete", icon=":material/delete:", disabled=busy,
        help="It is being worked on. Wait for it, or stop it on its page." if busy else None,
    ):  # fmt: skip
        st.markdown("The settings, the models and all that was measured go. What other runs took over from it stays.")
        st.button(
            "Yes, delete this run", type="primary", key=f"delete {run.id}",
            on_click=lambda: st.session_state.update({DELETE: run.id}),
        )  # fmt: skip


def two_runs(one: Run, other: Run) -> None:
    """Metrics side by side, and the settings that differ."""
    st.markdown(f"**First:** {escaped(described(one))}  \n**Second:** {escaped(described(other))}")
    numbers = metrics_of_two(one.metrics() or {}, other.metrics() or {})
    st.subheader("Numbers")
    if numbers.empty:
        st.caption("Neither of the two has been measured to its end yet.")
    else:
        st.dataframe(numbers, hide_index=True)
        st.caption(INTERVAL_NOTE)
    st.subheader("Settings that differ")
    try:
        settings = different_settings(one, other)
    except InputError as error:
        raise InputError(f"The two cannot be compared: {error}") from error
    if settings.empty:
        st.caption("None: both have the same settings.")
    else:
        st.dataframe(settings.rename(columns={"one": "first", "other": "second"}), hide_index=True)


show(main)
