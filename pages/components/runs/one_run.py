"""One run on the page Runs: links to it, its name, its files, and the end of it."""

import streamlit as st

from pages.components.current_run import close_run, runs_root
from pages.components.field_names import told
from pages.components.marked_text import escaped
from pages.components.model_download import download_model
from pages.components.navigation import PATH_PAGES, icon_of
from pages.components.progress import flash
from pages.components.run_summary import described
from pages.components.runs.trials import trials_of
from unlearning_core.errors import InputError
from unlearning_core.reports.run_report import run_report
from unlearning_core.runs.forms import LONGEST_NAME
from unlearning_core.runs.listing import delete_run, open_run
from unlearning_core.runs.manifest import DAMAGED
from unlearning_core.runs.naming import given_name, rename, shown_name
from unlearning_core.runs.run import Run

DELETE, RENAME = "run to delete", "run to rename"


def one_run(run: Run) -> None:
    """Links to it on every page, its files, its name, and Delete."""
    st.markdown(f"**{escaped(shown_name(run))}**  \n:gray[{escaped(run.id)}]")
    damage = _damage(run)
    if damage:
        st.warning(told(damage))
    else:
        with st.container(horizontal=True):
            for page in PATH_PAGES:
                icon, params = icon_of(run, page), {"run": run.id}
                st.page_link(page.file, label=page.title, icon=icon, query_params=params, width="content")
        st.caption("Each of these is a link that can be sent on: it opens this run on that page.")
        trials_of(run)
    with st.container(horizontal=True):
        if not damage:
            files(run)
        ask_for_name(run)
        ask_to_delete(run)


def files(run: Run) -> None:
    """Its settings, its report, its models."""
    st.download_button(
        "Export config.json", run.config_bytes(), "config.json", "application/json",
        on_click="ignore", icon=":material/download:",
    )  # fmt: skip
    if run.metrics() and run.generations():
        st.download_button(
            "Report (HTML)", lambda: run_report(run).encode(), f"{run.id}.html", "text/html", on_click="ignore",
            icon=":material/description:",
        )  # fmt: skip
    for state in run.states()[1:]:
        download_model(run, state)


def ask_for_name(run: Run) -> None:
    """Rename: another name is shown, and nothing else changes."""
    with st.popover("Rename", icon=":material/edit:"), st.form(f"rename {run.id}", border=False):
        key = f"name {run.id}"
        st.text_input(
            "Name", given_name(run), max_chars=LONGEST_NAME, placeholder=shown_name(run), key=key,
            help="Empty: its model and its concept.",
        )  # fmt: skip
        st.caption("Only the name that is shown changes. Its id, links to it and exports stay.")
        st.form_submit_button("Save the name", on_click=lambda: _note(RENAME, (run.id, st.session_state[key])))


def rename_asked() -> None:
    """Give the run its new name, before anything of it is drawn."""
    run_id, name = st.session_state.pop(RENAME, None) or (None, "")
    if run_id is None:
        return
    run = open_run(run_id, runs_root())
    rename(run, name)
    flash(f"The run {run.id} is shown as “{shown_name(run)}” now.")
    st.rerun()


def ask_to_delete(run: Run) -> None:
    """Delete, with a second question that names the run; never a run that is being worked on."""
    busy, title = run.at_work(), shown_name(run)
    with st.popover(
        "Delete", icon=":material/delete:", disabled=busy,
        help="It is being worked on. Wait for it, or stop it on its page." if busy else None,
    ):  # fmt: skip
        st.markdown(
            f"Delete the run **{escaped(title)}** for good?  \n{escaped(described(run))}  \n:gray[{escaped(run.id)}]"
        )
        st.caption("The settings, the models and all that was measured go. What other runs took over from it stays.")
        # Streamlit has no red ground for a button, so its words are red.
        st.button(
            f":red[:material/delete_forever: **Yes, delete {escaped(title)}**]", key=f"delete {run.id}",
            on_click=lambda: _note(DELETE, run.id),
        )  # fmt: skip


def delete_confirmed() -> None:
    """Delete the run that was confirmed, before anything of it is drawn."""
    name = st.session_state.pop(DELETE, None)
    if name is None:
        return
    run = open_run(name, runs_root())
    title = shown_name(run)
    delete_run(run)
    if (st.session_state.get("run") or st.query_params.get("run")) == name:
        close_run()
    flash(f"The run “{title}” ({name}) is deleted.")
    st.rerun()


def _note(key: str, value: object) -> None:
    st.session_state[key] = value


def _damage(run: Run) -> str:
    """What is wrong with the run's files; empty where they can be read."""
    try:
        _ = run.config
        damaged = run.status()["state"] == DAMAGED
    except InputError:
        return "The settings of this run (config.json) cannot be read. Correct the file, or delete it."
    return str(run.status()["message"]) if damaged else ""
