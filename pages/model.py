"""Model: choose one, see what it needs, load it; reopen an earlier run."""

import streamlit as st

from pages.components.current_run import current_run, show_run
from pages.components.frame import show
from pages.components.marked_text import escaped
from pages.components.model.choose_model import choose_model, import_config, reopen_run
from pages.components.model.model_card import facts, memory
from pages.components.model.prompt_box import prompt_box
from pages.components.model_cache import base_is_loaded, how_to_load, load_base
from pages.components.navigation import MODEL, link_to_next
from pages.components.new_run import experiment, load_and_start
from pages.components.progress import run_and_redraw, show_errors
from unlearning_core.config.schema import BaseModelSection
from unlearning_core.progress import ProgressCallback
from unlearning_core.runs.naming import model_name
from unlearning_core.runs.run import Run


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
            show_model(run)
        with show_errors():
            prompt_box(run)
    with st.expander("Take another model") if run else st.container(), show_errors():
        model = choose_model()
        if model is not None:
            inspect_and_load(model)
    with st.expander("Reopen a run, or start one from a config.json", expanded=False), show_errors():
        reopen_run()
        import_config()


def inspect_and_load(model: BaseModelSection) -> None:
    """Size and memory need first; the weights only on the second button."""
    if st.button("Check size and memory", type="secondary", icon=":material/straighten:"):
        from unlearning_core.models.inspection import inspect_model

        st.session_state.pop("inspected", None)
        with st.spinner("Reading the model's description"):
            info = inspect_model(model.base_model_path, **how_to_load(model))
        st.session_state["inspected"] = (model, info.to_dict())
    known = st.session_state.get("inspected")
    if known and known[0] == model:
        facts(known[1])
        memory(known[1])
        if st.button("Load the model", type="primary", icon=":material/download:"):
            load(model)


def load(model: BaseModelSection) -> None:
    """A new run on that model, which is loaded first."""

    def work(bar: ProgressCallback) -> None:
        show_run(load_and_start(experiment(model), bar))
        st.session_state.pop("inspected", None)

    message = "The model is loaded. Next: name the concept."
    run_and_redraw("Loading the model", work, only_one=None, message=message)


def show_model(run: Run) -> None:
    """What is known of the open run's model."""
    info = run.note("model")
    with st.container(border=True):
        if info is None:
            st.subheader(escaped(model_name(run.config.base_model.base_model_path)))
            st.caption("This run was made without the dashboard; its model's facts appear once it is loaded.")
        else:
            facts(info)
        if base_is_loaded(run):
            link_to_next(MODEL)
        elif st.button("Load it now", help="It is loaded by itself as soon as a step needs it."):
            run_and_redraw("Loading the model", lambda bar: load_base(run, bar), only_one=None)


show(main)
