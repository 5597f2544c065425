"""What an attack left to look at: curves of a training, what each change of the weights brings back, answers it got."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from pages.components.marked_text import escaped
from pages.components.navigation import as_it_is
from pages.components.states import heading
from unlearning_core.evaluation.suite import Part
from unlearning_core.figures.relearning import relearning_race, relearning_rates
from unlearning_core.methods.registry import NEVER_KNEW, state_title, states_of
from unlearning_core.runs.proof_evidence import attacks, back_by_weights, races, won_answers
from unlearning_core.runs.run import Run


def attacks_to_see(run: Run) -> list[Part]:
    """Those of which there is more to see than their cards say."""
    there = _with_something(run)
    return [attack for attack in attacks() if attack.name in there]


@st.cache_data(show_spinner=False, max_entries=16, hash_funcs={Run: as_it_is})
def _with_something(run: Run) -> frozenset[str]:
    return frozenset(attack.name for attack in attacks() if _left_something(run, attack))


def _left_something(run: Run, attack: Part) -> bool:
    if races(run, attack) or back_by_weights(run, attack) is not None:
        return True
    return any(won_answers(run, attack, state) for state in states_of(run.config)[1:])


def show_evidence(run: Run) -> None:
    """Whatever there is to see of one attack, to choose."""
    left, right = st.columns([2, 1], vertical_alignment="bottom")
    attack = left.selectbox(
        "Attack", attacks_to_see(run), format_func=lambda one: one.title, key=f"evidence {run.id}",
        label_visibility="collapsed",
    )  # fmt: skip
    if found := races(run, attack):
        every = right.toggle("Every learning rate", False, key=f"rates {attack.name}", wrap=True)
        _curves(attack, found, every=every)
    _weights(run, attack)
    _answers(run, attack)


def _curves(attack: Part, found: Mapping[str, pd.DataFrame], *, every: bool) -> None:
    figure = (
        relearning_rates(found)
        if every
        else relearning_race(found).update_layout(height=290, margin={"t": 10, "b": 80})
    )
    st.plotly_chart(figure, key=f"race {attack.name}", alt=f"{attack.title}: loss on the concept's words by step")
    st.caption(
        "The lower a line falls, the more of the concept is back. "
        + ("" if every else "Each state is drawn at the learning rate that brings it back soonest.")
    )


def _weights(run: Run, attack: Part) -> None:
    table = back_by_weights(run, attack)
    if table is None:
        return
    states = [state for state in table.columns if state != "weights"]
    columns: dict[str, Any] = {
        state: st.column_config.NumberColumn(state_title(state), format="percent") for state in states
    }
    st.dataframe(table, hide_index=True, height="content", column_config=columns | {"weights": "Its numbers"})
    st.caption("How much of what was to be forgotten is there: 0 % is a model that never knew, 100 % the base.")


def _answers(run: Run, attack: Part) -> None:
    for state in [*states_of(run.config)[1:], NEVER_KNEW][::-1]:
        found = won_answers(run, attack, state)
        if not found or state == NEVER_KNEW:
            continue
        lines = "\n".join(f"- {escaped(_short(question))} **{escaped(answer)}**" for question, answer in found)
        st.markdown(f"{heading(state)} answered\n{lines}")
        return


def _short(question: str, most: int = 140) -> str:
    """The end of a long prompt: what was asked stands there."""
    return question if len(question) <= most else f"… {question[-most:]}"
