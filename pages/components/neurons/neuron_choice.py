"""Which neuron the visitor looks at (kept in the URL), which are pinned, which are never cut (kept in the run)."""

import re

import pandas as pd
import streamlit as st

from pages.components.current_run import changed
from pages.components.work import refuse_if_busy
from unlearning_core.errors import InputError
from unlearning_core.neurons.neuron import Neuron
from unlearning_core.runs.run import Run

_KEY = "neuron"
_CHANGES = "changes of the neuron"


def changes() -> int:
    """How often the neuron was chosen or left: part of the key of a table, whose ticked row would stay ticked."""
    return int(st.session_state.get(_CHANGES, 0))


def chosen_neuron(site: str, shape: tuple[int, int]) -> Neuron | None:
    """The neuron that the URL names as layer.index, if it is one of `shape`; a URL that names another is mended."""
    found = re.fullmatch(r"(\d{1,6})\.(\d{1,9})", st.query_params.get(_KEY, ""))
    neuron = Neuron(site, int(found[1]), int(found[2])) if found else None
    if neuron is not None and neuron.layer < shape[0] and neuron.index < shape[1]:
        return neuron
    if _KEY in st.query_params:
        choose_neuron(None)
    return None


def named_neuron(text: str, ranking: pd.DataFrame, site: str) -> Neuron | None:
    """The neuron that a person names as layer.index or, by its rank, as #rank; None for an empty text.

    Raises:
        InputError: the text names none, or there is no such neuron in the ranking.
    """
    if not (text := text.strip()):
        return None
    by_number, by_rank = re.fullmatch(r"(\d{1,6})\s*[.:,]\s*(\d{1,9})", text), re.fullmatch(r"#\s*(\d{1,9})", text)
    if by_number:
        rows = ranking[(ranking["layer"] == int(by_number[1])) & (ranking["index"] == int(by_number[2]))]
    elif by_rank:
        rows = ranking[ranking["rank"] == int(by_rank[1]) - 1]
    else:
        raise InputError(f"{text!r} names no neuron. Write layer and neuron, such as 5.521, or a rank, such as #1.")
    if rows.empty:
        layers, width = int(ranking["layer"].max()) + 1, int(ranking["index"].max()) + 1
        raise InputError(
            f"There is no neuron {text}. There are {layers} layers of {width:,} neurons, counted from 0, and ranks "
            f"#1 to #{len(ranking)}."
        )
    return Neuron(site, int(rows["layer"].iloc[0]), int(rows["index"].iloc[0]))


def choose_neuron(neuron: Neuron | None) -> None:
    """From now on the visitor looks at `neuron`, or at none; tables have no row ticked."""
    st.session_state[_CHANGES] = st.session_state.get(_CHANGES, 0) + 1
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
