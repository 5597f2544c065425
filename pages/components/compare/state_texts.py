"""What each state of the model writes: the measured test prompts, and a prompt that is typed on the spot."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import streamlit as st

from pages.components.compare.differences import show_prompt
from pages.components.marked_text import with_concept
from pages.components.model_cache import state_model
from pages.components.progress import run_with_progress
from pages.components.states import labelled_columns
from unlearning_core.errors import InputError
from unlearning_core.methods.registry import NEVER_KNEW, state_title
from unlearning_core.progress import ProgressCallback
from unlearning_core.runs.context import RunContext
from unlearning_core.runs.run import Run

OnText = Callable[[int, int, str], None]
"""Told the number of a prompt, the number of a sample, and the text so far."""


@dataclass(frozen=True)
class Typed:
    """A typed prompt and how it is continued."""

    prompt: str
    samples: int
    temperature: float
    tokens: int
    seed: int


@st.cache_data(show_spinner="The model that never knew is writing", max_entries=16)
def _written_by_never_knew(_run: Run, settings: str) -> list[dict[str, Any]]:
    from unlearning_core.evaluation.generation import generate

    chosen = _run.config.generation
    with state_model(_run, NEVER_KNEW) as (loaded, _):
        texts = generate(
            loaded, RunContext(_run).test_prompts, samples=chosen.samples, temperature=chosen.temperature,
            top_p=chosen.top_p, max_new_tokens=chosen.max_new_tokens, seed=chosen.seed,
        )  # fmt: skip
    return [asdict(text) for text in texts]


def written_by_never_knew(run: Run) -> list[dict[str, Any]]:
    """What the never-knew model of the run's settings writes after the test prompts, as the states were measured."""
    from unlearning_core.models.sources.resolve import fingerprint

    config = run.config
    model = fingerprint(str(config.never_knew.model), config.never_knew.revision)
    settings = [model, config.base_model.dtype, RunContext(run).test_prompts, config.generation.model_dump()]
    return _written_by_never_knew(run, json.dumps(settings))


def write_live(run: Run, states: Sequence[str]) -> None:
    """A typed prompt, continued by every state while the visitor watches; kept until another one is written."""
    typed = ask()
    key = f"typed texts {run.id}"
    if typed is not None:
        st.session_state.pop(key, None)
        place = st.empty()
        with place.container():
            written = _write_all(run, states, typed)
        place.empty()
        if written is None:
            return
        st.session_state[key] = (typed, written)
    if key in st.session_state:
        typed, written = st.session_state[key]
        samples = [dict(zip(written, texts, strict=True)) for texts in zip(*written.values(), strict=True)]
        show_prompt(RunContext(run).matcher, list(written), typed.prompt, samples)


def ask() -> Typed | None:
    """The form; None until its button is pressed.

    Raises:
        InputError: it was pressed without a prompt.
    """
    with st.form("typed prompt", border=False):
        prompt = st.text_input("Prompt", placeholder="She was tired and sat down on the", key="typed")
        one, two, three, four = st.columns(4)
        samples = int(one.number_input("Samples", 1, 20, 2, key="typed samples"))
        temperature = two.number_input(
            "Temperature", 0.0, 5.0, 0.8, 0.1, key="typed temperature",
            help="How freely the next word is drawn: low keeps to the likely ones, high is bolder.",
        )  # fmt: skip
        tokens = int(
            three.number_input(
                "Max tokens", 1, 500, 40, key="typed tokens", help="A token is a word or a piece of one."
            )
        )
        seed = int(four.number_input("Seed", 0, None, 0, key="typed seed", help="Another number, other samples."))
        greedy = st.toggle(
            "Always the likeliest word", False, key="typed greedy", wrap=True,
            help="There is only one such text, so samples, temperature and seed have no effect.",
        )  # fmt: skip
        asked = st.form_submit_button("Write", type="primary", icon=":material/edit:")
    if not asked:
        return None
    if not prompt.strip():
        raise InputError("The prompt is empty. Write a few words for the models to go on from.")
    one_only = greedy or temperature == 0
    return Typed(prompt, 1 if one_only else samples, 0.0 if greedy else temperature, tokens, seed)


def _write_all(run: Run, states: Sequence[str], typed: Typed) -> dict[str, list[str]] | None:
    """What each state writes, drawn as it grows; None when it was stopped or went wrong."""
    slots = [
        {state: column.empty() for state, column in labelled_columns(states).items()} for _ in range(typed.samples)
    ]
    matcher, written = RunContext(run).matcher, {}
    for state in states:

        def draw(_: int, sample: int, text: str, state: str = state) -> None:
            slots[sample][state].markdown(with_concept(text, matcher))

        def write(bar: ProgressCallback, state: str = state, draw: OnText = draw) -> None:
            written[state] = continue_prompt(run, state, typed, bar, draw)

        if not under_its_own_bar(run, f"Writing: {state_title(state)}", write):
            return None
    return written


def under_its_own_bar(run: Run, doing: str, write: Callable[[ProgressCallback], None]) -> bool:
    """Let a model write under a bar that goes when it has finished; whether it has."""
    place = st.empty()
    with place:
        done = run_with_progress(doing, write, only_one=f"{run.id} typed")
    if done:
        place.empty()
    return done


def continue_prompt(run: Run, state: str, typed: Typed, bar: ProgressCallback, draw: OnText) -> list[str]:
    """The texts of one state, sample by sample; `draw` is told as they grow."""
    from unlearning_core.evaluation.generation import generate

    with state_model(run, state, bar) as (loaded, recipe):
        mask, rows = (recipe.mask, recipe.rows) if recipe is not None else (None, None)
        found = generate(
            loaded, [typed.prompt], mask=mask, rows=rows, samples=typed.samples, temperature=typed.temperature,
            top_p=run.config.generation.top_p, max_new_tokens=typed.tokens, seed=typed.seed, on_text=draw, progress=bar,
        )  # fmt: skip
    return [text.text for text in found]
