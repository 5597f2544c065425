"""The states of a model beside each other: their names and colours, and texts in a column each."""

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from pages.components.marked_text import CHANGED
from unlearning_core.methods.registry import METHODS, NEVER_KNEW, state_title

PRUNED = METHODS["prune"].state
"""The state that the Prune page makes: the base model with neurons cut."""

_COLOURS = {"base": "blue", PRUNED: "orange", "retrained": "green", NEVER_KNEW: "gray"}
LEGEND = (
    f":orange-background[**Highlighted**]: a word of the concept. :{CHANGED}[*Italic*]: a word that differs from what "
    "base wrote. All models draw with the same random numbers."
)


def heading(state: str) -> str:
    """Its name in its colour."""
    return f":{_COLOURS.get(state, 'violet')}[**{state_title(state)}**]"


def columns(states: Sequence[str]) -> dict[str, DeltaGenerator]:
    """A column for each state."""
    return dict(zip(states, st.columns(len(states), gap="medium"), strict=True))


def labelled_columns(states: Sequence[str]) -> dict[str, DeltaGenerator]:
    """A column for each state under its name, which stays with it where a narrow page puts them below each other."""
    found = columns(states)
    for state, column in found.items():
        column.markdown(heading(state))
    return found


def headings(states: Sequence[str]) -> None:
    """The names of the states, a column each."""
    for state, column in columns(states).items():
        column.markdown(heading(state))


def texts_by_prompt(written: Mapping[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, str]]]:
    """From what each state wrote: by prompt and sample, the text of each state; empty where one wrote nothing."""
    found: dict[str, list[dict[str, str]]] = {}
    for state, texts in written.items():
        for text in texts:
            samples = found.setdefault(text["prompt"], [])
            while len(samples) <= text["sample"]:
                samples.append(dict.fromkeys(written, ""))
            samples[text["sample"]][state] = text["text"]
    return found
