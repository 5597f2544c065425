"""Whether the concept is still inside though it is not said: layer by layer, and how sure it is of right answers."""

from typing import Any

import pandas as pd
import streamlit as st

from pages.components.navigation import as_it_is
from unlearning_core.figures.depth import depth_curves, lens_curves, probe_curves
from unlearning_core.figures.distributions import cumulative_shares
from unlearning_core.methods.registry import NEVER_KNEW, state_title, states_of
from unlearning_core.runs.run import Run

_VIEWS = {
    "depth": "What its layers lack", "lens": "What can be read in them", "probe": "What can be learnt from them",
    "truth": "Right against wrong answers",
}  # fmt: skip


def has_inside(run: Run) -> bool:
    """Whether any of it was measured."""
    return any(_tables(run).values())


def show_inside(run: Run) -> None:
    """One of the figures of what was measured, to choose."""
    found = _tables(run)
    kinds = [kind for kind in _VIEWS if found.get(kind)]
    kind = st.segmented_control(
        "Picture", kinds, default=kinds[0], required=True, format_func=_VIEWS.__getitem__, key=f"inside {run.id}",
        label_visibility="collapsed",
    )  # fmt: skip
    {"depth": _depth, "lens": _lens, "probe": _probe, "truth": _truth}[kind or kinds[0]](run, found)


def _states(run: Run) -> list[str]:
    return [*states_of(run.config), NEVER_KNEW]


@st.cache_data(show_spinner="Reading what was measured in the layers", max_entries=8, hash_funcs={Run: as_it_is})
def _tables(run: Run) -> dict[str, dict[str, pd.DataFrame]]:
    """By kind and state: "depth", "lens" and "probe", a row a layer; "truth", a row a question."""
    from unlearning_core.evaluation.depth import by_layer
    from unlearning_core.evaluation.readout import lens_by_layer, probe_by_layer

    found: dict[str, dict[str, pd.DataFrame]] = {"depth": {}, "lens": {}, "probe": {}, "truth": {}}
    for state in _states(run):
        depth, readout = run.proof_frames("depth", state), run.proof_frames("readout", state)
        if depth and len(depth["layers"]):
            found["depth"][state] = by_layer(depth)
        if readout and len(readout["lens"]):
            found["lens"][state] = lens_by_layer(readout)
        if readout and len(readout["probe"]):
            found["probe"][state] = probe_by_layer(readout)
        scored = run.proof_frames("memorisation", state)
        if scored and len(scored["truth"]):
            found["truth"][state] = scored["truth"]
    return found


def _depth(run: Run, found: dict[str, Any]) -> None:
    states = [state for state in found["depth"] if state != NEVER_KNEW] or list(found["depth"])
    state = str(
        st.segmented_control("Model", states, default=states[-1], format_func=state_title, key="depth of state")
        or states[-1]
    )
    st.plotly_chart(depth_curves(found["depth"][state], state), key="depth", alt="Loss by layer that is replaced")
    st.caption(
        "The inner states of a model are put into the base, one layer at a time, and the base then predicts the "
        "concept's words. Where those of the never-knew model make it fail and those of this one do not, the "
        "knowledge is still in them."
    )


def _lens(run: Run, found: dict[str, Any]) -> None:
    st.plotly_chart(lens_curves(found["lens"], _states(run)), key="lens", alt="What is read in each layer, by state")
    st.caption("Each layer is read as if it were the last one: how far up the list is the right word of the concept?")


def _truth(run: Run, found: dict[str, Any]) -> None:
    ratios = {state: table["truth_ratio"] for state, table in found["truth"].items()}
    figure = cumulative_shares(ratios, _states(run), "truth ratio", logarithmic=True)
    st.plotly_chart(figure, key="truth", alt="Truth ratios of the questions, a curve a state")
    st.caption(
        "Truth ratio of each question: how likely wrong answers are beside the right one. 1: it cannot tell them "
        "apart; far below 1: it knows; far above: it shuns the right answer. Forgotten looks like the never-knew curve."
    )


def _probe(run: Run, found: dict[str, Any]) -> None:
    st.plotly_chart(probe_curves(found["probe"], _states(run)), key="probe", alt="What a probe tells, by layer")
    st.caption(
        "A simple reader is trained on each layer to tell which word of the concept comes next. As good as on labels "
        "dealt out at random means that nothing is there to read."
    )
