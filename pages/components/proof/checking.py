"""Checking a run on the page Proof: how long it will take, its two buttons, and the process that does it, watched."""

from collections.abc import Collection
from typing import Any

import streamlit as st

from pages.components import visitor
from pages.components.field_names import told
from pages.components.marked_text import escaped
from pages.components.navigation import as_it_is, is_at_end
from pages.components.progress import show_errors
from pages.components.work import check_in_background, last_progress, waiting_words
from unlearning_core.jobs.status import status
from unlearning_core.progress import duration
from unlearning_core.runs import proof
from unlearning_core.runs.context import RunContext
from unlearning_core.runs.pipeline import stage_names
from unlearning_core.runs.proof_standing import ProofTime, Standing, reasons, standing
from unlearning_core.runs.run import Run
from unlearning_core.runs.stages.proof import proof_stages


def offer_check(run: Run, without: Collection[str]) -> None:
    """The buttons that check everything, each with the time that it takes; nothing where all of it is done."""
    known = standing_of(run)
    whole, quick = (known.time(quick=quick, without=without) for quick in (False, True))
    if not is_at_end(run):
        st.info("The run is not finished yet: checking it first makes what is missing.", icon=":material/info:")
    one, two = st.columns(2)
    with one:
        if st.button(
            "Check it", type="primary", icon=":material/gavel:", width="stretch",
            help="Everything: what it still says, what it cost, whether it comes back. What is measured already stays.",
        ):  # fmt: skip
            check_in_background(run)
            st.rerun()
        st.caption(said(whole))
    with two:
        if st.button(
            "Quick look", icon=":material/bolt:", width="stretch",
            help="With about a quarter of the questions, texts and steps: wider intervals.",
        ):  # fmt: skip
            check_in_background(run, quick=True)
            st.rerun()
        st.caption(said(quick))


def said(time: ProofTime | None) -> str:
    """How long it takes, and what that is told from."""
    if time is None:
        return "How long it takes is not known yet: minutes for a tiny model, up to hours for a large one."
    if not time.stages:
        return "All of it is measured: only the verdict is drawn again."
    told = "as it went on this model before" if time.source == "earlier" else "a rough guess from how fast it is here"
    return f"About {duration(time.seconds)} for {time.stages} measurements ({told})."


@st.fragment(run_every=1.0)
def watch(run: Run) -> None:
    """How far the check is, once a second, until it has ended."""
    if not proof.is_running(run):
        st.rerun()
    with show_errors(), st.container(border=True):
        left, right = st.columns([5, 1], vertical_alignment="center")
        stage = run.status().get("stage")
        left.markdown(f"**{escaped(_doing(run, stage))}**")
        if right.button("Stop", icon=":material/stop_circle:", key="stop proof", width="stretch"):
            proof.stop(run)
            st.session_state["stopping proof"] = run.id
        share, last = last_progress(run)
        doing = waiting_words(run, proof.JOB) or str(last.get("task") or "loading")
        st.progress(share, text=escaped(visitor.sentence(doing)))
        if st.session_state.get("stopping proof") == run.id:
            st.caption("Stopping; what is measured is kept.")
        else:
            st.caption("It keeps running when this page is closed: come back by the link in the address bar.")


def _doing(run: Run, stage: str | None) -> str:
    """Which of how many measurements it is at, or what has to be made before."""
    asked = proof.asked(run)
    stages = proof_stages(RunContext(run), parts=asked["parts"], quick=bool(asked["quick"]))
    names = [one.name for one in stages]
    if stage in names:
        place = names.index(stage)
        return f"Step {place + 1} of {len(names)}: {stages[place].title}"
    return "Finishing the run first" if stage in stage_names(run.config) else "Starting"


def has_begun(run: Run) -> bool:
    """Whether a check was ever started in the background."""
    return status(run.job_folder(proof.JOB)).state != "absent"


def how_it_ended(run: Run) -> None:
    """Why the last check has not come to its end, if it has not."""
    st.session_state.pop("stopping proof", None)
    last = status(run.job_folder(proof.JOB))
    if last.state == "stopped":
        st.info(told(last.message), icon=":material/stop_circle:")
    elif last.state == "failed":
        st.error(told(last.message), icon=":material/error:")


def parts_of(attack: str) -> list[str]:
    """What is measured when one attack is tried alone: the attack, and what it is held against."""
    return ["losses", "questions", attack]


def try_alone(run: Run, attack: str, verdict: dict[str, Any] | None) -> None:
    """Try one attack; as thorough as what was measured before."""
    check_in_background(run, parts_of(attack), quick=bool(verdict and verdict["quick"]))
    st.rerun()


@st.cache_data(show_spinner="Looking at what is measured", max_entries=16, hash_funcs={Run: as_it_is})
def standing_of(run: Run) -> Standing:
    """How far its check is."""
    return standing(run)


@st.cache_data(show_spinner="Looking at what can be measured", max_entries=16, hash_funcs={Run: as_it_is})
def reasons_of(run: Run) -> dict[str, str]:
    """Parts that cannot be measured in this run, and why."""
    return reasons(run) if run.fingerprint("label") is not None else {}
