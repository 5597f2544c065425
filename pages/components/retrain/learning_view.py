"""What a training has told so far: the loss, what the model still knows of the concept, and what it writes."""

from typing import Any

import streamlit as st

from pages.components.marked_text import escaped, with_concept
from unlearning_core.figures.training_curves import learning_curve, loss_curve
from unlearning_core.jobs.events import loss_curve as curve
from unlearning_core.jobs.events import read_events
from unlearning_core.runs.context import RunContext
from unlearning_core.runs.probe_set import base_levels
from unlearning_core.runs.run import Run


def learning(run: Run) -> None:
    """The curves and the newest samples."""
    folder = run.training_folder
    losses, measured = curve(folder, "train") + curve(folder, "eval"), curve(folder, "measure")
    if not losses and not measured:
        st.caption("The curves begin with the first steps.")
        return
    left, right = st.columns(2, gap="large")
    with left:
        st.subheader(
            "Loss in training", help="How badly each next word of the training text is foreseen; it should fall."
        )
        st.plotly_chart(loss_curve(losses), key="loss", alt="Training and validation loss by step")
    with right:
        st.subheader(
            "What it knows",
            help="Loss on held-out sentences that it never trains on. The concept's words should stay high, all other "
            "words should fall back to the base model's line. A concept line that falls means that it comes back.",
        )
        if measured:
            levels = _levels(run, str(run.folder), run.fingerprint("measure base"))
            st.plotly_chart(
                learning_curve(measured, levels), key="knows", alt="Loss on concept words and on other words by step"
            )
        else:
            st.caption("Nothing is measured while it learns: that is switched off.")
    _samples(run, [event for event in read_events(folder) if event["kind"] == "sample"])


@st.cache_data(show_spinner=False, max_entries=16)
def _levels(_run: Run, folder: str, measured: str | None) -> dict[str, float]:
    return base_levels(_run)


def _samples(run: Run, samples: list[dict[str, Any]]) -> None:
    """The prompts as they were continued before the first step and last."""
    if not samples:
        return
    first, last = _newest_of(samples, samples[0]["step"]), _newest_of(samples, samples[-1]["step"])
    st.subheader("What it writes", help="The likeliest next words after each test prompt; the concept's are marked.")
    moments = [("Before the first step", first)]
    if samples[-1]["step"] != samples[0]["step"]:
        moments.append((f"After step {samples[-1]['step']}", last))
    matcher = RunContext(run).matcher
    for column, (title, written) in zip(st.columns(2, gap="large"), moments, strict=False):
        with column:
            st.markdown(f"**{title}**")
            for prompt, text in written.items():
                with st.container(border=True):
                    st.markdown(f":gray[{escaped(prompt)}] {with_concept(text, matcher)}")


def _newest_of(samples: list[dict[str, Any]], step: int) -> dict[str, str]:
    return {sample["prompt"]: sample["text"] for sample in samples if sample["step"] == step}
