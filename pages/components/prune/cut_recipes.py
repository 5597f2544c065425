"""Cuts with a name: saved, and loaded again here or on another run of the same ranking."""

from pathlib import Path

import streamlit as st

from pages.components.current_run import changed, runs_root
from pages.components.marked_text import escaped
from pages.components.model_cache import base_model
from pages.components.progress import show_errors
from pages.components.prune.cut_settings import History
from unlearning_core.edits.mask import Mask
from unlearning_core.errors import InputError
from unlearning_core.runs.context import RunContext
from unlearning_core.runs.cuts import new_recipe
from unlearning_core.runs.recipes import load_named, named, save_named
from unlearning_core.runs.run import Run

_MESSAGE, _SAVED = "recipe message", "recipe saved"


def recipes(run: Run, past: History, mask: Mask) -> None:
    """Save the cut that is shown under a name; load one that was saved."""
    with st.expander("Recipes", icon=":material/receipt_long:"):
        left, right = st.columns(2, gap="large", vertical_alignment="bottom")
        name = left.text_input("Name of this cut", key=f"recipe name {run.id}", placeholder="seats, first try")
        if left.button("Save the recipe", icon=":material/save:", key="save recipe"):
            with show_errors():
                _save(run, name or "", past, mask)
        there, key = named(runs_root()), f"recipe {run.id}"
        # One that was just saved comes first; without this the box would go on showing what it showed before.
        if st.session_state.pop(_SAVED, False) or st.session_state.get(key) not in there:
            st.session_state[key] = there[0] if there else None
        chosen = right.selectbox(
            "Saved recipes", there, format_func=lambda folder: _title(folder, run), key=key,
            placeholder="none saved yet",
        )  # fmt: skip
        if right.button("Load the recipe", icon=":material/folder_open:", key="load recipe", disabled=not there):
            with show_errors():
                _load(run, chosen, past)
        if message := st.session_state.pop(_MESSAGE, ""):
            st.success(message, icon=":material/check_circle:")


def _title(folder: Path, run: Run) -> str:
    owner = folder.parents[1].name
    return folder.name if owner == run.id else f"{folder.name} ({owner})"


def _save(run: Run, name: str, past: History, mask: Mask) -> None:
    if not mask.cut:
        raise InputError("This cut is empty: it cuts no neuron. Move the slider first.")
    folder = save_named(run, name, new_recipe(RunContext(run), past.now, mask))
    st.session_state[_MESSAGE], st.session_state[_SAVED] = f"Saved as {escaped(folder.name)}.", True
    st.rerun()


def _load(run: Run, folder: Path | None, past: History) -> None:
    if folder is None:
        raise InputError("No recipe is chosen. Choose one of those that were saved.")
    with base_model(run) as loaded:
        cut = load_named(folder, run.ranking(), loaded.map.shapes)
    if cut.excluded_neurons != past.now.excluded_neurons:
        asked = {"excluded_neurons": [list(neuron) for neuron in cut.excluded_neurons]}
        run.save_config(changed(run.config, neural_probing=asked))
    past.go(cut)
    st.session_state[_MESSAGE] = f"Loaded {escaped(folder.name)}."
    st.rerun()
