"""The training of gates on the Neurons page: how far it has come while it goes, and how it went."""

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from unlearning_core.figures.training_curves import gate_history
from unlearning_core.progress import Progress, ProgressCallback
from unlearning_core.runs.run import Run
from unlearning_core.runs.stages.rank import WORK

_ALT = "Rise of the concept's loss and divergence elsewhere, and how many gates are closed, by step"


def drawing_gates(bar: ProgressCallback, run: Run, place: DeltaGenerator) -> ProgressCallback:
    """`bar`, which also draws in `place` how the training of the gates has gone so far."""
    from unlearning_core.rankers.gate_training import TASK
    from unlearning_core.rankers.history import read_history

    drawn = 0

    def report(update: Progress) -> None:
        nonlocal drawn
        bar(update)
        if not update.task.startswith(TASK):
            return
        steps = read_history(run.work_folder(WORK))
        # Two points make a line; the same picture twice would be the same element twice.
        if len(steps) > max(drawn, 1):
            drawn = len(steps)
            place.plotly_chart(gate_history(steps), alt=_ALT)

    return report


def show_gate_history(run: Run) -> None:
    """How the gates behind the run's ranking were trained; nothing for other methods."""
    steps = run.ranking_history()
    if not steps:
        return
    with st.expander(f"How {len(steps):,} steps of training closed the gates"):
        st.plotly_chart(gate_history(steps), key="gate history", alt=_ALT)
        st.caption(
            "Each step cuts other neurons at random, the likelier the more their gates are closed, and learns which "
            "cuts cost the concept most and the rest least."
        )
