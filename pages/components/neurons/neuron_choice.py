"""Which neuron the visitor looks at (kept in the URL), which are pinned, which are never cut (kept in the run)."""

import re

import streamlit as st

from pages.components.current_run import changed
from pages.components.work import refuse_if_busy
from unlearning_core.neurons.neuron import Neuron
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


def pinned_neurons(run: Run) -> list[Neuron]:
    """The neurons that somebody pinned, in that order; they survive a refresh and are there for a second visitor."""
    return [Neuron(str(site), int(layer), int(index)) for site, layer, index in run.note("pinned_neurons") or []]


def toggle_pin(run: Run, neuron: Neuron) -> None:
    """Pin it, or no longer."""
    others = [other for other in pinned_neurons(run) if other != neuron]
    kept = others if neuron in pinned_neurons(run) else [*others, neuron]
    run.write_note("pinned_neurons", [list(other.key) for other in kept])


def excluded_neurons(run: Run) -> list[Neuron]:
    """The neurons that no cut of the run touches."""
    return [Neuron(*key) for key in run.config.neural_probing.excluded_neurons]


def set_excluded(run: Run, neuron: Neuron, excluded: bool) -> None:
    """Keep it out of every cut of the run, also where it was picked by hand, or let cuts touch it again.

    Raises:
        InputError: the run is being worked on.
    """
    refuse_if_busy(run)
    others = [other.key for other in excluded_neurons(run) if other != neuron]
    keys = [*others, neuron.key] if excluded else others
    picked = [key for key in run.config.neural_probing.picked_neurons if not excluded or key != neuron.key]
    run.save_config(changed(run.config, neural_probing={"excluded_neurons": keys, "picked_neurons": picked}))
