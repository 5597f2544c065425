"""A run that goes on in its own process, watched from the page: state, queue, Stop, and what it has told so far."""

import streamlit as st

from pages.components import visitor
from pages.components.field_names import told
from pages.components.marked_text import escaped
from pages.components.navigation import COMPARE, PRUNE, finished_stages, is_done
from pages.components.progress import show_errors
from pages.components.retrain.learning_view import learning
from pages.components.work import last_progress, waiting_words
from unlearning_core.jobs.status import JobProgress, JobStatus, status
from unlearning_core.methods.registry import state_title
from unlearning_core.progress import duration
from unlearning_core.runs import background
from unlearning_core.runs.pipeline import stage_names
from unlearning_core.runs.run import Run

_TITLES = {
    "filter": "Leaving the concept out of the training text",
    "retrain": "Retraining",
    "report": "Writing the report",
}


def stage_title(run: Run, stage: str | None) -> str:
    """What a stage of this page does, in words; before the first of them the process is starting."""
    if not _after_cut(run, stage):
        return "Starting"
    kind, _, state = str(stage).partition(" ")
    of_state = {
        "questions": f"Asking the {state} model questions",
        "distance": "Comparing with the model that never knew",
        "measure": f"Measuring the {state} model",
    }
    return of_state[kind] if kind in of_state else _TITLES.get(str(stage), state_title(str(stage)))


def _after_cut(run: Run, stage: str | None) -> bool:
    """Whether this page is where the stage is run."""
    names = stage_names(run.config)
    return stage in names[names.index(str(PRUNE.stage)) + 1 :]


@st.fragment(run_every=1.0)
def watch(run: Run) -> None:
    """How far it is, once a second, until it has ended."""
    if not background.is_running(run):
        st.rerun()
    with show_errors():
        stage = run.status().get("stage")
        training = status(run.training_folder) if stage == "retrain" else JobStatus("absent")
        with st.container(border=True):
            left, right = st.columns([5, 1], vertical_alignment="center")
            queued = training.state == "queued"
            left.markdown(f"**{'Waiting for its turn' if queued else stage_title(run, stage)}**")
            if right.button("Stop", icon=":material/stop_circle:", key="stop training", width="stretch"):
                background.stop(run)
                st.session_state["stopping"] = run.id
            if words := waiting_words(run, "background"):
                st.info(told(words), icon=":material/hourglass_top:")
            elif queued:
                _show_queue(training)
            else:
                _show_bar(run, training)
            if st.session_state.get("stopping") == run.id:
                st.caption("Stopping after the current step; what is finished is kept.")
            else:
                st.caption("It keeps running when this page is closed: come back by the link in the address bar.")
        if _after_cut(run, stage) and stage != "filter" and not queued:
            learning(run)


def _show_queue(training: JobStatus) -> None:
    from unlearning_core.runs.training_time import queue_of

    before = queue_of(training.pid)
    place = f"Number {training.ahead + 1} in the queue. " if training.ahead else ""
    left = "" if before is None or before.seconds_left is None else f" {duration(before.seconds_left)} are left of it."
    st.info(
        f"{place}Another retraining is running on this device, and only one does at a time: two would slow each "
        f"other down.{left} This one starts by itself.",
        icon=":material/hourglass_top:",
    )
    if before is not None and visitor.may_name_places():  # else they may be others'
        st.caption(f"Before it: {', '.join(escaped(name) for name in before.runs)}")


def _show_bar(run: Run, training: JobStatus) -> None:
    now = training.progress or JobProgress()
    if not now.total_steps:
        share, last = last_progress(run)
        st.progress(share, text=escaped(visitor.sentence(str(last.get("task") or "loading"))))
        return
    parts = [f"step {now.step} of {now.total_steps}"]
    if now.loss is not None:
        parts.append(f"loss {now.loss:.3f}")
    if now.tokens_per_second:
        parts.append(f"{now.tokens_per_second:,.0f} tokens a second")
    if now.eta_seconds is not None:
        parts.append(f"{duration(now.eta_seconds)} left")
    st.progress(min(1.0, now.step / now.total_steps), text=", ".join(parts))


def show_last_training(run: Run) -> None:
    """How the last training ended, with its curves."""
    known = run.status()
    state, here = known["state"], _after_cut(run, known.get("stage"))
    st.session_state.pop("stopping", None)
    if state == "running" and run.manifest.worker() is not None:
        st.info(escaped(run.manifest.busy_sentence()), icon=":material/hourglass_top:")
    elif state == "running":
        # Nobody works on it, and it never said how it ended: it was killed.
        words = background.last_words(run)
        st.warning(
            "The process ended without a word, so it was probably killed. Go on from its last checkpoint."
            + (f" It last said: {escaped(words)}" if words else "")
        )
    elif state == "stopped" and here:
        # A job that passed a limit of the server says so; the run itself knows only that it was stopped.
        ended = status(run.job_folder("background"))
        said = told(ended.message if ended.state == "stopped" else known["message"])
        st.info(said if said.startswith("Stopped") else f"Stopped. {said}")
    elif state == "failed" and here:
        st.error(told(known["message"]))
    elif is_done(run, COMPARE):
        st.success("The retraining is finished and measured.", icon=":material/check_circle:")
    elif known["stages"].get("retrain", {}).get("state") == "finished" and "retrain" not in finished_stages(run):
        st.info(
            "What follows is of an earlier retraining: since then a setting, the cut, the text or the program has "
            "changed.",
            icon=":material/history:",
        )
    if run.training_folder.is_dir():
        learning(run)
