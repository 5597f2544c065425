"""The neurons that a person picked to be cut whatever their rank; they stand in the run's settings."""

from collections.abc import Sequence

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from pages.components.current_run import changed
from pages.components.progress import flash, show_errors
from pages.components.work import refuse_if_busy
from unlearning_core.neurons.neuron import Neuron
from unlearning_core.runs.run import Run


def picked_neurons(run: Run) -> list[Neuron]:
    """The neurons that every cut of the run takes, in the order in which they were picked."""
    return [Neuron(*key) for key in run.config.neural_probing.picked_neurons]


def set_picked(run: Run, neurons: Sequence[Neuron]) -> None:
    """From now on these are the neurons picked by hand.

    Raises:
        InputError: the run is being worked on.
    """
    refuse_if_busy(run)
    run.save_config(changed(run.config, neural_probing={"picked_neurons": [neuron.key for neuron in neurons]}))


def offer_pick(run: Run, neuron: Neuron, name: str, place: DeltaGenerator) -> None:
    """A button in `place` that puts `neuron`, called `name`, on the list, or takes it off."""
    picked, excluded = picked_neurons(run), run.config.neural_probing.excluded_neurons
    on = neuron in picked
    if place.button(
        "Take it off the list" if on else "Cut it too", disabled=neuron.key in excluded and not on, key="pick neuron",
        icon=":material/remove_done:" if on else ":material/content_cut:",
        help="A neuron that is cut too is part of every cut of this run, beside the share that the slider of the "
        "Prune page takes. The whole list stands there.",
    ):  # fmt: skip
        with show_errors():
            set_picked(run, [other for other in picked if other != neuron] if on else [*picked, neuron])
            flash(f"{name} is {'off the list' if on else 'cut too'}. Keep the cut again on Prune.")
            st.rerun()
    if on:
        st.caption(":material/content_cut: This neuron was picked by hand: every cut takes it.")
