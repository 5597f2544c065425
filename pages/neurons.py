"""Neurons: rank them by how much they carry the concept, and look at the ranking."""

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from pages.components.current_run import changed
from pages.components.frame import show
from pages.components.navigation import CONCEPT, NEURONS, is_done, link_to_next, run_beyond
from pages.components.neurons.known_neurons import told
from pages.components.neurons.ranking_settings import choose_settings, ranking_name
from pages.components.neurons.ranking_view import explore
from pages.components.progress import run_and_redraw, show_errors
from pages.components.work import bring_up_to_date
from unlearning_core.figures.style import SITE_NAMES
from unlearning_core.figures.training_curves import gate_history
from unlearning_core.progress import Progress, ProgressCallback
from unlearning_core.runs.rankings import OtherRanking
from unlearning_core.runs.run import Run
from unlearning_core.runs.stages.rank import WORK

ALT = "Rise of the concept loss and divergence on other text, and how many gates are closed, by step"


def main() -> None:
    """Draw the page."""
    st.title(
        "Neurons", help="Which neurons carry the concept? A ranking puts those first that matter most for it.",
    )  # fmt: skip
    run = run_beyond(CONCEPT)
    if run is None:
        return
    ranked = is_done(run, NEURONS)
    if ranked:
        with show_errors():
            ranking_line(run)
    if not ranked or st.session_state.get(_opened(run)):
        choose_and_rank(run)
    if is_done(run, NEURONS):
        with show_errors():
            if steps := run.ranking_history():
                with st.expander(f"How {len(steps):,} steps of training closed the gates"):
                    st.plotly_chart(gate_history(steps), key="gate history", alt=ALT)
                    st.caption(
                        "Each step cuts other neurons at random, the likelier the more their gates are closed, and "
                        "learns which cuts cost the concept most and other text least."
                    )
            explore(run)
            link_to_next(NEURONS)


def ranking_line(run: Run) -> None:
    """What was ranked and by which method, in one line, and the button that opens the form."""
    ranking, summary = run.ranking(), run.status()["stages"]["rank"]["summary"]
    protected, site = int(summary["protected"]), str(ranking["site"].iloc[0])
    row = st.container(horizontal=True, vertical_alignment="center", gap="small")
    row.markdown(
        f"{len(ranking):,} {SITE_NAMES.get(site, site)}, ranked by **{ranking_name(OtherRanking.own(run))}**.",
        help=f"Read on {summary['tokens']:,} tokens. Protected: {protected or 'no'} massive neurons, which hold the "
        "whole text together; they are ranked last.",
    )
    row.button(
        "Leave it" if st.session_state.get(_opened(run)) else "Change", key="change ranking", icon=":material/tune:",
        on_click=_open, args=(run,), help="Rank by another method, kind of neuron or place.",
    )  # fmt: skip
    if known := told(run.config.base_model.base_model_path, ranking):
        st.markdown(known)


def choose_and_rank(run: Run) -> None:
    """The form, and the button that ranks."""
    settings = choose_settings(run)
    if st.button("Rank the neurons", type="primary", icon=":material/hub:"):
        run.save_config(changed(run.config, neural_probing=settings))
        place = st.empty()

        def rank(bar: ProgressCallback) -> None:
            bring_up_to_date(run, "rank", drawing_gates(bar, run, place))
            st.session_state.pop(_opened(run), None)

        run_and_redraw("Ranking neurons", rank, only_one=run.id, message="The neurons are ranked.")


def drawing_gates(bar: ProgressCallback, run: Run, place: DeltaGenerator) -> ProgressCallback:
    """`bar`, which also draws in `place` how the training of the gates has gone so far."""
    from unlearning_core.rankers.gate_training import TASK
    from unlearning_core.rankers.history import read_history

    drawn = 1  # two points make a line

    def report(update: Progress) -> None:
        nonlocal drawn
        bar(update)
        # The same picture twice would be the same element twice.
        if update.task.startswith(TASK) and len(steps := read_history(run.work_folder(WORK))) > drawn:
            drawn = len(steps)
            place.plotly_chart(gate_history(steps), alt=ALT)

    return report


def _opened(run: Run) -> str:
    """The key under which is kept whether the visitor opened the form."""
    return f"ranking form {run.id}"


def _open(run: Run) -> None:
    st.session_state[_opened(run)] = not st.session_state.get(_opened(run))


show(main)
