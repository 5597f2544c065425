"""Runs: all of them with settings and headline numbers; open, rename, compare, delete, export, import."""

import streamlit as st

from pages.components.current_run import runs_root
from pages.components.frame import show
from pages.components.model.choose_model import import_config, no_runs
from pages.components.navigation import START
from pages.components.progress import show_errors
from pages.components.runs.one_run import delete_confirmed, one_run, rename_asked
from pages.components.runs.run_choice import choose
from pages.components.runs.two_runs import two_runs
from unlearning_core.runs.listing import list_runs


def main() -> None:
    """Draw the page."""
    st.title("Runs")
    st.markdown(
        "Everything that was tried here. Mark one run to open, rename, export or delete it, or two to compare them."
    )
    with show_errors():
        delete_confirmed()
        rename_asked()
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
        st.info(no_runs(), icon=":material/folder_open:")
        st.page_link(START.file, label="Go to Start", icon=START.icon)
    with st.expander("Start a run from a config.json"), show_errors():
        st.caption("The same file that `python -m unlearning_core run config.json` takes, and that a run exports.")
        import_config()


show(main)
