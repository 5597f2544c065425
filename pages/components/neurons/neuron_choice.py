"""Which neuron the visitor looks at (kept in the URL), which are pinned, which are never cut (kept in the run)."""

import re

import streamlit as st

from pages.components.current_run import changed
from unlearning_core.errors import InputError
from unlearning_core.neurons.neuron import Neuron
from unlearning_core.neurons.pins import pin, pinned, unpin
from unlearning_core.runs import background
from unlearning_core.runs.run import Run

_KEY = "neuron"


def chosen_neuron(site: str, shape: tuple[int, int]) -> Neuron | None:
    """The neuron that the URL names as layer.index, if it is one of `shape`; a URL that names another is mended."""
    found = re.fullmatch(r"(\d{1,6})\.(\d{1,9})", st.query_params.get(_KEY, ""))
    neuron = Neuron(site, int(found[1]), int(found[2])) if found else None
    if neuron is not None and neuron.layer < shape[0] and neuron.index < shape[1]:
        return neuron
    choose_neuron(None)
    return None


def choose_neuron(neuron: Neuron | None) -> None:
    """From now on the visitor looks at `neuron`, or at none."""
    if neuron is None:
        st.query_params.pop(_KEY, None)
    else:
        st.query_params[_KEY] = f"{neuron.layer}.{neuron.index}"


def is_pinned(run: Run, neuron: Neuron) -> bool:
    """Whether somebody pinned it."""
    return neuron in pinned(run)


def toggle_pin(run: Run, neuron: Neuron) -> None:
    """Pin it, or no longer."""
    if is_pinned(run, neuron):
        unpin(run, neuron)
    else:
        pin(run, neuron)


def excluded_neurons(run: Run) -> list[Neuron]:
    """The neurons that no cut of the run touches."""
    return [Neuron(*key) for key in run.config.neural_probing.excluded_neurons]


def is_excluded(run: Run, neuron: Neuron) -> bool:
    """Whether no cut touches it."""
    return neuron in excluded_neurons(run)


def set_excluded(run: Run, neuron: Neuron, excluded: bool) -> None:
    """Keep it out of every cut of the run, or let cuts touch it again.

    Raises:
        InputError: the run is being worked on.
    """
    if background.is_running(run):
        raise InputError("This run is being retrained at the moment. Wait for it, or stop it on the Retrain page.")
    others = [other.key for other in excluded_neurons(run) if other != neuron]
    keys = [*others, neuron.key] if excluded else others
    run.save_config(changed(run.config, neural_probing={"excluded_neurons": keys}))
