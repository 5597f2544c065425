"""The neurons that are cut whatever their rank: one line beside the slider, with the list to edit behind it."""

from dataclasses import replace

import pandas as pd
import streamlit as st

from pages.components.field_names import told
from pages.components.neurons.hand_pick import picked_neurons, set_picked
from unlearning_core.edits.cut_settings import CutSettings
from unlearning_core.edits.mask import Shapes
from unlearning_core.errors import InputError
from unlearning_core.neurons.picking import read_neurons, write_neurons
from unlearning_core.runs.run import Run


def pick_by_hand(run: Run, cut: CutSettings, ranking: pd.DataFrame, shapes: Shapes) -> None:
    """How many neurons were picked, and their list; what is typed is kept with the run, or told what is wrong."""
    picked, site = picked_neurons(run), str(ranking["site"].iloc[0])
    key, wrong = f"picked {run.id}", f"picked wrong {run.id}"
    count = len(picked)
    label = f"{count:,} neuron{'' if count == 1 else 's'} picked by hand" if count else "Pick neurons by hand"

    def typed() -> None:
        st.session_state.pop(wrong, None)
        try:
            neurons = read_neurons(st.session_state[key] or "", ranking, shapes)
            replace(cut, picked_neurons=tuple(neuron.key for neuron in neurons)).check_picked({site})
            set_picked(run, neurons)
        except InputError as error:
            st.session_state[wrong] = str(error)

    with st.popover(label, icon=":material/touch_app:", key=f"picked list {run.id}", width="stretch"):
        problem = st.session_state.get(wrong)
        listed = write_neurons(picked, site)
        if not problem and st.session_state.get(key) != listed:
            st.session_state[key] = listed
        st.text_area(
            "Cut these too, one a line", key=key, height=150, on_change=typed, placeholder="3.17\n3.100-105",
            help="Layer and neuron, counted from 0: 3.17 is neuron 17 of layer 3. They are cut beside the share, also "
            "at a share of 0, and are kept with the run. The card on the Neurons page has a button for one neuron.",
        )  # fmt: skip
        if problem:
            st.error(told(problem), icon=":material/error:")
