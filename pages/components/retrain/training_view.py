"""A run that goes on in its own process, watched from the page: state, place in the queue, Stop."""

from typing import Any

import streamlit as st

from pages.components.marked_text import escaped
from pages.components.navigation import finished_stages
from pages.components.progress import show_errors
from pages.components.retrain.learning_view import learning
from unlearning_core.jobs.status import JobProgress, JobStatus, status
from unlearning_core.progress import duration
from unlearning_core.runs import background
from unlearning_core.runs.run import Run

STAGES = {
    "filter": "Leaving the concept out of the training text",
    "retrain": "Retraining",
    "distance retrained": "Comparing with the model that never knew",
    "measure retrained": "Measuring the retrained model",
    "report": "Writing the report",
}


def is_busy(run: Run) -> bool:
    """Whether a process works on the run."""
    return background.is_running(run)


@st.fragment(run_every=1.0)
def watch(run: Run) -> None:
    """How far it is, once a second, until it has ended."""
    if not is_busy(run):
        st.rerun()
    with show_errors():
        stage = run.status().get("stage")
        training = status(run.folder / "retraining") if stage == "retrain" else JobStatus("absent")
        with st.container(border=True):
            left, right = st.columns([5, 1], vertical_alignment="center")
            queued = training.state == "queued"
            left.markdown(f"**{'Waiting for its turn' if queued else STAGES.get(str(stage), 'Starting')}**")
            if right.button("Stop", icon=":material/stop_circle:", key="stop training", width="stretch"):
                background.stop(run)
                st.session_state["stopping"] = run.id
            if queued:
                _queued(training)
            else:
                _bar(run, training)
            if st.session_state.get("stopping") == run.id:
                st.caption("Stopping after the current step; what is finished is kept.")
            else:
                st.caption("It goes on when this page is closed: come back by the link in the address bar.")
        if stage in ("retrain", "distance retrained", "measure retrained", "report") and not queued:
            learning(run)


def _queued(training: JobStatus) -> None:
    """Who comes first, and how long that one still takes."""
    from unlearning_core.runs.training_time import queue_of

    before = queue_of(training.pid)
    place = f"Number {training.ahead + 1} in the queue. " if training.ahead else ""
    left = "" if before is None or before.seconds_left is None else f" {duration(before.seconds_left)} are left of it."
    st.info(
        f"{place}Another retraining is running on this device, and only one does at a time: two would slow each "
        f"other down.{left} This one starts by itself.",
        icon=":material/hourglass_top:",
    )
    if before is not None:
        st.caption(f"Before it: {', '.join(escaped(name) for name in before.runs)}")


def _bar(run: Run, training: JobStatus) -> None:
    now = training.progress or JobProgress()
    if now.total_steps:
        parts = [f"step {now.step} of {now.total_steps}"]
        if now.loss is not None:
            parts.append(f"loss {now.loss:.3f}")
        if now.tokens_per_second:
            parts.append(f"{now.tokens_per_second:,.0f} tokens a second")
        if now.eta_seconds is not None:
            parts.append(f"{duration(now.eta_seconds)} left")
        st.progress(min(1.0, now.step / now.total_steps), text=", ".join(parts))
        return
    last: dict[str, Any] = next(
        (event for event in reversed(list(run.events())) if event["kind"] in ("progress", "stage")), {}
    )
    share = min(1.0, last["done"] / last["total"]) if last.get("total") else 0.0
    st.progress(share, text=str(last.get("task") or "loading"))


def outcome(run: Run) -> None:
    """How the last training ended, with its curves."""
    state = run.status()
    st.session_state.pop("stopping", None)
    if state["state"] == "running":
        # Nobody works on it, and it never said how it ended: it was killed.
        words = background.last_words(run)
        st.warning(
            "The process ended without a word, so it was probably killed. Go on from its last checkpoint."
            + (f" It last said: {escaped(words)}" if words else "")
        )
    elif state["state"] == "stopped" and state.get("stage") in STAGES:
        st.info(f"Stopped. {escaped(state['message'])}")
    elif state["state"] == "failed" and state.get("stage") in STAGES:
        st.error(escaped(state["message"]))
    elif "report" in finished_stages(run):
        st.success("The retraining is finished and measured.", icon=":material/check_circle:")
    if (run.folder / "retraining").is_dir():
        learning(run)
