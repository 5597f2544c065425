"""What each stage of the model writes: the measured test prompts, and a prompt that is typed on the spot."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from pages.components.marked_text import CHANGED, escaped, highlighted
from pages.components.model_cache import state_model
from pages.components.progress import run_with_progress
from unlearning_core.concepts.matcher import Matcher
from unlearning_core.errors import InputError
from unlearning_core.progress import ProgressCallback
from unlearning_core.reports.differences import changed_words
from unlearning_core.runs.context import RunContext
from unlearning_core.runs.run import Run

NEVER_KNEW = "never_knew"
COLOURS = {"base": "blue", "pruned": "orange", "retrained": "green", NEVER_KNEW: "gray"}
TITLES = {"base": "Base", "pruned": "Pruned", "retrained": "Retrained", NEVER_KNEW: "Never knew"}
LEGEND = (
    f":orange-background[**Bold**]: a word of the concept. :{CHANGED}[*Italic*]: not what the base model wrote. "
    "All models use the same random numbers."
)


@dataclass(frozen=True)
class Typed:
    """A typed prompt and how it is continued."""

    prompt: str
    samples: int
    temperature: float
    tokens: int
    seed: int


def marked(text: str, matcher: Matcher, base: str | None = None) -> str:
    """Markdown of a text with the concept's words marked, and those that `base` has not."""
    spans = [(span.start, span.end) for span in matcher.spans(text)]
    return highlighted(text, spans, changed_words(base, text) if base is not None else ()) or ":gray[(nothing)]"


def heads(stages: Sequence[str]) -> None:
    """The names of the stages, a column each."""
    for column, stage in zip(st.columns(len(stages), gap="medium"), stages, strict=True):
        column.markdown(f":{COLOURS[stage]}[**{TITLES[stage]}**]")


@st.cache_data(show_spinner="The model that never knew is writing", max_entries=16)
def _written_without_knowing(_run: Run, settings: str) -> list[dict[str, Any]]:
    from unlearning_core.evaluation.generation import generate

    loaded, _ = state_model(_run, NEVER_KNEW)
    chosen = _run.config.generation
    texts = generate(
        loaded,
        _run.config.test_prompts,
        samples=chosen.samples,
        temperature=chosen.temperature,
        top_p=chosen.top_p,
        max_new_tokens=chosen.max_new_tokens,
        seed=chosen.seed,
    )
    return [text.to_dict() for text in texts]


def written_without_knowing(run: Run) -> list[dict[str, Any]]:
    """What the never-knew model of the run's settings writes after the test prompts, as the stages were measured."""
    from unlearning_core.models.sources.resolve import fingerprint

    config = run.config
    model = fingerprint(str(config.never_knew.model), config.never_knew.revision)
    settings = [model, config.base_model.dtype, config.test_prompts, config.generation.model_dump()]
    return _written_without_knowing(run, json.dumps(settings))


def show_generations(run: Run, written: Mapping[str, list[dict[str, Any]]]) -> None:
    """Every prompt and sample, a column a stage."""
    stages = list(written)
    rows: dict[str, list[dict[str, str]]] = {}
    for stage in stages:
        for text in written[stage]:
            samples = rows.setdefault(text["prompt"], [])
            while len(samples) <= text["sample"]:
                samples.append({})
            samples[text["sample"]][stage] = text["text"]
    st.caption(LEGEND)
    heads(stages)
    for prompt, samples in rows.items():
        with st.container(border=True):
            st.markdown(f"**{escaped(prompt)}**")
            _samples(run, stages, samples)


def _samples(run: Run, stages: Sequence[str], samples: Sequence[Mapping[str, str]]) -> None:
    matcher = RunContext(run).matcher
    for number, sample in enumerate(samples):
        if number:
            st.divider()
        for column, stage in zip(st.columns(len(stages), gap="medium"), stages, strict=True):
            base = sample.get("base") if stage != "base" else None
            column.markdown(marked(sample.get(stage, ""), matcher, base))


def write_live(run: Run, stages: Sequence[str]) -> None:
    """A typed prompt, continued by every stage while the visitor watches; kept until another one is written."""
    typed = ask()
    key = f"typed texts {run.id}"
    if typed is not None:
        st.session_state.pop(key, None)
        place = st.empty()
        with place.container():
            written = _write_all(run, stages, typed)
        place.empty()
        if written is None:
            return
        st.session_state[key] = (typed, written)
    if key in st.session_state:
        typed, written = st.session_state[key]
        st.caption(LEGEND)
        heads(list(written))
        with st.container(border=True):
            st.markdown(f"**{escaped(typed.prompt)}**")
            count = len(next(iter(written.values())))
            _samples(run, list(written), [{stage: written[stage][n] for stage in written} for n in range(count)])


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
            help="How freely the next word is drawn: low keeps to the likely ones, high is adventurous.",
        )  # fmt: skip
        tokens = int(three.number_input("Tokens", 1, 500, 40, key="typed tokens", help="About as many words."))
        seed = int(four.number_input("Seed", 0, None, 0, key="typed seed", help="Another number, other samples."))
        greedy = st.toggle(
            "Greedy: always the likeliest word", False, key="typed greedy", wrap=True,
            help="There is only one such text, so samples, temperature and seed have no effect.",
        )  # fmt: skip
        asked = st.form_submit_button("Write", type="primary", icon=":material/edit:")
    if not asked:
        return None
    if not prompt.strip():
        raise InputError("The prompt is empty. Write a few words for the models to go on from.")
    one_only = greedy or temperature == 0
    return Typed(prompt, 1 if one_only else samples, 0.0 if greedy else temperature, tokens, seed)


def _write_all(run: Run, stages: Sequence[str], typed: Typed) -> dict[str, list[str]] | None:
    """What each stage writes, drawn as it grows; None when it was stopped or went wrong."""
    heads(stages)
    slots = {}
    for number in range(typed.samples):
        for column, stage in zip(st.columns(len(stages), gap="medium"), stages, strict=True):
            slots[stage, number] = column.empty()
    matcher, written = RunContext(run).matcher, {}
    for stage in stages:

        def draw(_: int, sample: int, text: str, stage: str = stage) -> None:
            slots[stage, sample].markdown(marked(text, matcher))

        def write(bar: ProgressCallback, stage: str = stage, draw: Any = draw) -> None:
            written[stage] = continue_prompt(run, stage, typed, bar, draw)

        place = st.empty()
        with place:
            done = run_with_progress(f"Writing: {TITLES[stage]}", write, only_one=f"{run.id} typed")
        if not done:
            return None
        place.empty()
    return written


def continue_prompt(run: Run, stage: str, typed: Typed, bar: ProgressCallback, draw: Any) -> list[str]:
    """The texts of one stage, sample by sample; `draw` hears them grow."""
    from unlearning_core.evaluation.generation import generate

    loaded, mask = state_model(run, stage, bar)
    found = generate(
        loaded,
        [typed.prompt],
        mask=mask,
        samples=typed.samples,
        temperature=typed.temperature,
        top_p=run.config.generation.top_p,
        max_new_tokens=typed.tokens,
        seed=typed.seed,
        on_text=draw,
        progress=bar,
    )
    return [text.text for text in found]
