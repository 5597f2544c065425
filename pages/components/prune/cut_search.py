"""The smallest cut that works: in goes how much to forget and to lose at most, out come a cut and a sentence."""

from dataclasses import replace

import streamlit as st

from pages.components.marked_text import escaped
from pages.components.model_cache import base_model
from pages.components.progress import run_and_redraw, show_flash
from pages.components.prune.cut_settings import History
from unlearning_core.evaluation.search import Target
from unlearning_core.progress import ProgressCallback
from unlearning_core.runs.run import Run
from unlearning_core.runs.search import RunSearch

_FOUND = "smallest cuts"


def find_smallest(run: Run, past: History) -> None:
    """Ask for a target, search, show the cut that was found; a cut that is not wanted is undone like any other."""
    # A fragment that is drawn alone is below the place where the frame says that work was stopped.
    show_flash()
    with st.expander("Find the smallest cut that works", icon=":material/target:"):
        asked = run.config.search
        left, right = st.columns(2, gap="large")
        forget = left.number_input(
            "Forget at least, nats", 0.01, 20.0, asked.forget or 1.0, step=0.1, key=f"forget at least {run.id}",
            help="How much worse the concept's words are predicted: 1 nat makes each 2.7 times less likely.",
        )  # fmt: skip
        retain = right.number_input(
            "Lose elsewhere at most, nats", 0.0, 5.0, asked.retain, step=0.01, key=f"lose at most {run.id}",
            help="How much worse all other words may be predicted: 0.05 is 5 % of perplexity.",
        )  # fmt: skip
        if st.button("Find the smallest cut", icon=":material/search:", key=f"find smallest {run.id}"):
            _search(run, past, Target(float(forget), float(retain)))
    cut, sentence, reached = st.session_state.get(_FOUND, {}).get(run.id, (None, "", False))
    if cut == past.now:
        show = st.success if reached else st.warning
        show(escaped(sentence), icon=":material/check_circle:" if reached else ":material/flag:")


def _search(run: Run, past: History, target: Target) -> None:
    def search(bar: ProgressCallback) -> None:
        with base_model(run, bar) as base:
            found = RunSearch(run, past.now, run.config.search.sentences).compute(target, bar, base=base)
        if found.chosen.neurons:
            past.go(replace(past.now, ratio=found.chosen.ratio))
        remembered = (past.now, found.sentence, found.smallest is not None)
        st.session_state.setdefault(_FOUND, {})[run.id] = remembered

    run_and_redraw("Searching the smallest cut", search, only_one=run.id)
