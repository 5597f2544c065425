"""A chat with two states of the model at once, side by side."""

from collections.abc import Sequence
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from pages.components.compare.state_texts import OnText, Typed, continue_prompt, under_its_own_bar
from pages.components.marked_text import escaped, with_concept
from pages.components.model_cache import state_model
from pages.components.states import columns, heading
from unlearning_core.methods.registry import state_title
from unlearning_core.progress import ProgressCallback
from unlearning_core.runs.context import RunContext
from unlearning_core.runs.run import Run

Turn = dict[str, str]
"""One turn: under "person" the visitor's message, under each state its answer."""


def chat(run: Run, states: Sequence[str]) -> None:
    """The chat so far, and a box to go on with it."""
    pair, settings = _choose(run, states)
    turns: list[Turn] = st.session_state.setdefault(f"chat {run.id} {' '.join(pair)}", [])
    place = st.container()
    message = st.chat_input("Say something to both models", key=f"say {run.id}")
    with place:
        if not turns and not message:
            st.caption(
                "Both models are told the same and draw with the same random numbers. A model trained to answer "
                "remembers what was said; any other only goes on from your last words, so begin a sentence for it, or "
                "ask SmallWorld in the form it knows: Q: What is a chair? A:"
            )
        for turn in turns:
            _show_message(turn["person"])
            for state, bubble in _bubbles(pair).items():
                other = turn.get("base") if state != "base" else None
                bubble.markdown(with_concept(turn[state], RunContext(run).matcher, other))
        if message and message.strip():
            answered = _answer(run, pair, turns, message.strip(), settings)
            if answered is not None:
                turns.append(answered)
                st.rerun()
    if turns and st.button("New chat", icon=":material/restart_alt:"):
        turns.clear()
        st.rerun()


def _choose(run: Run, states: Sequence[str]) -> tuple[tuple[str, str], Typed]:
    """The two states, the base and the last that the run made unless told otherwise, and how they answer."""
    left, right = st.columns(2)
    first = left.selectbox("First model", states, format_func=state_title, key=f"chat first {run.id}")
    others = [state for state in states if state != first]
    made = [number for number, state in enumerate(others) if run.has_model(state)]
    start = made[-1] if made else len(others) - 1
    second = right.selectbox("Second model", others, start, format_func=state_title, key=f"chat second {run.id}")
    with st.expander("How they answer"):
        one, two, three = st.columns(3)
        temperature = one.number_input(
            "Temperature (0: always the likeliest word)", 0.0, 5.0, 0.7, 0.1, key="chat temperature"
        )
        tokens = int(two.number_input("Max tokens", 1, 500, 60, key="chat tokens"))
        seed = int(three.number_input("Seed", 0, None, 0, key="chat seed"))
    return (str(first), str(second)), Typed("", 1, temperature, tokens, seed)


def _show_message(message: str) -> None:
    with st.chat_message("user"):
        st.markdown(escaped(message))


def _bubbles(pair: tuple[str, str]) -> dict[str, DeltaGenerator]:
    found = {}
    for state, column in columns(pair).items():
        with column, st.chat_message(state_title(state), avatar=":material/psychology:"):
            st.markdown(heading(state))
            found[state] = st.empty()
    return found


def _answer(run: Run, pair: tuple[str, str], turns: list[Turn], message: str, settings: Typed) -> Turn | None:
    """What both answer to `message`, drawn as it grows; None when it was stopped or went wrong."""
    from unlearning_core.evaluation.chat import chat_prompt

    _show_message(message)
    turn, matcher = {"person": message}, RunContext(run).matcher
    for state, bubble in _bubbles(pair).items():

        def draw(_: int, sample: int, text: str, bubble: Any = bubble) -> None:
            bubble.markdown(with_concept(text, matcher))

        def write(bar: ProgressCallback, state: str = state, draw: OnText = draw) -> None:
            before = [(past["person"], past[state]) for past in turns]
            with state_model(run, state, bar) as (loaded, _):
                prompt = chat_prompt(loaded, before, message, new_tokens=settings.tokens)
                typed = Typed(prompt, 1, settings.temperature, settings.tokens, settings.seed)
                (turn[state],) = continue_prompt(run, state, typed, bar, draw)

        if not under_its_own_bar(run, f"Answering: {state_title(state)}", write):
            return None
    return turn
