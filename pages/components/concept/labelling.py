"""Labelling from the Concept page: settings are saved and the sentences labelled anew, without any model."""

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from pages.components.current_run import changed
from pages.components.progress import flash, run_with_progress
from unlearning_core.errors import InputError
from unlearning_core.progress import ProgressCallback
from unlearning_core.runs import background
from unlearning_core.runs.context import RunContext
from unlearning_core.runs.run import Run

KINDS = {"words": "dropped_words", "senses": "dropped_senses", "sentences": "dropped_sentences"}
"""What can be left out by hand, and its key in neural_probing."""


def relabel(run: Run, show_flash: str, **sections: Any) -> None:
    """Change keys of the run's settings and label; then the page is drawn anew and says `show_flash`.

    Raises:
        InputError: a process works on the run, or a setting is out of range.
    """
    if background.is_running(run):
        raise InputError("This run is being retrained at the moment. Wait for it, or stop it on the Retrain page.")
    run.save_config(changed(run.config, **sections))

    def context(bar: ProgressCallback) -> None:
        from unlearning_core.runs.pipeline import execute

        execute(run, bar, until="label", context=RunContext(run, bar))

    if run_with_progress("Labelling sentences", context, only_one=run.id):
        flash(show_flash)
        st.rerun()


def leave_out(run: Run, kind: str, entries: Sequence[Any]) -> None:
    """Add to what is left out by hand (`kind` of KINDS), and label."""
    key = KINDS[kind]
    known = list(getattr(run.config.neural_probing, key))
    new = [entry for entry in entries if entry not in known]
    relabel(run, "It is left out. The steps after this one start from the sentences as they are now.",
            neural_probing={key: known + new})  # fmt: skip


def take_back(run: Run, chosen: Mapping[str, Sequence[int]]) -> None:
    """Take corrections back, named by kind and place in the settings, and label."""
    probing = run.config.neural_probing
    left = {
        key: [entry for place, entry in enumerate(getattr(probing, key)) if place not in chosen.get(kind, ())]
        for kind, key in KINDS.items()
    }
    relabel(run, "It is back among the sentences.", neural_probing=left)
