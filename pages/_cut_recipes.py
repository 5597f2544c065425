"""Cuts with a name: saved, and loaded again here or on another run of the same ranking."""

from pathlib import Path

import streamlit as st

from pages._cut_settings import History
from pages._marked_text import escaped
from pages._run_in_url import changed, runs_root
from pages._shared_models import base_model
from pages._working import in_sentences
from unlearning_core.errors import InputError
from unlearning_core.pruning.mask import Mask
from unlearning_core.recipes import load_named, named, save_named
from unlearning_core.runs import Run
from unlearning_core.stages.prune import recipe_of
from unlearning_core.work import Work

_SAID, _SAVED = "recipe said", "recipe saved"


def recipes(run: Run, past: History, mask: Mask) -> None:
    """Save the cut that is shown under a name; load one that was saved."""
    with st.expander("Recipes", icon=":material/receipt_long:"):
        left, right = st.columns(2, gap="large", vertical_alignment="bottom")
        name = left.text_input("Name of this cut", key=f"recipe name {run.id}", placeholder="seats, first try")
        if left.button("Save the recipe", icon=":material/save:", key="save recipe"):
            with in_sentences():
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
            with in_sentences():
                _load(run, chosen, past)
        if said := st.session_state.pop(_SAID, ""):
            st.success(said, icon=":material/check_circle:")


def _title(folder: Path, run: Run) -> str:
    owner = folder.parents[1].name
    return folder.name if owner == run.id else f"{folder.name} ({owner})"


def _save(run: Run, name: str, past: History, mask: Mask) -> None:
    if not mask.cut:
        raise InputError("This cut is empty: it cuts no neuron. Move the slider first.")
    folder = save_named(run, name, recipe_of(Work(run), past.now, mask))
    st.session_state[_SAID], st.session_state[_SAVED] = f"Saved as {escaped(folder.name)}.", True
    st.rerun()


def _load(run: Run, folder: Path | None, past: History) -> None:
    if folder is None:
        raise InputError("No recipe is chosen. Choose one of those that were saved.")
    cut = load_named(folder, Work(run).ranking, base_model(run).map.shapes)
    if cut.excluded_neurons != past.now.excluded_neurons:
        asked = {"excluded_neurons": [list(neuron) for neuron in cut.excluded_neurons]}
        run.save_config(changed(run.config, neural_probing=asked))
    past.go(cut)
    st.session_state[_SAID] = f"Loaded {escaped(folder.name)}."
    st.rerun()
