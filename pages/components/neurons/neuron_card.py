"""Everything there is to see of one neuron: its standing, when it is active, what it promotes, what its cut does."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from pages.components.model_cache import base_model
from pages.components.neurons.activation_text import LEGEND, badges, coloured
from pages.components.neurons.neuron_choice import choose_neuron, is_excluded, is_pinned, set_excluded, toggle_pin
from pages.components.progress import flash, show_errors
from pages.components.ready_model import model_at_hand
from unlearning_core.evaluation.ratio import Z95
from unlearning_core.figures.distributions import activation_histogram
from unlearning_core.figures.style import SITE_NAMES
from unlearning_core.neurons.neuron import Neuron
from unlearning_core.rankers.registry import RANKERS
from unlearning_core.runs.context import RunContext
from unlearning_core.runs.run import Run

if TYPE_CHECKING:
    from unlearning_core.evaluation.measurement import Measurement
    from unlearning_core.neurons.other_ranks import Standing
    from unlearning_core.neurons.passages import Passage
    from unlearning_core.neurons.reading import Histogram
    from unlearning_core.neurons.single_ablation import CutAlone


@dataclass(frozen=True)
class Activity:
    """When a neuron was active in a sample of the training sentences."""

    histogram: "Histogram"
    most: list["Passage"]
    least: list["Passage"]
    sentences: int


def show_card(run: Run, neuron: Neuron) -> None:
    """Draw the card of `neuron`, which is in the run's ranking."""
    with st.container(border=True):
        _head(run, neuron)
        if not model_at_hand(run):
            return
        with show_errors():
            numbers = st.container(horizontal=True, gap="large")
            alone = numbers.container(horizontal=True, gap="large", width="content").empty()
            left, right = st.columns(2, gap="large")
            with left:
                _show_standing(run, neuron, numbers)
            place = right.container()
            tokens = st.container()
            with st.spinner("Reading where it is active"):
                activity = _activity(*_stamp(run), neuron)
            with place:
                _show_histogram(activity)
            with tokens:
                _show_tokens(run, neuron, activity.histogram.concept_mean)
            _show_passages(activity)
            with st.spinner("Measuring what its cut alone does"):
                _show_cut(_alone(*_stamp(run), neuron), alone)


def _head(run: Run, neuron: Neuron) -> None:
    row = st.container(horizontal=True, vertical_alignment="center")
    row.subheader(f"Layer {neuron.layer}, neuron {neuron.index}", anchor="neuron-card", width="stretch")
    pinned, excluded = is_pinned(run, neuron), is_excluded(run, neuron)
    row.button(
        "Unpin" if pinned else "Pin", icon=":material/keep_off:" if pinned else ":material/keep:",
        on_click=toggle_pin, args=(run, neuron), key="pin neuron",
        help="Pinned neurons stay with the run; the table of neurons can show them alone.",
    )  # fmt: skip
    if row.button(
        "May be cut again" if excluded else "Never cut it",
        icon=":material/lock_open:" if excluded else ":material/lock:", key="exclude neuron",
        help="A neuron that is never cut stays whole at any ratio; the next one of the ranking takes its place.",
    ):  # fmt: skip
        with show_errors():
            set_excluded(run, neuron, not excluded)
            flash(
                f"Layer {neuron.layer} neuron {neuron.index} may be cut again."
                if excluded
                else f"Layer {neuron.layer} neuron {neuron.index} will not be cut. A cut that was kept before has to "
                "be kept again on the Prune page."
            )
            st.rerun()
    row.button("Close", icon=":material/close:", on_click=choose_neuron, args=(None,), key="close neuron")
    if excluded:
        st.caption(":material/lock: This neuron is excluded from every cut.")


def _stamp(run: Run) -> tuple[str, int]:
    """What a card depends on beside the neuron: the run and when it was ranked."""
    return str(run.folder), (run.folder / "ranking.parquet").stat().st_mtime_ns


def _show_standing(run: Run, neuron: Neuron, numbers: DeltaGenerator) -> None:
    standings = _standings(*_stamp(run))
    rows = []
    for number, (name, standing) in enumerate(standings.items()):
        place, score = int(standing.place[neuron.layer, neuron.index]), standing.score[neuron.layer, neuron.index]
        if number == 0:
            numbers.metric("Rank", f"{place + 1:,}", help=f"Of {standing.place.size:,}, by this run's method.")
            numbers.metric("Score", f"{score:.3g}")
        title = RANKERS[name].title + (" (this ranking)" if number == 0 else "")
        rows.append((title, f"{score:.3g}", f"{place + 1:,}", f"{100 * (place + 1) / standing.place.size:.2g} %"))
    st.markdown("**By every method**", help="Other methods with their defaults, on what the same pass kept.")
    table = pd.DataFrame(rows, columns=["Method", "Score", "Rank", "In the first"])
    st.table(table.set_index("Method"))
    st.caption(f"Of {next(iter(standings.values())).place.size:,} {SITE_NAMES[neuron.site]}; rank 1 comes first.")


