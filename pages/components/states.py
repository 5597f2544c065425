"""The states of a model beside each other: their names and colours, and texts in a column each."""

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from pages.components.marked_text import CHANGED, with_concept
from pages.components.navigation import finished_stages
from unlearning_core.concepts.matcher import Matcher
from unlearning_core.methods.registry import METHODS, NEVER_KNEW, state_title
from unlearning_core.runs.run import Run

PRUNED = METHODS["prune"].state
"""The state that the Prune page makes: the base model with neurons cut."""

_COLOURS = {"base": "blue", PRUNED: "orange", "retrained": "green", NEVER_KNEW: "gray"}
LEGEND = (
    f":orange-background[**Bold**]: a word of the concept. :{CHANGED}[*Italic*]: not what the base model wrote. "
    "All models use the same random numbers."
)


def heading(state: str) -> str:
    """Its name in its colour."""
    return f":{_COLOURS.get(state, 'violet')}[**{state_title(state)}**]"


def columns(states: Sequence[str]) -> dict[str, DeltaGenerator]:
    """A column for each state."""
    return dict(zip(states, st.columns(len(states), gap="medium"), strict=True))


def headings(states: Sequence[str]) -> None:
    """The names of the states, a column each."""
    for state, column in columns(states).items():
        column.markdown(heading(state))


def show_texts(matcher: Matcher, texts: Mapping[str, str]) -> None:
    """A text for each state, a column each, with what the base model wrote otherwise marked."""
    for state, column in columns(list(texts)).items():
        column.markdown(with_concept(texts[state], matcher, texts.get("base") if state != "base" else None))


def measured_states(run: Run) -> list[str]:
    """The states that are measured with the settings as they are now, the base first."""
    done = finished_stages(run)
    return [state for state in run.states() if f"measure {state}" in done]


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
