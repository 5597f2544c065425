"""The training of gates on the Neurons page: how far it has come while it goes, and how it went."""

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from unlearning_core.figures.training_curves import gate_history
from unlearning_core.progress import Progress, ProgressCallback
from unlearning_core.runs.run import Run
from unlearning_core.runs.stages.rank import FOLDER, HISTORY

_ALT = "Rise of the concept's loss and divergence elsewhere, and how many gates are closed, by step"


def watched(bar: ProgressCallback, run: Run, place: DeltaGenerator) -> ProgressCallback:
    """`bar`, and with it in `place` the course of the gates as they are trained."""
    from unlearning_core.rankers.gate_training import TASK
    from unlearning_core.rankers.history import read_history

    drawn = 0

    def told(update: Progress) -> None:
        nonlocal drawn
        bar(update)
        if not update.task.startswith(TASK):
            return
        steps = read_history(run.folder / FOLDER)
        # Two points make a line; the same picture twice would be the same element twice.
        if len(steps) > max(drawn, 1):
            drawn = len(steps)
            place.plotly_chart(gate_history(steps), alt=_ALT)

    return told


def show_course(run: Run) -> None:
    """How the gates behind the run's ranking were trained; nothing for other methods."""
    steps = run.read_json(HISTORY)
    if not steps:
        return
    with st.expander(f"How {len(steps):,} steps of training closed the gates"):
        st.plotly_chart(gate_history(steps), key="gates course", alt=_ALT)
        st.caption(
            "Each step cuts other neurons at random, the likelier the more their gates are closed, and learns which "
            "cuts cost the concept most and the rest least."
        )
