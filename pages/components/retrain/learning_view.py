"""What a training has told so far: its losses, what the model knows, the quiz that it is asked, and what it writes."""

from collections.abc import Sequence
from typing import Any

import streamlit as st

from pages.components.current_run import by_results
from pages.components.demo.quiz_card import RULE, answer_line, subject_titles
from pages.components.marked_text import escaped, with_concept
from unlearning_core.evaluation.ratio import NATS_NOTE
from unlearning_core.figures.training_curves import SMOOTHED_BY, learning_curve, loss_curve, quiz_curve
from unlearning_core.jobs import events
from unlearning_core.runs.context import RunContext
from unlearning_core.runs.probe_set import base_levels
from unlearning_core.runs.run import Run

_LOSS = (
    "How badly each next word of the training text is predicted; it should fall. A point is one step. The line is an "
    f"exponential moving average of them: the newest step counts {100 * SMOOTHED_BY:.0f} %, all before it what is left."
)
_KNOWS = (
    "Loss on held-out sentences that it never trains on, with bands for the 95 % intervals. The concept loss should "
    "stay high, the loss on other text should fall back to the base model's line. A concept loss that falls means that "
    f"it comes back. {NATS_NOTE}"
)
_QUIZ = (
    "The questions of the quiz, asked before the first step, after the last, and at the evaluations in between for "
    "which a twentieth of the training's time is enough. The finished model may answer otherwise by a question or two "
    f"where something is still done to it after the last step. {RULE}"
)


def learning(run: Run) -> None:
    """The curves, the quiz and the newest samples."""
    told = events.read_events(run.training_folder)
    train, checked, measured, asked = (events.loss_curve(told, kind) for kind in ("train", "eval", "measure", "quiz"))
    losses = train + checked
    if not losses and not measured:
        st.caption("The curves begin with the first steps.")
        return
    left, right = st.columns(2, gap="large")
    with left:
        st.subheader("Loss in training", help=_LOSS)
        st.plotly_chart(loss_curve(losses), key="loss", alt="Training and validation loss by step")
    with right:
        st.subheader("What it knows", help=_KNOWS)
        if measured:
            figure = learning_curve(measured, _levels(run))
            st.plotly_chart(figure, key="knows", alt="Loss on concept words and on other text by step")
        else:
            st.caption("Nothing is measured while it learns: that is switched off.")
    if asked:
        _quiz(run, asked)
    _samples(run, [event for event in told if event["kind"] == "sample"])


@st.cache_data(show_spinner=False, max_entries=16, hash_funcs=by_results("measure base"))
def _levels(run: Run) -> dict[str, float]:
    return base_levels(run)


def _quiz(run: Run, asked: Sequence[dict[str, Any]]) -> None:
    """The right answers by step, and beside them those to the newest asking."""
    titles, newest = subject_titles(run), asked[-1]
    left, right = st.columns(2, gap="large")
    with left:
        st.subheader("The quiz while it learns", help=_QUIZ)
        figure = quiz_curve(asked, {str(about): title for about, title in titles.items()})
        st.plotly_chart(figure, key="quiz curve", alt="Questions answered right by step")
    with right:
        st.markdown(f"**{'After step ' + str(newest['step']) if newest['step'] else 'Before the first step'}**")
        for about, title in titles.items():
            answers = [answer for answer in newest["answers"] if answer["about"] == about]
            if not answers:
                continue
            number = sum(answer["right"] for answer in answers)
            with st.expander(f"About {escaped(title)} it answers {number} of {len(answers)}"):
                lines = (answer_line(one["prompt"], one["answer"], right=one["right"]) for one in answers)
                st.markdown("  \n".join(lines))


def _samples(run: Run, samples: list[dict[str, Any]]) -> None:
    if not samples:
        return
    first, last = _newest_of(samples, samples[0]["step"]), _newest_of(samples, samples[-1]["step"])
    st.subheader("What it writes", help="The likeliest next words after each test prompt; the concept's are marked. "
        "The finished model may write otherwise: at the very end the reset rows learn the words' other senses.",
    )  # fmt: skip
    moments = [("Before the first step", first)]
    if samples[-1]["step"] != samples[0]["step"]:
        moments.append((f"After step {samples[-1]['step']}", last))
    matcher = RunContext(run).matcher
    for column, (title, written) in zip(st.columns(2, gap="large"), moments, strict=False):
        with column.container(border=True):
            st.markdown(f"**{title}**")
            for prompt, text in written.items():
                st.markdown(f":gray[{escaped(prompt)}] {with_concept(text, matcher)}")


def _newest_of(samples: list[dict[str, Any]], step: int) -> dict[str, str]:
    return {sample["prompt"]: sample["text"] for sample in samples if sample["step"] == step}
