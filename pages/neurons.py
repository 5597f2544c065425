"""Neurons: rank them by how much they carry the concept, and look at the ranking."""

import pandas as pd
import streamlit as st

from pages.components.current_run import changed, current_run
from pages.components.frame import show
from pages.components.model_cache import execute
from pages.components.navigation import finished_stages, needs, next_step
from pages.components.neurons.gates_history import show_course, watched
from pages.components.neurons.ranking_comparison import compare_rankings
from pages.components.neurons.ranking_settings import choose_settings
from pages.components.neurons.ranking_view import explore
from pages.components.progress import flash, run_with_progress, show_errors
from unlearning_core.figures.distributions import score_histogram
from unlearning_core.runs.context import RunContext
from unlearning_core.runs.run import Run

PAGE = "pages/neurons.py"


def main() -> None:
    """Draw the page."""
    st.title("Neurons")
    st.markdown("Which neurons carry the concept? A ranking puts those first that matter most for it.")
    run = current_run()
    if not needs(run, "pages/concept.py") or run is None:
        return
    settings = choose_settings(run)
    if st.button("Rank the neurons", type="primary", icon=":material/hub:"):
        run.save_config(changed(run.config, neural_probing=settings))
        course = st.empty()
        if run_with_progress(
            "Ranking neurons", lambda bar: execute(run, "rank", watched(bar, run, course)), only_one=run.id
        ):
            flash("The neurons are ranked.")
            st.rerun()
    if "rank" in finished_stages(run):
        with show_errors():
            st.divider()
            show_ranking(run)
            next_step(PAGE)


def show_ranking(run: Run) -> None:
    """What the ranking found, to explore; all scores, and the protected neurons."""
    ranking = RunContext(run).ranking
    summary = run.status()["stages"]["rank"]["summary"]
    row = st.container(horizontal=True, gap="large")
    row.metric("Neurons ranked", f"{len(ranking):,}", width="content")
    row.metric("Tokens read", f"{summary['tokens']:,}", width="content")
    row.metric("Protected", summary["protected"], help="Massive neurons, ranked last.", width="content")
    show_course(run)
    explore(run)
    compare_rankings(run)
    with st.expander("All scores, and the protected neurons"):
        site = str(ranking["site"].iloc[0])
        st.plotly_chart(score_histogram(ranking, site), key="histogram", alt="How many neurons have which score")
        _massive(run)


def _massive(run: Run) -> None:
    massive = pd.read_parquet(run.folder / "massive.parquet")
    if massive.empty:
        st.caption("No neuron of this model has a massive activation.")
        return
    st.markdown("**Massive neurons**: what they put out at the first position, and elsewhere.")
    st.dataframe(massive, hide_index=True)


show(main)
