"""Model: choose one, see what it needs, load it; reopen an earlier run."""

from typing import TYPE_CHECKING

import streamlit as st

from pages.components.current_run import current_run, runs_root, show_run
from pages.components.frame import show
from pages.components.marked_text import escaped
from pages.components.model.choose_model import Choice, choose_model, experiment, import_config, reopen_run
from pages.components.model.model_card import facts, memory
from pages.components.model.prompt_box import talk
from pages.components.model_cache import base_is_loaded, base_model, keep_facts, model_of
from pages.components.navigation import next_step
from pages.components.progress import flash, run_with_progress, show_errors
from pages.components.sidebar import model_name
from unlearning_core.progress import ProgressCallback
from unlearning_core.runs.run import Run, create_run

if TYPE_CHECKING:
    from unlearning_core.models.loading import LoadedModel

PAGE = "pages/model.py"


def main() -> None:
    """Draw the page."""
    st.title("Model")
    st.markdown(
        "Choose a language model, name a concept, see which neurons carry it, cut them, let the model recover, and "
        "compare. It begins here, with the model."
    )
    run = current_run()
    if run is not None:
        with show_errors():
            loaded_card(run)
        with show_errors():
            talk(run)
    with st.expander("Take another model") if run else st.container(), show_errors():
        choice = choose_model()
        if choice is not None:
            inspect_and_load(choice)
    with st.expander("Reopen a run, or start one from a config.json", expanded=False), show_errors():
        reopen_run()
        import_config()


def inspect_and_load(choice: Choice) -> None:
    """Size and memory need first; the weights only on the second button."""
    if st.button("Check size and memory", type="secondary", icon=":material/straighten:"):
        from unlearning_core.models.inspection import inspect_model

        st.session_state.pop("inspected", None)
        with st.spinner("Reading the model's description"):
            info = inspect_model(
                choice.source,
                revision=choice.revision,
                device=choice.device,
                dtype=choice.dtype,
                allow_pickle=choice.allow_pickle,
            )
        st.session_state["inspected"] = (choice, info.to_dict())
    known = st.session_state.get("inspected")
    if known and known[0] == choice:
        facts(known[1])
        memory(known[1])
        if st.button("Load the model", type="primary", icon=":material/download:"):
            config = experiment(choice)
            loaded: list[LoadedModel] = []

            def load(bar: ProgressCallback) -> None:
                loaded.append(model_of(config.base_model, bar))

            if run_with_progress("Loading the model", load, only_one=choice.source):
                run = create_run(config, runs_root())
                keep_facts(run, loaded[0])
                show_run(run)
                st.session_state.pop("inspected", None)
                flash("The model is loaded. Next: name the concept.")
                st.rerun()


def loaded_card(run: Run) -> None:
    """What is known of the open run's model."""
    info = run.read_json("model.json")
    with st.container(border=True):
        if info is None:
            st.subheader(escaped(model_name(run.config.base_model.base_model_path)))
            st.caption("This run was made without the dashboard; its model's facts appear once it is loaded.")
        else:
            facts(info)
        if base_is_loaded(run):
            next_step(PAGE)
        elif st.button("Load it now", help="It is loaded by itself as soon as a step needs it.") and run_with_progress(
            "Loading the model", lambda bar: keep_facts(run, base_model(run, bar)), only_one=run.id
        ):
            st.rerun()


show(main)
