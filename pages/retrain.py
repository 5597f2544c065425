"""Retrain: let the pruned model recover on text without the concept, in a process of its own that is watched here."""

from typing import Literal

import streamlit as st

from pages.components.frame import show
from pages.components.model_download import download_model
from pages.components.navigation import PRUNE, RETRAIN, is_done, link_to_next, run_beyond
from pages.components.progress import show_errors
from pages.components.retrain.method_choice import choose_method, save_method
from pages.components.retrain.training_settings import choose_settings, save_settings
from pages.components.retrain.training_time import find_out, time_before
from pages.components.retrain.training_view import show_last_training, watch
from pages.components.work import go_on_in_background
from unlearning_core.methods.registry import states_of
from unlearning_core.runs import background
from unlearning_core.runs.run import Run


def main() -> None:
    """Draw the page."""
    st.title("Retrain")
    st.markdown(
        "The pruned model reads text without the concept and recovers what the cut has cost. It keeps running when "
        "this page is closed."
    )
    run = run_beyond(PRUNE)
    if run is None:
        return
    if background.is_running(run):
        watch(run)
        return
    show_last_training(run)
    done = is_done(run, RETRAIN)
    if done:
        take_further(run)
    with st.expander("Train it again, with other settings") if done else st.container(), show_errors():
        offer_training(run, done)


def offer_training(run: Run, done: bool) -> None:
    """What is done, on which text and how; how long that takes, and the button that begins it."""
    method, parameters = choose_method(run)
    if method.name != "retrain":
        if st.button(f"Start: {method.title}", type=_look(done), icon=":material/model_training:"):
            save_method(run, method, parameters)
            go_on_in_background(run)
            st.rerun()
        return
    settings = choose_settings(run)
    if time_before(run, settings):
        save_settings(run, settings)
        find_out(run)
    again = (run.training_folder / "checkpoints").is_dir() and not done
    word = "Go on with the retraining" if again else "Start the retraining"
    if st.button(word, type=_look(done), icon=":material/model_training:"):
        save_method(run, method, parameters)
        save_settings(run, settings)
        go_on_in_background(run)
        st.rerun()
    if again:
        st.caption("With the same settings and text it goes on from its last checkpoint, with others from the start.")


def _look(done: bool) -> Literal["primary", "secondary"]:
    """The button stands out until there is a model to go on with."""
    return "secondary" if done else "primary"


def take_further(run: Run) -> None:
    """The model that came out of it, to be downloaded, and the way to the next page."""
    with show_errors():
        download_model(run, states_of(run.config)[-1])
    link_to_next(RETRAIN)


show(main)
