"""Start: what this is, the guided demo, one's own model, and recent runs."""

from pathlib import Path
from typing import Literal

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from pages.components.current_run import current_run, runs_root, show_run
from pages.components.demo.guide import is_guided, set_guided
from pages.components.frame import show
from pages.components.marked_text import escaped
from pages.components.navigation import MODEL, left_at, use_own_model
from pages.components.new_run import experiment_of, load_and_start
from pages.components.progress import run_with_progress, show_errors
from pages.components.run_summary import described
from pages.components.work import go_on_in_background
from unlearning_core.models.sources.starters import offered
from unlearning_core.progress import ProgressCallback
from unlearning_core.runs.listing import list_runs
from unlearning_core.runs.tuning.experiment import REAL_ENGLISH

PICTURE = Path(__file__).with_name("start.svg")
RECENT = 5
CARD = 260
DEMOS = {
    "smallworld": "A tiny model of a small, made-up world whose every fact is known. About three minutes on two "
    "idle processor cores; the longest wait, the retraining, is half a minute.",
    "smollm2": "Real English, 135 million parameters. The slow steps are prepared in the background while you read: "
    "ten minutes in all on two idle processor cores, and the attack at its end two to three more.",
}


# The demo whose button stands out: a person who has no plan yet begins there.
RECOMMENDED = "smallworld"


def main() -> None:
    """Draw the page."""
    st.title("Unlearning Workbench")
    st.markdown(
        "A language model knows a thing because some of its neurons carry it. Here you name a concept in words, see "
        "which neurons carry it, cut them, let the model recover, and read what it writes before and after. Every step "
        "answers three questions with numbers: how much of the concept is gone, what did it cost, does it come back?"
    )
    st.image(
        str(PICTURE), width=960,
        alt="Find the neurons that a concept lights up, cut them, compare how much is left of it and of other text",
    )  # fmt: skip
    # Cards of one width, that stand in a row where there is room and below each other where there is none.
    place, row = st.container(), st.container(horizontal=True)
    for name in DEMOS:
        with row.container(border=True, width=CARD, height="stretch"), show_errors():
            offer_demo(name, place)
    with row.container(border=True, width=CARD, height="stretch"):
        st.markdown("**Use my own model**")
        st.markdown("A model folder, a .gguf file, a zip or a model of the Hub, and a concept of your choice.")
        if st.button("Use my own model", icon=":material/memory:"):
            use_own_model()
    with show_errors():
        recent_runs()


def offer_demo(name: str, place: DeltaGenerator) -> None:
    """What the demo on that starter is, and its button; how far it is loaded is told in `place`."""
    starter = offered()[name]
    short = starter.title.partition("-")[0]
    st.markdown(f"**Show me on {escaped(short)}**")
    st.markdown(DEMOS[name])
    if reason := starter.unavailable():
        st.caption(escaped(reason))
        return
    kind: Literal["primary", "secondary"] = "primary" if name == RECOMMENDED else "secondary"
    if st.button(f"Show me {short}", type=kind, icon=":material/play_arrow:"):
        with place:
            start_demo(name)


def start_demo(name: str) -> None:
    """A guided run of the starter's own experiment, its model loaded; then on to the first page of the path."""

    def load(bar: ProgressCallback) -> None:
        run = load_and_start(experiment_of(name), bar)
        set_guided(run)
        show_run(run)

    if run_with_progress("Loading the model", load, only_one=None):
        run = current_run()
        if name == REAL_ENGLISH and run is not None:  # its stages are too slow to wait for
            go_on_in_background(run)
        st.switch_page(MODEL.file)


def recent_runs() -> None:
    """The newest runs, each with a button that opens it where it was left."""
    runs = list_runs(runs_root())[:RECENT]
    if not runs:
        return
    st.subheader("Recent runs")
    opened = current_run()
    for run in runs:
        line, place = st.columns([5, 1], vertical_alignment="center")
        marks = (", guided" if is_guided(run) else "") + (", open now" if run == opened else "")
        line.markdown(escaped(described(run) + marks))
        if place.button("Open", key=f"open {run.id}", help=escaped(f"Open the run {run.id} where it was left.")):
            show_run(run)
            st.switch_page(left_at(run).file)


show(main)
