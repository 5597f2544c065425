"""Model: choose one and load it; reopen an earlier run."""

import streamlit as st

from pages.components.current_run import current_run, show_run
from pages.components.demo.guide import is_guided
from pages.components.frame import show
from pages.components.marked_text import escaped
from pages.components.model.choose_model import PATH, STARTER, choose_model, import_config, reopen_run
from pages.components.model.model_card import facts
from pages.components.model.prompt_box import prompt_box
from pages.components.model_cache import base_is_loaded, load_base
from pages.components.navigation import MODEL, OWN, button_to_next, came_for_own_model
from pages.components.new_run import check_model, experiment, load_and_start
from pages.components.progress import run_and_redraw, show_errors
from unlearning_core.config.schema import BaseModelSection
from unlearning_core.progress import ProgressCallback
from unlearning_core.runs.naming import model_name
from unlearning_core.runs.run import Run


def main() -> None:
    """Draw the page."""
    st.title("Model")
    run, own = current_run(), came_for_own_model()
    st.markdown("The model that is to forget something. It stays as it is: all that follows is done to copies of it.")
    if run is not None:
        with show_errors():
            show_model(run)
        with show_errors():
            prompt_box(run)
    with st.expander("Take another model", expanded=own) if run else st.container(), show_errors():
        model = choose_model(first=PATH if own else STARTER)
        offer_load(model)
    with st.expander("Reopen a run, or start one from a config.json", expanded=False), show_errors():
        reopen_run()
        import_config()


def offer_load(model: BaseModelSection | None) -> None:
    """One button that checks the model and, where nothing speaks against it, loads it into a new run."""
    pressed = st.button(
        "Load", key="load model", type="primary" if current_run() is None else "secondary", disabled=model is None,
        icon=":material/download:",
        help="Checks first whether it is a model that can be cut and whether it fits in memory, then loads it.",
    )  # fmt: skip
    if pressed and model is not None:
        load(model)


def load(model: BaseModelSection) -> None:
    """Check it, then a new run on it, whose model is loaded first; what is open stays open until that is done."""

    def work(bar: ProgressCallback) -> None:
        check_model(model, bar)
        show_run(load_and_start(experiment(model), bar))
        for name in OWN:
            st.query_params.pop(name, None)

    run_and_redraw("Checking the model", work, only_one=None, message="The model is loaded. Next: name the concept.")


def show_model(run: Run) -> None:
    """What is known of the open run's model, and the way on."""
    info = run.note("model")
    with st.container(border=True):
        if info is None:
            st.subheader(escaped(model_name(run.config.base_model.base_model_path)))
            st.caption("This run was made without the dashboard; its model's facts appear once it is loaded.")
        else:
            facts(info)
        with st.container(horizontal=True):
            if not is_guided(run):  # the guide has its own button
                button_to_next(MODEL)
            again = not base_is_loaded(run) and st.button(
                "Load it now", help="It is loaded by itself as soon as a step needs it."
            )
        if again:
            run_and_redraw("Loading the model", lambda bar: load_base(run, bar), only_one=None)


show(main)
