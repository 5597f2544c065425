"""Neurons: rank them by how much they carry the concept, and look at the ranking."""

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from pages.components.current_run import changed
from pages.components.frame import show
from pages.components.navigation import CONCEPT, NEURONS, is_done, link_to_next, run_beyond
from pages.components.neurons.known_neurons import told
from pages.components.neurons.ranking_comparison import compare_rankings
from pages.components.neurons.ranking_settings import choose_settings
from pages.components.neurons.ranking_view import explore
from pages.components.progress import run_and_redraw, show_errors
from pages.components.rows import metric_row
from pages.components.work import bring_up_to_date
from unlearning_core.figures.distributions import score_histogram
from unlearning_core.figures.training_curves import gate_history
from unlearning_core.neurons.neuron import expert_columns
from unlearning_core.progress import Progress, ProgressCallback
from unlearning_core.runs.run import Run
from unlearning_core.runs.stages.rank import WORK

ALT = "Rise of the concept loss and divergence on other text, and how many gates are closed, by step"


def main() -> None:
    """Draw the page."""
    st.title("Neurons")
    st.markdown("Which neurons carry the concept? A ranking puts those first that matter most for it.")
    run = run_beyond(CONCEPT)
    if run is None:
        return
    settings = choose_settings(run)
    if st.button("Rank the neurons", type="primary", icon=":material/hub:"):
        run.save_config(changed(run.config, neural_probing=settings))
        place = st.empty()

        def rank(bar: ProgressCallback) -> None:
            bring_up_to_date(run, "rank", drawing_gates(bar, run, place))

        run_and_redraw("Ranking neurons", rank, only_one=run.id, message="The neurons are ranked.")
    if is_done(run, NEURONS):
        with show_errors():
            st.divider()
            show_ranking(run)
            link_to_next(NEURONS)


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


def show_ranking(run: Run) -> None:
    """What the ranking found, to explore; all scores, and the protected neurons."""
    ranking, summary = run.ranking(), run.status()["stages"]["rank"]["summary"]
    st.subheader("The ranking", anchor="ranking")
    metric_row(
        ("Neurons ranked", f"{len(ranking):,}"),
        ("Tokens read", f"{summary['tokens']:,}"),
        ("Protected", str(summary["protected"]), "Massive neurons, ranked last."),
    )
    if known := told(run.config.base_model.base_model_path, ranking):
        st.markdown(known)
    if steps := run.ranking_history():
        with st.expander(f"How {len(steps):,} steps of training closed the gates"):
            st.plotly_chart(gate_history(steps), key="gate history", alt=ALT)
            st.caption(
                "Each step cuts other neurons at random, the likelier the more their gates are closed, and learns "
                "which cuts cost the concept most and other text least."
            )
    explore(run)
    compare_rankings(run)
    with st.expander("All scores, and the protected neurons"):
        site = str(ranking["site"].iloc[0])
        st.plotly_chart(score_histogram(ranking, site), key="histogram", alt="How many neurons have which score")
        massive = run.massive()
        if massive.empty:
            st.caption("No neuron of this model has a massive activation.")
        else:
            st.markdown("**Massive neurons**: what they put out at the first position, and at all others.")
            names = ranking[["site", "layer", "index", *expert_columns(ranking)]]
            st.dataframe(massive.merge(names, on=["site", "layer", "index"], how="left"), hide_index=True)


show(main)