def _show_histogram(activity: Activity) -> None:
    st.markdown(
        "**When it is active**",
        help=f"In {activity.sentences} of the run's training sentences, read where this ranking reads it.",
    )
    st.plotly_chart(
        activation_histogram(activity.histogram), key="activation histogram",
        alt="Share of concept tokens and of other tokens by the neuron's activation",
    )  # fmt: skip


def _show_tokens(run: Run, neuron: Neuron, concept_mean: float) -> None:
    from unlearning_core.neurons.lens import lens, no_lens

    loaded = base_model(run)
    st.markdown(
        "**Tokens that it promotes and suppresses**",
        help="Logit lens: what one unit of its activation adds to each token's logit, when what it writes is read "
        "by the final norm's gain and the unembedding at once, up to a positive factor (nostalgebraist 2020; Geva et "
        "al. 2022). What later layers make of it is not in it.",
    )
    if reason := no_lens(loaded, neuron.site):
        st.caption(reason)
        return
    found = lens(loaded, neuron)
    left, right = st.columns(2, gap="large")
    left.markdown(f":material/arrow_upward: {badges(found.promoted, 'green')}")
    right.markdown(f":material/arrow_downward: {badges(found.suppressed, 'violet')}")
    if concept_mean < 0:
        st.caption(
            f"At the concept its activation is below zero ({concept_mean:.2g} on average): there it works the other "
            "way round."
        )


def _show_passages(activity: Activity) -> None:
    scale = max((abs(passage.extreme) for passage in activity.most + activity.least), default=0.0)
    left, right = st.columns(2, gap="large")
    for place, title, found in ((left, "Most active", activity.most), (right, "Least active", activity.least)):
        with place:
            st.markdown(f"**{title}**")
            for passage in found:
                with st.container(border=True, gap="small"):
                    st.markdown(coloured(passage, scale))
                    st.caption(f"{passage.extreme:.3g} at its {'highest' if place is left else 'lowest'}")
    st.caption(LEGEND)


def _show_cut(found: "CutAlone", place: DeltaGenerator) -> None:
    with place.container(horizontal=True, gap="large"):
        for title, change, meaning in (
            ("Its cut alone: concept", found.concept, "Change of the loss on the concept's words: more is forgotten."),
            ("Its cut alone: elsewhere", found.retain, "Change of the loss on all other words: the price."),
        ):
            error = "" if math.isnan(change.stderr) else f" ± {Z95 * change.stderr:.4f}"
            st.metric(
                title, f"{change.value:+.4f}{error}",
                help=f"{meaning} Nats a token ± half a 95 % interval, on {found.sentences} held-out sentences.",
            )  # fmt: skip


@st.cache_resource(show_spinner=False, max_entries=8)
def _standings(folder: str, ranked: int) -> "dict[str, Standing]":
    from unlearning_core.neurons.other_ranks import by_every_ranker

    run = Run(Path(folder))
    norm = base_model(run).map.outgoing_norm(run.config.neural_probing.site)
    return by_every_ranker(RunContext(run), norm)


@st.cache_resource(show_spinner=False, max_entries=200)
def _activity(folder: str, ranked: int, neuron: Neuron) -> Activity:
    from unlearning_core.neurons.passages import passages
    from unlearning_core.neurons.reading import histogram, read_neuron, rows_of, sample_size

    run = Run(Path(folder))
    loaded, probing = base_model(run), run.config.neural_probing
    few = sample_size(loaded.info.parameters)
    items = RunContext(run).sentences("train").take(few, few, run.config.seed).items
    traces = read_neuron(loaded, items, neuron)
    skip = probing.skip_first_position
    values, classes = rows_of(traces, probing.alignment, probing.aggregation, skip)
    return Activity(
        histogram(values, classes), *passages(loaded.tokenizer, traces, skip_first=skip), sentences=len(items)
    )


@st.cache_resource(show_spinner=False, max_entries=200)
def _alone(folder: str, ranked: int, neuron: Neuron) -> "CutAlone":
    from unlearning_core.neurons.single_ablation import cut_alone

    base, run = _base_measurement(folder, ranked), Run(Path(folder))
    return cut_alone(base_model(run), _held_out(run), neuron, base)


@st.cache_resource(show_spinner=False, max_entries=8)
def _base_measurement(folder: str, ranked: int) -> "Measurement":
    from unlearning_core.evaluation.likelihood import measure

    run = Run(Path(folder))
    return measure(base_model(run), _held_out(run))


def _held_out(run: Run) -> list:
    from unlearning_core.neurons.single_ablation import held_out_size

    few = held_out_size(base_model(run).info.parameters)
    return RunContext(run).sentences("held_out").take(few, few, run.config.seed).items
