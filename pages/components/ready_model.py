"""The run's base model for a part of a page that needs it: in memory already, or loaded under a bar that then goes."""

import streamlit as st

from pages.components.model_cache import base_is_loaded, base_model
from pages.components.progress import run_with_progress
from unlearning_core.runs.run import Run


def model_at_hand(run: Run) -> bool:
    """Whether the model is in memory, loading it if need be."""
    # There whether it is needed or not: what follows keeps its place on the page.
    place = st.empty()
    if base_is_loaded(run):
        return True
    with place.container():
        loaded = run_with_progress("Loading the model", lambda bar: base_model(run, bar), only_one=run.id)
    if loaded:
        place.empty()
    return loaded
