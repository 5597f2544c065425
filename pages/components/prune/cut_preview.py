"""What a cut does, before it is kept: the neurons on the heatmap, text from base and pruned, quick numbers."""

import math
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from pages.components.marked_text import CHANGED, escaped, with_concept
from pages.components.states import PRUNED, columns, headings
from pages.components.turns import shared
from unlearning_core.edits.mask import Mask
from unlearning_core.errors import InputError
from unlearning_core.evaluation.ratio import NATS_NOTE, Z95, Estimate, format_likelihood
from unlearning_core.figures.distributions import layer_summary
from unlearning_core.figures.heatmap import heatmap
from unlearning_core.progress import Progress
from unlearning_core.runs.context import RunContext
from unlearning_core.runs.run import Run

if TYPE_CHECKING:
    from unlearning_core.edits.token_rows import TokenRows
    from unlearning_core.evaluation.measurement import Kind
    from unlearning_core.models.loading import LoadedModel

QUICK = 24
"""Held-out sentences of each kind that the quick numbers are measured on."""

_TOKENS = 256
"""Positions a batch of them: with few there is little padding, and what the visitor does meanwhile is heard sooner."""

_REMEMBERED = 60

_EVERY = 0.1
"""Seconds between two drawings of a text that grows."""

_KINDS: "tuple[tuple[Kind, str, str], ...]" = (
    ("concept", "Concept words", "The more, the more is forgotten."),
    ("retain", "Other text", "Sentences without the concept: the less, the better."),
    ("neighbour", "Neighbours", "Words that must stay: the less, the better."),
)


class Edit(NamedTuple):
    """What is previewed: neurons cut and token rows moved."""

    mask: Mask | None = None
    rows: "TokenRows | None" = None

    @property
    def key(self) -> tuple[str | None, str | None]:
        """What it is remembered by."""
        return (
            self.mask.digest() if self.mask is not None else None,
            self.rows.digest() if self.rows is not None else None,
        )


NOTHING = Edit()


class Prompts(NamedTuple):
    """The prompts that are continued, by how many tokens, and whether by the likeliest each time."""

    texts: tuple[str, ...]
    tokens: int
    greedy: bool


def size_of_cut(ranking: pd.DataFrame, mask: Mask, rows: "TokenRows | None", place: DeltaGenerator) -> None:
    """How many neurons are cut, in `place`; a note where they are none, a warning where they are protected ones."""
    site = str(ranking["site"].iloc[0])
    cut = ~mask.kept[site]
    place.metric("Neurons cut", f"{mask.cut:,}")
    place.caption(f"of {mask.total:,}, in {int(cut.any(axis=1).sum())} of {len(cut)} layers")
    if not mask.cut and rows is None:
        st.info("No neuron is cut: move the slider to the right.")
    protected = ranking[ranking["protected"] & (ranking["site"] == site)]
    if hit := int(np.count_nonzero(cut[protected["layer"], protected["index"]])):
        st.warning(f"{hit} protected neurons are among them: expect broken text.")


