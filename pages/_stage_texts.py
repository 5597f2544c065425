"""What each stage of the model writes: the measured test prompts, and a prompt that is typed on the spot."""

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from pages._marked_text import escaped, highlighted
from pages._shared_models import base_model, retrained_model
from pages._working import carry_out
from unlearning_core.concepts.matcher import Matcher
from unlearning_core.errors import InputError
from unlearning_core.progress import ProgressCallback
from unlearning_core.runs import Run
from unlearning_core.work import Work

COLOURS = {"base": "blue", "pruned": "orange", "retrained": "green"}


def _heads(stages: Sequence[str]) -> None:
    for column, stage in zip(st.columns(len(stages), gap="medium"), stages, strict=True):
        column.markdown(f":{COLOURS[stage]}[**{stage.capitalize()}**]")


def _marked(text: str, matcher: Matcher) -> str:
    return highlighted(text, [(span.start, span.end) for span in matcher.spans(text)]) or ":gray[(nothing)]"


def show_generations(run: Run, written: Mapping[str, list[dict[str, Any]]]) -> None:
    """Every prompt and sample, a column a stage; the stages saw the same random numbers."""
    matcher, stages = Work(run).matcher, list(written)
    st.caption("Same random numbers for every stage. Words of the concept are highlighted.")
    rows: dict[str, list[dict[str, str]]] = {}
    for stage in stages:
        for text in written[stage]:
            samples = rows.setdefault(text["prompt"], [])
            while len(samples) <= text["sample"]:
                samples.append({})
            samples[text["sample"]][stage] = text["text"]
    _heads(stages)
    for prompt, samples in rows.items():
        with st.container(border=True):
            st.markdown(f"**{escaped(prompt)}**")
            for sample in samples:
                for column, stage in zip(st.columns(len(stages), gap="medium"), stages, strict=True):
                    column.markdown(_marked(sample.get(stage, ""), matcher))


def write_live(run: Run, stages: Sequence[str]) -> None:
    """A typed prompt, continued by every stage while the visitor watches."""
    with st.form("typed prompt", border=False):
        prompt = st.text_input("Prompt", placeholder="She was tired and sat down on the", key="typed")
        one, two, three, four = st.columns(4)
        samples = int(one.number_input("Samples", 1, 20, 1, key="typed samples"))
        temperature = two.number_input("Temperature (0: likeliest)", 0.0, 5.0, 0.8, 0.1, key="typed temperature")
        tokens = int(three.number_input("Tokens", 1, 500, 40, key="typed tokens"))
        seed = int(four.number_input("Seed", 0, None, 0, key="typed seed"))
        asked = st.form_submit_button("Write", type="primary")
    if not asked:
        return
    if not prompt.strip():
        raise InputError("The prompt is empty. Write a few words for the models to go on from.")
    _heads(stages)
    slots = {}
    for number in range(samples if temperature else 1):
        for column, stage in zip(st.columns(len(stages), gap="medium"), stages, strict=True):
            slots[stage, number] = column.empty()
    matcher = Work(run).matcher
    for stage in stages:

        def draw(_: int, sample: int, text: str, stage: str = stage) -> None:
            slots[stage, sample].markdown(_marked(text, matcher))

        def write(bar: ProgressCallback, stage: str = stage, draw: Any = draw) -> None:
            _write(run, stage, prompt, bar, draw, samples, temperature, tokens, seed)

        place = st.empty()
        with place:
            done = carry_out(f"Writing: {stage}", write, only_one=f"{run.id} typed")
        if not done:
            return
        place.empty()


def _write(
    run: Run,
    stage: str,
    prompt: str,
    bar: ProgressCallback,
    draw: Any,
    samples: int,
    temperature: float,
    tokens: int,
    seed: int,
) -> None:
    from unlearning_core.evaluation.generation import generate
    from unlearning_core.pruning.recipe import Recipe

    loaded = retrained_model(run, bar) if stage == "retrained" else base_model(run, bar)
    # The pruned stage is the base under the kept mask: the same edit as the saved model, without loading that too.
    mask = Recipe.load(run.folder / "recipe", loaded.map.shapes).mask if stage == "pruned" else None
    found = generate(
        loaded,
        [prompt],
        mask=mask,
        samples=samples,
        temperature=temperature,
        top_p=run.config.generation.top_p,
        max_new_tokens=tokens,
        seed=seed,
        on_text=draw,
        progress=bar,
    )
    for text in found:
        draw(0, text.sample, text.text)
