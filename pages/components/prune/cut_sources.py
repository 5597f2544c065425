"""Cuts that come from elsewhere than the slider: the smallest that works, and cuts that were saved under a name."""

from dataclasses import asdict, replace
from pathlib import Path

import streamlit as st

from pages.components.current_run import changed, runs_root
from pages.components.marked_text import escaped
from pages.components.model_cache import base_model
from pages.components.progress import run_and_redraw, show_errors
from pages.components.prune.cut_preview import Edit
from pages.components.prune.cut_settings import History
from unlearning_core.errors import InputError
from unlearning_core.evaluation.ratio import NATS_NOTE
from unlearning_core.evaluation.search import Target
from unlearning_core.progress import ProgressCallback
from unlearning_core.runs.context import RunContext
from unlearning_core.runs.cuts import new_recipe
from unlearning_core.runs.recipes import load_named, named, save_named
from unlearning_core.runs.run import Run
from unlearning_core.runs.search import RunSearch

_FOUND = "smallest cuts"
_MESSAGE, _SAVED = "recipe message", "recipe saved"


def find_smallest(run: Run, past: History) -> None:
    """Ask for a target, search, show the cut that was found; a cut that is not wanted is undone like any other."""
    asked = run.config.search
    left, right = st.columns(2, gap="medium")
    forget = left.number_input(
        "Forget at least, nats", 0.01, 20.0, asked.forget or 1.0, step=0.1, key=f"forget at least {run.id}",
        help=f"By how much the loss on the concept's words is to rise. {NATS_NOTE}",
    )  # fmt: skip
    retain = right.number_input(
        "Lose on other text at most, nats", 0.0, 5.0, asked.retain, step=0.01, key=f"lose at most {run.id}",
        help=f"By how much the loss on other text may rise: 0.05 makes it 1.05 x less likely. {NATS_NOTE}",
    )  # fmt: skip
    if st.button("Find the smallest cut", icon=":material/search:", key=f"find smallest {run.id}"):
        _search(run, past, Target(float(forget), float(retain)))
    cut, sentence, reached = st.session_state.get(_FOUND, {}).get(run.id, (None, "", False))
    if cut == past.now:
        show = st.success if reached else st.warning
        show(escaped(sentence), icon=":material/check_circle:" if reached else ":material/flag:")


def _search(run: Run, past: History, target: Target) -> None:
    def search(bar: ProgressCallback) -> None:
        with base_model(run, bar) as base:
            found = RunSearch(run, past.now, run.config.search.sentences).compute(target, bar, base=base)
        if found.works:
            past.go(replace(past.now, ratio=found.chosen.ratio).shortest(run.ranking(), base.map.shapes))
        remembered = (past.now, found.sentence, found.smallest is not None)
        st.session_state.setdefault(_FOUND, {})[run.id] = remembered

    run_and_redraw("Searching for the smallest cut", search, only_one=run.id)


def recipes(run: Run, past: History, edit: Edit) -> None:
    """Save the cut that is shown under a name; load one that was saved."""

    def owner(folder: Path) -> str:
        return folder.parents[1].name

    left, right = st.columns(2, gap="large", vertical_alignment="bottom")
    name = left.text_input("Name of this cut", key=f"recipe name {run.id}", placeholder="first try")
    if left.button("Save the recipe", icon=":material/save:", key="save recipe"):
        with show_errors():
            _save(run, name or "", past, edit)
    there, key = named(runs_root()), f"recipe {run.id}"
    # One that was just saved comes first; without this the box would go on showing what it showed before.
    if st.session_state.pop(_SAVED, False) or st.session_state.get(key) not in there:
        st.session_state[key] = there[0] if there else None
    chosen = right.selectbox(
        "Saved recipes", there, key=key, placeholder="none saved yet",
        format_func=lambda folder: folder.name + ("" if owner(folder) == run.id else f" ({owner(folder)})"),
    )  # fmt: skip
    if right.button("Load the recipe", icon=":material/folder_open:", key="load recipe", disabled=not there):
        with show_errors():
            _load(run, chosen, past)
    if message := st.session_state.pop(_MESSAGE, ""):
        st.success(message, icon=":material/check_circle:")


def _save(run: Run, name: str, past: History, edit: Edit) -> None:
    assert edit.mask is not None
    if not edit.mask.cut and edit.rows is None:
        raise InputError("This edit is empty: it cuts no neuron and resets no token. Move a slider first.")
    folder = save_named(run, name, new_recipe(RunContext(run), past.now, edit.mask, edit.rows))
    st.session_state[_MESSAGE], st.session_state[_SAVED] = f"Saved as {escaped(folder.name)}.", True
    st.rerun()


def _load(run: Run, folder: Path | None, past: History) -> None:
    if folder is None:
        raise InputError("No recipe is chosen. Choose one of those that were saved.")
    with base_model(run) as loaded:
        cut = load_named(folder, run.ranking(), loaded.map.shapes)
    now = replace(past.now, token_rows=replace(past.now.token_rows, strength=cut.token_rows.strength))
    for_all = "excluded_neurons", "picked_neurons", "token_rows"
    if any(getattr(cut, name) != getattr(now, name) for name in for_all):
        strength = run.config.neural_probing.token_rows.strength
        asked = {
            "excluded_neurons": [list(neuron) for neuron in cut.excluded_neurons],
            "picked_neurons": [list(neuron) for neuron in cut.picked_neurons],
            "token_rows": asdict(replace(cut.token_rows, strength=strength)) | {"kept": list(cut.token_rows.kept)},
        }
        run.save_config(changed(run.config, neural_probing=asked))
    past.go(cut)
    st.session_state[_MESSAGE] = f"Loaded {escaped(folder.name)}."
    st.rerun()
