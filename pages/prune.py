"""Prune: move the ratio, watch what the model writes and what it forgets, keep a cut."""

import streamlit as st

from pages.components.compare.metrics_table import metrics_so_far, show_metrics
from pages.components.frame import show
from pages.components.model_cache import base_is_at_hand, base_model
from pages.components.model_download import download_model
from pages.components.navigation import NEURONS, PRUNE, is_done, link_to_next, run_beyond
from pages.components.progress import run_and_redraw, show_errors
from pages.components.prune.cut_curves import curves
from pages.components.prune.cut_preview import (
    Edit,
    Prompts,
    pictures_of_cut,
    quick_numbers,
    size_of_cut,
    write_side_by_side,
)
from pages.components.prune.cut_settings import choose_cut, history
from pages.components.prune.cut_sources import find_smallest, recipes
from pages.components.prune.keep_cut import keep_shown
from pages.components.prune.token_rows import rows_of_cut, size_of_rows, token_list
from pages.components.states import PRUNED
from unlearning_core.runs.run import Run
from unlearning_core.runs.sweep import RunSweep


def main() -> None:
    """Draw the page."""
    st.title("Prune")
    st.markdown(
        "Cut the first neurons of the ranking, and reset the rows of the concept's own tokens. What is cut is *how the "
        "model computes it*; what is reset is *the word itself*. The preview does both only while it writes; the model "
        "stays whole until the cut is kept."
    )
    run = run_beyond(NEURONS)
    if run is None:
        return
    if base_is_at_hand(run):
        with show_errors():
            preview(run)
    st.divider()
    if st.button("Keep this cut", type="primary", icon=":material/content_cut:"):
        keep(run)
    st.caption("Keeping it writes the recipe and the pruned model, and measures base and pruned on all held-out text.")
    if is_done(run, PRUNE):
        kept = run.status()["stages"]["prune"]["summary"]
        st.subheader(f"The cut that is kept: {kept['cut']:,} of {kept['of']:,} neurons in {kept['layers']} layers")
        if "tokens" in kept:
            st.markdown(kept["tokens"])
        with show_errors():
            show_metrics(metrics_so_far(run, ("base", PRUNED)))
            download_model(run, PRUNED)
        link_to_next(PRUNE)


@st.fragment
def preview(run: Run) -> None:
    """The slider and everything that follows it; drawn anew on its own."""
    with show_errors(), base_model(run) as loaded:
        ranking = run.ranking()
        layers = int(ranking["layer"].max()) + 1
        past = history(run, layers)
        cut = choose_cut(run, layers, (RunSweep.of(run, past.now).summary() or {}).get("suggested_ratio"))
        find_smallest(run, past)
        mask = cut.mask(ranking, loaded.map.shapes)
        rows, tokens = rows_of_cut(run, loaded, cut.token_rows)
        edit = Edit(mask, rows)
        token_list(run, tokens, cut.token_rows)
        prompts = choose_prompts(run)
        row, below = st.container(horizontal=True, gap="large"), st.container()
        # Words and numbers first: drawing the pictures takes as long as both.
        size_of_cut(ranking, mask, rows, row.container(width="content"))
        size_of_rows(tokens, row.container(width="content"))
        write_side_by_side(run, loaded, edit, prompts)
        seconds = quick_numbers(run, loaded, edit, row, below)
        curves(run, cut, seconds)
        pictures_of_cut(ranking, mask)
        recipes(run, past, edit)


def choose_prompts(run: Run) -> Prompts:
    """The prompts that are continued, and how."""
    with st.expander("Prompts"):
        text = st.text_area(
            "One prompt a line", "\n".join(run.config.test_prompts), key=f"prompts {run.id}", height=130
        )
        left, right = st.columns(2)
        tokens = left.slider("Tokens to write", 5, 100, 16, key=f"tokens {run.id}")
        greedy = right.toggle("Always the likeliest token", True, key=f"greedy {run.id}", wrap=True)
    return Prompts(tuple(line for line in (text or "").splitlines() if line.strip()), tokens, greedy)


def keep(run: Run) -> None:
    """Save the edit that the sliders show, bake it and measure."""
    run_and_redraw(
        "Pruning and measuring", lambda bar: keep_shown(run, bar), only_one=run.id,
        message="The cut is kept. The pruned model is saved and measured.",
    )  # fmt: skip


show(main)
