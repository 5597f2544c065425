"""The guided demo: a box on top of each page that says what to look at, with the one button that goes on.

Whether a run is guided is kept in the run, so that a refresh or a second window is guided too.
"""

from typing import NamedTuple

import streamlit as st

from pages.components.current_run import close_run
from pages.components.marked_text import escaped
from pages.components.navigation import COMPARE, PATH_PAGES, PROOF, RETRAIN, Page, finished_stages, is_done
from pages.components.progress import run_and_redraw
from pages.components.work import bring_up_to_date, check_in_background, go_on_in_background, last_progress
from unlearning_core.runs import background, proof
from unlearning_core.runs.run import Run


class GuideText(NamedTuple):
    """What the guide says before the page's stages are run, on the button that runs them, and once they are done."""

    before: str
    button: str
    after: str


TEXTS = {
    "Model": GuideText(
        "", "",
        "This is the model whose memory will be changed. Look at how many layers and neurons it has; there is nothing "
        "to set.",
    ),
    "Concept": GuideText(
        "The concept to forget is a list of words: things to sit on, and sitting. The next step finds them, in all "
        "their forms, in sentences that people or the model wrote.",
        "Find the words in the sentences",
        "Look at the marked words. Some sentences hold the concept and the others do not: what the model does "
        "differently in the two will show where it keeps the concept.",
    ),
    "Neurons": GuideText(
        "The model now reads both kinds of sentences while every neuron is watched. Then small groups of neurons are "
        "cut on trial: what does that take from the concept, and what from everything else?",
        "Watch every neuron and rank them",
        "Look at the picture: each cell is a neuron. Those in the strongest red are the ones to cut: without them the "
        "concept is hard to write, and everything else nearly as easy as before.",
    ),
    "Prune": GuideText(
        "Look at what the model writes before and after a cut, and move the slider. The demo then keeps the share of "
        "neurons that its settings name.",
        "Keep the cut and measure it",
        "Look at the numbers: how much worse the concept is predicted (the more, the more is gone), and how much worse "
        "everything else is (the price), and its neighbours where some are named. Then read what both models write.",
    ),
    "Retrain": GuideText(
        "The cut has cost a little elsewhere. Now the model reads text without the concept and recovers. Whether the "
        "concept comes back with the rest is measured, too.",
        "Let the model recover",
        "Look at the loss: the model has recovered on text in which the concept never occurs.",
    ),
    "Compare": GuideText(
        "All models are measured once more and put side by side.",
        "Put them side by side",
        "Read what the losses say, then what each model writes after the same words. The last tab lets you talk to two "
        "models at once, and the report at the bottom can be handed on.",
    ),
    "Proof": GuideText(
        "A model that does not say a word may still know it. Now every model is asked about the concept in many ways, "
        "and it is tried to bring the concept back.",
        "Try to break it",
        "Read the verdict: which of the four questions are passed, and which are not. The column on the right is a "
        "model that never knew the concept: that is what really forgotten looks like.",
    ),
}  # fmt: skip


def set_guided(run: Run, guided: bool = True) -> None:
    """From now on the run is guided, or is not."""
    run.write_note("guide", {"guided": True} if guided else None)


def is_guided(run: Run | None) -> bool:
    """Whether the run was begun by the demo and its guide was not left."""
    return run is not None and run.note("guide") is not None


def guide(run: Run | None, title: str) -> None:
    """The box, on a page of the path and for a guided run."""
    if run is None or title not in TEXTS or not is_guided(run):
        return
    number = list(TEXTS).index(title)
    page, text = PATH_PAGES[number], TEXTS[title]
    with st.container(border=True):
        head, leave = st.columns([5, 1], vertical_alignment="center")
        head.markdown(f":material/explore: **Guided demo, step {number + 1} of {len(TEXTS)}**")
        if leave.button("Leave", key="leave guide", type="tertiary", help="The run stays; only this box goes."):
            set_guided(run, False)
            st.rerun()
        done = is_done(run, page)
        st.markdown(text.after if done else text.before)
        if done:
            _offer_next(run, number)
        elif proof.is_running(run):
            st.caption("It is at work on the page Proof. You can close this page: it goes on.")
        elif background.is_running(run):
            _watch(run, page)
        else:
            _offer_work(run, page, text.button)
        # What the page before has further down in its box would stand there, dimmed, until this page is done.
        for _ in range(3):
            st.empty()


def _offer_next(run: Run, number: int) -> None:
    last = PATH_PAGES[number] is PROOF
    following = PATH_PAGES[0] if last else PATH_PAGES[number + 1]
    label = "End the demo and use my own model" if last else f"Go on to {following.title}"
    if st.button(label, key="guide on", type="primary", icon=":material/arrow_forward:"):
        if last:
            set_guided(run, False)
            close_run()
        st.switch_page(following.file)


def _offer_work(run: Run, page: Page, button: str) -> None:
    status = run.status()
    if status["state"] == "failed":
        st.warning(escaped(status["message"]))
    if not st.button(button, key="guide do", type="primary", icon=page.icon):
        return
    if page in (RETRAIN, COMPARE):  # a training goes on when the page is closed
        go_on_in_background(run)
        st.rerun()
    elif page is PROOF:
        check_in_background(run, quick=True)
        st.rerun()
    else:
        run_and_redraw(button, lambda bar: bring_up_to_date(run, str(page.stage), bar), only_one=run.id)


@st.fragment(run_every=1.0)
def _watch(run: Run, page: Page) -> None:
    """How far the process in the background is, until it has done this page's stages."""
    if page.stage in finished_stages(run) or not background.is_running(run):
        st.rerun()
    if page is RETRAIN and run.status().get("stage") in ("filter", "retrain"):
        st.caption("It is at work below. You can close this page: it goes on.")
        return
    share, last = last_progress(run)
    task = str(last.get("task") or last.get("stage") or "starting")
    st.progress(share, text=f"Prepared in the background while you read: {escaped(task)}")
