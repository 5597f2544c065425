"""The guided demo: a box on top of each page that says what to look at, with the one button that goes on.

Whether a run is guided is written in its folder, so that a refresh or a second window is guided too.
"""

from dataclasses import dataclass
from typing import Any

import streamlit as st

from pages.components.current_run import close_run
from pages.components.marked_text import escaped
from pages.components.model_cache import execute, forget_models
from pages.components.navigation import STEPS, Step, finished_stages
from pages.components.progress import run_with_progress
from unlearning_core.files import write_json
from unlearning_core.runs import background
from unlearning_core.runs.run import Run

MARK = "guide.json"
LAST = "report"
_IN_BACKGROUND = ("measure retrained", LAST)
"""Stages that take a training: they go on when the page is closed."""


@dataclass(frozen=True)
class Station:
    """What the guide says on one page.

    Attributes:
        before: what the step will do.
        button: that does it.
        after: what to look at once it is done.
    """

    before: str
    button: str
    after: str


STATIONS = {
    "Model": Station(
        "", "",
        "This is the model whose memory will be changed. Look at how many layers and neurons it has; there is nothing "
        "to set.",
    ),
    "Concept": Station(
        "The concept to forget is a list of words: things to sit on, and sitting. The next step finds them, in all "
        "their forms, in sentences that people or the model wrote.",
        "Find the words in the sentences",
        "Look at the marked words. Some sentences hold the concept and the others do not: what the model does "
        "differently in the two will show where it keeps the concept.",
    ),
    "Neurons": Station(
        "The model now reads both kinds of sentences while every neuron is watched. Then small groups of neurons are "
        "cut on trial: what does that take from the concept, and what from everything else?",
        "Watch every neuron and rank them",
        "Look at the picture: each cell is a neuron. Those in the strongest red are the ones to cut: without them the "
        "concept is hard to write, and everything else nearly as easy as before.",
    ),
    "Prune": Station(
        "Look at what the model writes before and after a cut, and move the slider. The demo then keeps the share of "
        "neurons that its settings name.",
        "Keep the cut and measure it",
        "Look at the numbers: how much worse the concept is predicted (the more, the more is gone), and how much worse "
        "everything else is (the price), and its neighbours where some are named. Then read what both models write.",
    ),
    "Retrain": Station(
        "The cut has cost a little elsewhere. Now the model reads text without the concept and recovers. Whether the "
        "concept comes back with the rest is measured, too.",
        "Let the model recover",
        "Look at the loss: the model has recovered on text in which the concept never occurs.",
    ),
    "Compare": Station(
        "All models are measured once more and put side by side.",
        "Put them side by side",
        "Read the verdict, then what each model writes after the same words. The last tab lets you talk to two models "
        "at once, and the report at the bottom can be handed on.",
    ),
}  # fmt: skip


def begin(run: Run) -> None:
    """From now on the run is guided."""
    write_json(run.folder / MARK, {"guided": True})


def end(run: Run) -> None:
    """From now on it is not."""
    (run.folder / MARK).unlink(missing_ok=True)


def is_guided(run: Run | None) -> bool:
    """Whether the run was begun by the demo and its guide was not left."""
    return run is not None and (run.folder / MARK).is_file()


def guide(run: Run | None, title: str) -> None:
    """The box, on a page of the path and for a guided run."""
    if run is None or title not in STATIONS or not is_guided(run):
        return
    number = list(STATIONS).index(title)
    step, station = STEPS[number], STATIONS[title]
    with st.container(border=True):
        head, leave = st.columns([5, 1], vertical_alignment="center")
        head.markdown(f":material/explore: **Guided demo, step {number + 1} of {len(STATIONS)}**")
        if leave.button("Leave", key="leave guide", type="tertiary", help="The run stays; only this box goes."):
            end(run)
            st.rerun()
        if step.stage is None or step.stage in finished_stages(run):
            st.markdown(station.after)
            _go_on(run, number)
        elif background.is_running(run):
            st.markdown(station.before)
            _wait(run, step)
        else:
            st.markdown(station.before)
            _do(run, step, station)
        # What the page before has further down in its box would stand there, dimmed, until this page is done.
        for _ in range(3):
            st.empty()


def _go_on(run: Run, number: int) -> None:
    """The button to the next page, or to a model of one's own after the last."""
    last = number + 1 == len(STEPS)
    following = STEPS[0] if last else STEPS[number + 1]
    label = "End the demo and use my own model" if last else f"Go on to {following.title}"
    if st.button(label, key="guide on", type="primary", icon=":material/arrow_forward:"):
        if last:
            end(run)
            close_run()
        st.switch_page(following.page)


def _do(run: Run, step: Step, station: Station) -> None:
    """The button that brings the run to the end of this step."""
    status = run.status()
    if status["state"] == "failed":
        st.warning(escaped(status["message"]))
    if not st.button(station.button, key="guide do", type="primary", icon=step.icon):
        return
    if step.stage in _IN_BACKGROUND:
        prepare_in_background(run)
        st.rerun()
    elif run_with_progress(station.button, lambda bar: execute(run, str(step.stage), bar), only_one=run.id):
        st.rerun()


def prepare_in_background(run: Run) -> None:
    """Go on with the run to its end in a process of its own."""
    forget_models()  # the process needs the memory
    run.set_status(state="running", stage=None, message="")
    background.start(run, LAST)


@st.fragment(run_every=1.0)
def _wait(run: Run, step: Step) -> None:
    """How far the process in the background is, until it has done this step."""
    if step.stage in finished_stages(run) or not background.is_running(run):
        st.rerun()
    if step.title == "Retrain" and run.status().get("stage") in ("filter", "retrain"):
        st.caption("It is at work below. You can close this page: it goes on.")
        return
    last: dict[str, Any] = next(
        (event for event in reversed(list(run.events())) if event["kind"] in ("progress", "stage")), {}
    )
    share = min(1.0, last["done"] / last["total"]) if last.get("total") else 0.0
    task = str(last.get("task") or last.get("stage") or "starting")
    st.progress(share, text=f"Prepared in the background while you read: {escaped(task)}")
