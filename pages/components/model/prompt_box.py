"""A prompt box: the loaded model goes on from a text, or answers a question, while the visitor watches."""

from typing import Any

import streamlit as st

from pages.components.marked_text import NOTHING, escaped
from pages.components.model_cache import base_is_loaded, base_model
from pages.components.progress import run_with_progress
from unlearning_core.errors import InputError
from unlearning_core.progress import ProgressCallback
from unlearning_core.runs.run import Run

_KEPT = 6
"""Earlier texts that stay on the page."""

GREEDY, SAMPLED = "Likeliest words", "Drawn at random"


def prompt_box(run: Run) -> None:
    """The box, and under it what was written, the latest first."""
    st.subheader("Try it")
    prompts = run.config.test_prompts
    box = f"prompt {run.id}"
    st.session_state.setdefault(box, prompts[0] if prompts else "")
    if prompts:
        st.pills(
            "To begin with",
            prompts,
            key=f"example {run.id}",
            format_func=escaped,
            on_change=_use_example,
            args=(box, f"example {run.id}"),
        )
    answers = base_is_loaded(run) and _answers(run)
    with st.form(f"prompt form {run.id}", border=False):
        prompt = st.text_area("Prompt", key=box, height="content", help="The model goes on from here.")
        with st.expander("How it writes"):
            how, temperature, tokens, seed = _manner(run)
            asked = answers and st.toggle(
                "As a chat message", True, key=f"chat {run.id}",
                help="The model was trained to answer messages. Off: it goes on from the text as it stands.",
            )  # fmt: skip
        pressed = st.form_submit_button("Write", icon=":material/chat:")
    place = st.container()
    if pressed:
        with place:
            _write(run, prompt or "", 0.0 if how == GREEDY else temperature, tokens, seed, bool(asked))
    for text in _written(run):
        with st.container(border=True):
            st.markdown(f"**{escaped(text['prompt'])}**  \n{escaped(text['text']) or NOTHING}")


def _manner(run: Run) -> tuple[str, float, int, int]:
    """Likeliest or drawn words, temperature, tokens at most, seed."""
    how = st.radio(
        "Which words it takes", (GREEDY, SAMPLED), horizontal=True, key=f"how {run.id}",
        help="The likeliest words are the same every time; drawn ones change with the seed.",
    )  # fmt: skip
    one, two, three = st.columns(3, vertical_alignment="bottom")
    heat = one.number_input(
        "Temperature", 0.05, 5.0, run.config.generation.temperature or 0.8, 0.1, key=f"heat {run.id}",
        help="For words drawn at random: higher is bolder.",
    )  # fmt: skip
    tokens = two.number_input(
        "Max tokens", 1, 1000, run.config.generation.max_new_tokens, key=f"long {run.id}",
        help="How much it writes at most. A token is a word or a piece of one.",
    )  # fmt: skip
    seed = three.number_input(
        "Seed", 0, None, run.config.generation.seed, key=f"dice {run.id}",
        help="Any number. The same one draws the same words again.",
    )  # fmt: skip
    return str(how), heat, int(tokens), int(seed)


def _use_example(box: str, example: str) -> None:
    if chosen := st.session_state.get(example):
        st.session_state[box] = chosen


def _answers(run: Run) -> bool:
    from unlearning_core.evaluation.chat import has_chat_template

    with base_model(run) as loaded:
        return has_chat_template(loaded)


def _write(run: Run, prompt: str, temperature: float, tokens: int, seed: int, asked: bool) -> None:
    if not prompt.strip():
        raise InputError("The prompt is empty. Write a few words for the model to go on from.")
    st.markdown(f"**{escaped(prompt)}**")
    slot, bar = st.empty(), st.empty()

    def draw(_: int, __: int, text: str) -> None:
        slot.markdown(escaped(text) or NOTHING)

    def write(progress: ProgressCallback) -> None:
        from unlearning_core.evaluation.chat import chat_prompt
        from unlearning_core.evaluation.generation import generate

        with base_model(run, progress) as loaded:
            whole = chat_prompt(loaded, [], prompt, new_tokens=tokens) if asked else prompt
            found = generate(
                loaded, [whole], temperature=temperature, top_p=run.config.generation.top_p, max_new_tokens=tokens,
                seed=seed, on_text=draw, progress=progress,
            )  # fmt: skip
        _written(run).insert(0, {"prompt": prompt, "text": found[0].text})

    with bar:
        done = run_with_progress("Writing", write, only_one=f"{run.id} prompt")
    if done:
        del _written(run)[_KEPT:]
        # What was just written is shown with the earlier texts.
        st.rerun()


def _written(run: Run) -> list[dict[str, Any]]:
    return st.session_state.setdefault(f"written by the model {run.id}", [])
