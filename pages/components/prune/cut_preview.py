"""What a cut does, before it is kept: the neurons on the heatmap, text from base and pruned, quick numbers."""

import time
from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from pages.components.marked_text import CHANGED, escaped, highlighted
from pages.components.model_cache import base_model
from unlearning_core.concepts.matcher import Matcher
from unlearning_core.edits.mask import Mask
from unlearning_core.errors import InputError
from unlearning_core.evaluation.ratio import Z95
from unlearning_core.figures.distributions import layer_summary
from unlearning_core.figures.heatmap import heatmap
from unlearning_core.progress import Progress
from unlearning_core.reports.differences import changed_words
from unlearning_core.runs.context import RunContext
from unlearning_core.runs.run import Run

if TYPE_CHECKING:
    from unlearning_core.evaluation.measurement import Kind

QUICK = 24
"""Held-out sentences of each kind that the quick numbers are measured on."""

_REMEMBERED = 60

_EVERY = 0.1
"""Seconds between two drawings of a text that grows."""

_KINDS: "tuple[tuple[Kind, str, str], ...]" = (
    ("concept", "Concept loss", "How much worse the concept's words are predicted: more is more forgotten."),
    ("retain", "Loss elsewhere", "How much worse all other words are predicted: the price, less is better."),
    ("neighbour", "Loss on neighbours", "Of the loss elsewhere the part of the words that must stay: less is better."),
)


def size_of_cut(ranking: pd.DataFrame, mask: Mask, place: DeltaGenerator) -> None:
    """How many neurons are cut, in `place`; a warning where they are protected ones."""
    site = str(ranking["site"].iloc[0])
    cut = ~mask.kept[site]
    place.metric("Neurons cut", f"{mask.cut:,}")
    place.caption(f"of {mask.total:,}, in {int(cut.any(axis=1).sum())} of {len(cut)} layers")
    protected = ranking[ranking["protected"] & (ranking["site"] == site)]
    if hit := int(np.count_nonzero(cut[protected["layer"], protected["index"]])):
        st.warning(f"{hit} protected neurons are among them: expect broken text.")


