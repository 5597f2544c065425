"""Talk to two stages of the model at once, side by side."""

from collections.abc import Sequence
from typing import Any

import streamlit as st

from pages.components.compare.state_texts import COLOURS, TITLES, Typed, continue_prompt, marked
from pages.components.marked_text import escaped
from pages.components.model_cache import state_model
from pages.components.progress import run_with_progress
from unlearning_core.progress import ProgressCallback
from unlearning_core.runs.context import RunContext
from unlearning_core.runs.run import Run

Turn = dict[str, str]
"""What was said in one turn: under "person" the visitor's words, under each stage its answer."""


def chat(run: Run, stages: Sequence[str]) -> None:
    """The talk so far, and a box to go on with it."""
    pair, settings = _choose(run, stages)
    turns: list[Turn] = st.session_state.setdefault(f"chat {run.id} {' '.join(pair)}", [])
    talk = st.container()
    message = st.chat_input("Say something to both models", key=f"say {run.id}")
    with talk:
        if not turns and not message:
            st.caption(
                "Both models hear the same and draw with the same random numbers. A model that was trained to answer "
                "remembers what was said; any other only goes on from your last words, so begin a sentence for it, or "
                "ask SmallWorld as it was asked: Q: What is a chair? A:"
            )
        for turn in turns:
            _said(turn["person"])
            for stage, column in _columns(pair):
                column.markdown(marked(turn[stage], RunContext(run).matcher, _other(turn, stage)))
        if message and message.strip():
            answered = _answer(run, pair, turns, message.strip(), settings)
            if answered is not None:
                turns.append(answered)
                st.rerun()
    if turns and st.button("Begin a new talk", icon=":material/restart_alt:"):
        turns.clear()
        st.rerun()


def _choose(run: Run, stages: Sequence[str]) -> tuple[tuple[str, str], Typed]:
    """The two stages, and how they answer."""
    left, right = st.columns(2)
    first = left.selectbox("First model", stages, format_func=TITLES.__getitem__, key=f"chat first {run.id}")
    others = [stage for stage in stages if stage != first]
    place = others.index("retrained") if "retrained" in others else len(others) - 1
    second = right.selectbox("Second model", others, place, format_func=TITLES.__getitem__, key=f"chat second {run.id}")
    with st.expander("How they answer"):
        one, two, three = st.columns(3)
        temperature = one.number_input("Temperature (0: likeliest)", 0.0, 5.0, 0.7, 0.1, key="chat temperature")
        tokens = int(two.number_input("Tokens of an answer", 1, 500, 60, key="chat tokens"))
        seed = int(three.number_input("Seed of the talk", 0, None, 0, key="chat seed"))
    return (str(first), str(second)), Typed("", 1, temperature, tokens, seed)


def _said(message: str) -> None:
    with st.chat_message("user"):
        st.markdown(escaped(message))


def _columns(pair: tuple[str, str]) -> list[tuple[str, Any]]:
    """A speech bubble for each of the two, side by side."""
    found = []
    for column, stage in zip(st.columns(2, gap="medium"), pair, strict=True):
        with column, st.chat_message(TITLES[stage], avatar=":material/psychology:"):
            st.markdown(f":{COLOURS[stage]}[**{TITLES[stage]}**]")
            found.append((stage, st.empty()))
    return found


def _other(turn: Turn, stage: str) -> str | None:
    """The base model's answer, for another stage to be compared with."""
    return turn.get("base") if stage != "base" else None


def _answer(run: Run, pair: tuple[str, str], turns: list[Turn], message: str, settings: Typed) -> Turn | None:
    """What both say to `message`, drawn as it grows; None when it was stopped or went wrong."""
    from unlearning_core.evaluation.chat import chat_prompt

    _said(message)
    turn, matcher = {"person": message}, RunContext(run).matcher
    for stage, slot in _columns(pair):

        def draw(_: int, sample: int, text: str, slot: Any = slot) -> None:
            slot.markdown(marked(text, matcher))

        def speak(bar: ProgressCallback, stage: str = stage, draw: Any = draw) -> None:
            loaded, _ = state_model(run, stage, bar)
            before = [(past["person"], past[stage]) for past in turns]
            prompt = chat_prompt(loaded, before, message, new_tokens=settings.tokens)
            typed = Typed(prompt, 1, settings.temperature, settings.tokens, settings.seed)
            (turn[stage],) = continue_prompt(run, stage, typed, bar, draw)

        place = st.empty()
        with place:
            done = run_with_progress(f"Answering: {TITLES[stage]}", speak, only_one=f"{run.id} typed")
        if not done:
            return None
        place.empty()
    return turn