def pictures_of_cut(ranking: pd.DataFrame, mask: Mask) -> None:
    """Where the neurons lie that are cut."""
    site = str(ranking["site"].iloc[0])
    cut = ~mask.kept[site]
    bars = layer_summary(cut).update_xaxes(dtick=max(1, len(cut) // 10))
    st.plotly_chart(bars, key="cut layers", alt="Neurons cut in each layer")
    st.plotly_chart(heatmap(ranking, site, cut=cut), key="cut heatmap", alt="Scores, with cut neurons crossed")


def write_side_by_side(run: Run, loaded: "LoadedModel", edit: Edit, prompts: Prompts) -> None:
    """Base and pruned continue the prompts; what was written before is remembered."""
    if not prompts.texts:
        raise InputError("There is no prompt. Write at least one in the box of prompts.")
    slots: dict[str, list[DeltaGenerator]] = {"base": [], PRUNED: []}
    headings(list(slots))
    for prompt in prompts.texts:
        with st.container(gap=None):
            st.markdown(f"**{escaped(prompt)}**")
            for state, column in columns(list(slots)).items():
                slots[state].append(column.empty())
    base = _write(run, loaded, NOTHING, prompts, slots["base"], ())
    pruned = _write(run, loaded, edit, prompts, slots[PRUNED], base)
    matcher = RunContext(run).matcher
    for slot, text, other in zip(slots["base"], base, pruned, strict=True):
        slot.markdown(with_concept(text, matcher, other))
    st.caption(
        f":orange-background[**Highlighted**]: a word of the concept. :{CHANGED}[*Italic*]: a word that differs from "
        "what the other model wrote."
    )


def _write(
    run: Run,
    loaded: "LoadedModel",
    edit: Edit,
    prompts: Prompts,
    slots: list[DeltaGenerator],
    others: Sequence[str],
) -> list[str]:
    """The continuations, drawn in `slots` as they grow; words that differ from `others` are marked, if given."""
    from unlearning_core.evaluation.generation import generate

    # A model that is done within that time is drawn once: the browser takes longer to draw than it takes to write.
    matcher, drawn = RunContext(run).matcher, [time.monotonic()] * len(slots)

    def draw(number: int, text: str) -> None:
        slots[number].markdown(with_concept(text, matcher, others[number] if others else None))

    def grow(number: int, sample: int, text: str) -> None:
        if time.monotonic() - drawn[number] >= _EVERY:
            draw(number, text)
            drawn[number] = time.monotonic()

    def write() -> list[str]:
        settings = run.config.generation
        found = generate(
            loaded, prompts.texts, mask=edit.mask, rows=edit.rows,
            temperature=0.0 if prompts.greedy else settings.temperature or 1.0, top_p=settings.top_p,
            max_new_tokens=prompts.tokens, seed=settings.seed, on_text=grow,
        )  # fmt: skip
        return [generation.text for generation in found]

    # What is drawn at random depends on the run's settings too.
    drawn_by = None if prompts.greedy else run.config.generation.model_dump_json()
    written: list[str] = _remembered((run.id, edit.key, prompts, drawn_by), write)
    for number, text in enumerate(written):
        draw(number, text)
    return written


def quick_numbers(run: Run, loaded: "LoadedModel", edit: Edit, place: DeltaGenerator) -> float:
    """How much less likely this edit makes a few held-out sentences; returns the seconds that measuring one takes.

    Each kind of token has a place of its own in `place`; where there are neighbours, they do too. What the numbers are
    is said below.
    """
    from unlearning_core.evaluation.likelihood import measure
    from unlearning_core.evaluation.measurement import apart_delta, nll_delta

    places, note, drawn = [place.empty() for _ in _KINDS], place.empty(), time.monotonic()

    def report(update: Progress) -> None:
        nonlocal drawn
        if time.monotonic() - drawn >= _EVERY:
            note.caption(f"Measuring on {update.total or 0:.0f} held-out sentences: {update.done:.0f}")
            drawn = time.monotonic()

    def measured(edit: Edit) -> Any:
        def measure_and_time() -> Any:
            held_out = run.sentences("held_out").take(QUICK, QUICK, 0).items
            begun = time.monotonic()
            found = measure(loaded, held_out, mask=edit.mask, rows=edit.rows, token_budget=_TOKENS, progress=report)
            return found, time.monotonic() - begun, len(held_out)

        return _remembered((run.id, "measured", run.fingerprint("label"), edit.key), measure_and_time)

    (base, seconds, sentences), (pruned, _, _) = measured(NOTHING), measured(edit)
    for slot, (kind, title, meaning) in zip(places, _KINDS, strict=True):
        if kind == "neighbour" and not base.has_neighbours:
            continue
        apart = apart_delta(base, pruned) if kind == "retain" else None
        change = apart or nll_delta(base, pruned, kind)
        said, interval = format_likelihood(change)
        with slot.container(gap=None):
            st.metric(title, said, help=f"{meaning} {_in_nats(change)}")
            if interval:
                st.caption(f"95 %: {interval}")
    note.caption(f"A quick estimate on {sentences} held-out sentences; a cut that is kept is measured on all of them.")
    return seconds / sentences


def _in_nats(change: Estimate) -> str:
    """The change of the loss as it was measured, for the help sign."""
    half = "" if math.isnan(change.stderr) else f" ± {Z95 * change.stderr:.2f} (half a 95 % interval)"
    return (
        f"The loss changes by {change.value:+z.2f}{half} nats a token against the base model. {NATS_NOTE} Compare says "
        "the same of all held-out sentences, so its number may differ within the interval."
    )


def _remembered(key: tuple[Any, ...], compute: Any) -> Any:
    """What this visitor saw of a cut before, or what `compute` gives now."""
    memory: dict[tuple[Any, ...], Any] = st.session_state.setdefault("previews", {})
    if key not in memory:
        # All but the run, which stands in the key for what of it the result depends on.
        memory[key] = shared(key[1:], compute)
        if len(memory) > _REMEMBERED:
            del memory[next(iter(memory))]
    return memory[key]
