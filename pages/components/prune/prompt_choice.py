"""The prompts on Prune: typed, taken from the concept's sentences or written by the model; kept with the run."""

import streamlit as st

from pages.components.model_cache import base_model
from pages.components.progress import run_and_redraw, show_errors
from pages.components.prune.cut_preview import Prompts
from unlearning_core.progress import ProgressCallback
from unlearning_core.runs.prompts import prompts_of_sentences, tried_prompts, try_prompts, written_prompts
from unlearning_core.runs.run import Run


def choose_prompts(run: Run) -> Prompts:
    """The prompts that are continued, and how."""
    key, texts = f"prompts {run.id}", tried_prompts(run)
    work = st.container()
    with st.popover("Prompts", icon=":material/edit_note:"):
        if (shown := "\n".join(texts)) != st.session_state.get(key):
            st.session_state[key] = shown
        st.text_area(
            "One prompt a line", key=key, height=170,
            on_change=lambda: try_prompts(run, (st.session_state[key] or "").splitlines()),
            help="Kept with the run. Keeping the cut makes them the prompts that every model is measured with.",
        )  # fmt: skip
        row = st.container(horizontal=True)
        taken = row.button("Take them from the sentences", icon=":material/sell:", key=f"prompts taken {run.id}")
        written = row.button("Let the model write them", icon=":material/edit:", key=f"prompts written {run.id}")
        tokens = st.slider("Max tokens", 5, 100, 16, key=f"tokens {run.id}")
        greedy = st.toggle("Always the likeliest word", True, key=f"greedy {run.id}", wrap=True)
    if taken:
        with show_errors():
            try_prompts(run, prompts_of_sentences(run))
            st.rerun()
    if written:
        with work:
            run_and_redraw("Writing prompts", lambda bar: _write(run, bar), only_one=run.id)
    return Prompts(tuple(texts), tokens, greedy)


def _write(run: Run, bar: ProgressCallback) -> None:
    with base_model(run, bar) as loaded:
        try_prompts(run, written_prompts(run, loaded, bar))
