"""Prune: move the ratio, watch what the model writes and what it forgets, keep a cut."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from pages.components.compare.metrics_table import metrics_so_far, show_metrics
from pages.components.demo.guide import is_guided, offers_to_keep
from pages.components.field_names import told
from pages.components.frame import show
from pages.components.model_cache import base_is_at_hand, base_model
from pages.components.model_download import download_model
from pages.components.navigation import NEURONS, PRUNE, button_to_next, is_done, run_beyond
from pages.components.progress import run_and_redraw, show_errors, show_flash
from pages.components.prune.cut_curves import curves
from pages.components.prune.cut_preview import (
    Edit,
    pictures_of_cut,
    quick_numbers,
    size_of_cut,
    write_side_by_side,
)
from pages.components.prune.cut_settings import choose_cut, choose_layers, go_to_suggested, history
from pages.components.prune.cut_sources import find_smallest, recipes
from pages.components.prune.keep_cut import keep_shown, shown_instead
from pages.components.prune.layer_shares import choose_shares
from pages.components.prune.picked import pick_by_hand
from pages.components.prune.prompt_choice import choose_prompts
from pages.components.prune.recipe_search import search_settings
from pages.components.prune.token_rows import rows_of_cut, size_of_rows, token_list
from pages.components.states import PRUNED
from pages.components.turns import one_look
from unlearning_core.edits.cut_settings import CutSettings
from unlearning_core.edits.mask import Mask, Shapes
from unlearning_core.errors import InputError
from unlearning_core.reports.run_report import by_hand
from unlearning_core.runs.run import Run
from unlearning_core.runs.sweep import RunSweep

if TYPE_CHECKING:
    import pandas as pd

TABS = WRITES, CURVES, LAYERS, TOKENS, SMALLEST, SEARCH, RECIPES = (
    "What it writes", "Curves", "Layers", "Tokens", "Smallest cut", "Search", "Recipes",
)  # fmt: skip
# Pixels: slider, numbers and texts are on a screen of 1280 x 800 together.
_CONTROLS, _HEIGHT = 300, 540


def main() -> None:
    """Draw the page."""
    head = st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute")
    head.title(
        "Prune", width="content",
        help="The first neurons of the ranking are cut, and the rows of the concept's own tokens are reset. What is "
        "cut is *how the model computes it*; what is reset is *the word itself*. The preview does both only while it "
        "writes; the model stays whole until the cut is kept.",
    )  # fmt: skip
    run = run_beyond(NEURONS)
    if run is None:
        return
    pressed = buttons(run, head)
    work = st.container()
    if base_is_at_hand(run):
        with show_errors():
            preview(run)
    if pressed:
        with work, show_errors():
            keep(run)
    if is_done(run, PRUNE):
        show_kept(run)


def buttons(run: Run, head: DeltaGenerator) -> bool:
    """Whether the cut is to be kept; once the one on screen is, the way on is the button that stands out."""
    kept = st.session_state[_on_screen(run)] = _is_kept(run)
    with head.container(horizontal=True, horizontal_alignment="right"):
        pressed = not offers_to_keep(run) and st.button(
            "Keep this cut", type="secondary" if kept else "primary", icon=":material/content_cut:",
            help="Writes the recipe and the pruned model, and measures base and pruned on all held-out text.",
        )  # fmt: skip
        if kept and not is_guided(run):
            button_to_next(PRUNE)
    return pressed


def _is_kept(run: Run) -> bool:
    """Whether the cut on screen is the one that is kept."""
    return is_done(run, PRUNE) and shown_instead(run) is None


def _on_screen(run: Run) -> str:
    """The key of what the buttons above the fragment were drawn for."""
    return f"kept on screen {run.id}"


def show_kept(run: Run) -> None:
    """The cut that is kept, what it came to, and the model to take along."""
    st.divider()
    kept = run.status()["stages"]["prune"]["summary"]
    st.subheader(f"The cut that is kept: {kept['cut']:,} of {kept['of']:,} neurons in {kept['layers']} layers")
    if chosen := by_hand(kept):
        st.markdown(f"{chosen[:1].upper()}{chosen[1:]}.")
    if "tokens" in kept:
        st.markdown(kept["tokens"])
    with show_errors():
        show_metrics(metrics_so_far(run, ("base", PRUNED)))
        download_model(run, PRUNED)


@st.fragment
def preview(run: Run) -> None:
    """The slider and everything that follows it, side by side on one screen; drawn anew on its own."""
    # A fragment that is drawn alone is below the place where the frame says that work was stopped.
    show_flash()
    with show_errors(), base_model(run) as loaded:
        ranking = run.ranking()
        layers = int(ranking["layer"].max()) + 1
        past = history(run, layers)
        screen = st.container(horizontal=True, gap="medium")
        controls = screen.container(width=_CONTROLS, gap="small")
        with controls:
            cut = choose_cut(run, past, layers)
            if _is_kept(run) != st.session_state.get(_on_screen(run)):
                st.rerun()  # once, with the first move away from the kept cut, and back
            mask = mask_of(cut, ranking, loaded.map.shapes)
            rows, tokens = rows_of_cut(run, loaded, cut.token_rows)
            numbers = st.container(gap="small")
            sizes = st.columns(2)
            size_of_cut(ranking, mask, rows, sizes[0])
            size_of_rows(tokens, sizes[1])
            pick_by_hand(run, cut, ranking, loaded.map.shapes)
        edit = Edit(mask, rows)
        tabs = dict(zip(TABS, screen.tabs(TABS, height=_HEIGHT, key=f"shown {run.id}", on_change="rerun"), strict=True))
        # Words and numbers first: drawing pictures takes as long as both. A tab that is closed costs nothing.
        with one_look(loaded):
            with tabs[WRITES], show_errors():
                if tabs[WRITES].open:
                    write_side_by_side(run, loaded, edit, choose_prompts(run))
            seconds = quick_numbers(run, loaded, edit, numbers)

        def draw_curves() -> None:
            # raises where nothing may be cut
            if not cut.follows_ratio(cut.candidates(ranking)).any():
                st.info("Every layer has a share of its own, so there is no share of the whole to draw curves over.")
                return
            go_to_suggested(run, past, (RunSweep.of(run, cut).summary() or {}).get("suggested_ratio"))
            curves(run, cut, seconds)

        def draw_layers() -> None:
            choose_layers(run, past, layers)
            choose_shares(run, past, ranking, loaded.map.shapes)
            pictures_of_cut(ranking, mask)

        others: dict[str, Callable[[], None]] = {
            CURVES: draw_curves,
            LAYERS: draw_layers,
            TOKENS: lambda: token_list(run, tokens, cut.token_rows),
            SMALLEST: lambda: find_smallest(run, past),
            SEARCH: lambda: search_settings(run, past),
            RECIPES: lambda: recipes(run, past, edit),
        }
        for name, draw in others.items():
            with tabs[name], show_errors():
                if tabs[name].open:
                    draw()


def mask_of(cut: CutSettings, ranking: "pd.DataFrame", shapes: Shapes) -> Mask:
    """The neurons that stay; all of them, and why, where the settings leave none to cut."""
    try:
        return cut.mask(ranking, shapes)
    except InputError as error:
        st.warning(told(str(error)))
        return Mask.full({site: shapes[site] for site in ranking["site"].unique()})


def keep(run: Run) -> None:
    """Save the edit that the sliders show and the prompts that are tried, bake it and measure."""
    run_and_redraw(
        "Pruning and measuring", lambda bar: keep_shown(run, bar), only_one=run.id,
        message="The cut is kept. The pruned model is saved and measured.",
    )  # fmt: skip


show(main)