def pictures_of_cut(ranking: pd.DataFrame, mask: Mask) -> None:
    """Where the neurons lie that are cut."""
    site = str(ranking["site"].iloc[0])
    cut = ~mask.kept[site]
    with st.expander("Which neurons", expanded=True):
        st.plotly_chart(heatmap(ranking, site, cut=cut), key="cut heatmap", alt="Scores, with cut neurons crossed")
        bars = layer_summary(cut).update_xaxes(dtick=max(1, len(cut) // 10))
        st.plotly_chart(bars, key="cut layers", alt="Neurons cut in each layer")


def write_side_by_side(run: Run, mask: Mask, prompts: list[str], tokens: int, greedy: bool) -> None:
    """Base and pruned continue the prompts; what was written before is remembered."""
    if not prompts:
        raise InputError("There is no prompt. Write at least one in the box of prompts.")
    st.subheader("What it writes")
    slots: dict[str, list[DeltaGenerator]] = {"base": [], "pruned": []}
    heads = st.columns(2, gap="medium")
    heads[0].markdown(":blue[**Base**]")
    heads[1].markdown(":orange[**Pruned**]")
    for prompt in prompts:
        with st.container(border=True):
            st.markdown(f"**{escaped(prompt)}**")
            for stage, column in zip(slots, st.columns(2, gap="medium"), strict=True):
                slots[stage].append(column.empty())
    base = _write(run, None, prompts, tokens, greedy, slots["base"], ())
    pruned = _write(run, mask, prompts, tokens, greedy, slots["pruned"], base)
    matcher = RunContext(run).matcher
    for slot, text, other in zip(slots["base"], base, pruned, strict=True):
        slot.markdown(_marked(text, matcher, other))
    st.caption(
        f":orange-background[**Bold on a ground**]: a word of the concept. :{CHANGED}[*Coloured italics*]: a word that "
        "the other model has otherwise."
    )


def _write(
    run: Run,
    mask: Mask | None,
    prompts: list[str],
    tokens: int,
    greedy: bool,
    slots: list[DeltaGenerator],
    others: Sequence[str],
) -> list[str]:
    """The continuations, drawn in `slots` as they grow; words that differ from `others` are marked, if given."""
    from unlearning_core.evaluation.generation import generate

    matcher, drawn = RunContext(run).matcher, [0.0] * len(slots)

    def draw(number: int, text: str) -> None:
        slots[number].markdown(_marked(text, matcher, others[number] if others else None))

    def grow(number: int, sample: int, text: str) -> None:
        # A small model writes faster than a page draws: drawing each word would take longer than writing all of them.
        if time.monotonic() - drawn[number] >= _EVERY:
            draw(number, text)
            drawn[number] = time.monotonic()

    key = (run.id, mask.digest() if mask is not None else "", tuple(prompts), tokens, greedy)
    written = _remembered().get(key)
    if written is None:
        settings = run.config.generation
        found = generate(
            base_model(run),
            prompts,
            mask=mask,
            temperature=settings.temperature or 1.0,
            top_p=settings.top_p,
            max_new_tokens=tokens,
            greedy=greedy,
            seed=settings.seed,
            on_text=grow,
        )
        written = [generation.text for generation in found]
        _remember(key, written)
    for number, text in enumerate(written):
        draw(number, text)
    return list(written)


def _marked(text: str, matcher: Matcher, other: str | None) -> str:
    """Markdown of what a model wrote: the concept's words, and what another model wrote otherwise."""
    changed = changed_words(other, text) if other is not None else ()
    return highlighted(text, [(span.start, span.end) for span in matcher.spans(text)], changed) or ":gray[(nothing)]"


def quick_numbers(run: Run, mask: Mask, row: DeltaGenerator, below: DeltaGenerator) -> float:
    """Change of the loss on a few held-out sentences from base to this cut; returns the seconds a sentence takes.

    Each kind of token has a place of its own in `row`; where there are neighbours, they do too. What the numbers are is
    said `below`.
    """
    from unlearning_core.evaluation.likelihood import measure
    from unlearning_core.evaluation.measurement import nll_delta

    held_out = RunContext(run).sentences("held_out").take(QUICK, QUICK, 0).items
    places, note = [row.container(width="content").empty() for _ in _KINDS], below.empty()

    def watch(update: Progress) -> None:
        note.caption(f"Measuring on {len(held_out)} held-out sentences: {update.done:.0f}")

    measured = []
    for cut in (None, mask):
        key = (run.id, "measured", _data_time(run), cut.digest() if cut is not None else "")
        if key not in _remembered():
            begun = time.monotonic()
            found = measure(base_model(run), held_out, mask=cut, progress=watch)
            _remember(key, (found, time.monotonic() - begun))
        measured.append(_remembered()[key])
    (base, seconds), (pruned, _) = measured
    for place, (kind, title, meaning) in zip(places, _KINDS, strict=True):
        if kind == "neighbour" and not base.has_neighbours:
            continue
        change = nll_delta(base, pruned, kind)
        with place.container():
            st.metric(title, f"{change.value:+z.2f}", help=meaning)
            st.caption(f"± {Z95 * change.stderr:.2f}")
    note.caption(f"Nats a token ± half a 95 % interval, against base on {len(held_out)} held-out sentences.")
    return seconds / len(held_out)


def _data_time(run: Run) -> int:
    return (run.folder / "data" / "held_out.jsonl").stat().st_mtime_ns


def _remembered() -> OrderedDict[tuple[Any, ...], Any]:
    return st.session_state.setdefault("previews", OrderedDict())


def _remember(key: tuple[Any, ...], value: Any) -> None:
    memory = _remembered()
    memory[key] = value
    while len(memory) > _REMEMBERED:
        memory.popitem(last=False)
