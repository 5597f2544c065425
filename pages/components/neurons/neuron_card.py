"""All there is to see of one neuron: its ranks, when it is active, what it promotes, what cutting it does."""

import math
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from pages.components.current_run import by_results
from pages.components.model_cache import base_is_at_hand, base_model
from pages.components.neurons import neuron_choice
from pages.components.neurons.activation_text import LEGEND, badges, coloured
from pages.components.progress import flash, show_errors
from unlearning_core.evaluation.ratio import Z95
from unlearning_core.figures.distributions import activation_histogram
from unlearning_core.figures.style import SITE_NAMES
from unlearning_core.neurons.neuron import Neuron, neuron_name
from unlearning_core.rankers.registry import RANKERS
from unlearning_core.runs.run import Run

if TYPE_CHECKING:
    from unlearning_core.concepts.labelling import LabelledText
    from unlearning_core.evaluation.measurement import Measurement
    from unlearning_core.models.loading import LoadedModel
    from unlearning_core.neurons.reading import Activity
    from unlearning_core.neurons.single_ablation import SingleAblation


def show_card(run: Run, neuron: Neuron) -> None:
    """Draw the card of `neuron`, which is in the run's ranking."""
    with st.container(border=True):
        _heading(run, neuron)
        if not base_is_at_hand(run):
            return
        with show_errors(), base_model(run) as loaded:
            numbers = st.container(horizontal=True, gap="large")
            changes = numbers.container(horizontal=True, gap="large", width="content").empty()
            left, right = st.columns(2, gap="large")
            with left:
                _show_ranks(_ranks(run, loaded), neuron, numbers)
            place, tokens = right.container(), st.container()
            with st.spinner("Reading where it is active"):
                activity = _activity(run, loaded, neuron)
            with place:
                st.markdown(
                    "**When it is active**",
                    help=f"In {activity.sentences} of the run's training sentences, read where this ranking reads it.",
                )
                st.plotly_chart(
                    activation_histogram(activity.histogram), key="activation histogram",
                    alt="Share of concept tokens and of other tokens by the neuron's activation",
                )  # fmt: skip
            with tokens:
                _show_tokens(loaded, neuron, activity.histogram.concept_mean)
            _show_passages(activity)
            with st.spinner("Measuring what happens if only this neuron is cut"):
                _show_cut(_single_ablation(run, loaded, neuron), changes)


def _heading(run: Run, neuron: Neuron) -> None:
    row = st.container(horizontal=True, vertical_alignment="center")
    name = neuron_name(neuron, run.ranking()).capitalize()
    row.subheader(name, anchor="neuron-card", width="stretch")
    pinned, excluded = neuron in neuron_choice.pinned_neurons(run), neuron in neuron_choice.excluded_neurons(run)
    row.button(
        "Unpin" if pinned else "Pin", icon=":material/keep_off:" if pinned else ":material/keep:",
        on_click=neuron_choice.toggle_pin, args=(run, neuron), key="pin neuron",
        help="Pinned neurons stay with the run; the table of neurons can show them alone.",
    )  # fmt: skip
    if row.button(
        "May be cut again" if excluded else "Never cut it",
        icon=":material/lock_open:" if excluded else ":material/lock:", key="exclude neuron",
        help="A neuron that is never cut stays whole at any ratio; the next one of the ranking takes its place.",
    ):  # fmt: skip
        with show_errors():
            neuron_choice.set_excluded(run, neuron, not excluded)
            again = "A cut that was kept before has to be kept again on the Prune page."
            flash(f"{name} may be cut again." if excluded else f"{name} will not be cut. {again}")
            st.rerun()
    row.button("Close", icon=":material/close:", on_click=neuron_choice.choose_neuron, args=(None,), key="close neuron")
    if excluded:
        st.caption(":material/lock: This neuron is excluded from every cut.")


def _show_ranks(ranks: "dict[str, pd.DataFrame]", neuron: Neuron, numbers: DeltaGenerator) -> None:
    rows, size = [], len(next(iter(ranks.values())))
    for number, (name, found) in enumerate(ranks.items()):
        place, score = found.loc[neuron.layer, neuron.index]
        if number == 0:
            numbers.metric("Rank", f"{place + 1:,.0f}", help=f"Of {size:,}, by this run's method.")
            numbers.metric("Score", f"{score:.3g}")
        title = RANKERS[name].title + (" (this ranking)" if number == 0 else "")
        rows.append((title, f"{score:.3g}", f"{place + 1:,.0f}", f"Top {100 * (place + 1) / size:.2g} %"))
    st.markdown("**By every method**", help="Other methods with their defaults, on what the same pass kept.")
    table = pd.DataFrame(rows, columns=["Method", "Score", "Rank", "Of all"])
    st.table(table.set_index("Method"))
    st.caption(f"Of {size:,} {SITE_NAMES[neuron.site]}; rank 1 comes first.")


def _show_tokens(loaded: "LoadedModel", neuron: Neuron, concept_mean: float) -> None:
    from unlearning_core.neurons.lens import lens, no_lens

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


def _show_passages(activity: "Activity") -> None:
    scale = max((abs(passage.extreme) for passage in activity.most + activity.least), default=0.0)
    found = (("Most active", "highest", activity.most), ("Least active", "lowest", activity.least))
    for column, (title, extreme, passages) in zip(st.columns(2, gap="large"), found, strict=True):
        with column:
            st.markdown(f"**{title}**")
            for passage in passages:
                with st.container(border=True, gap="small"):
                    st.markdown(coloured(passage, scale))
                    st.caption(f"{passage.extreme:.3g} at its {extreme}")
    st.caption(LEGEND)


def _show_cut(found: "SingleAblation", place: DeltaGenerator) -> None:
    with place.container(horizontal=True, gap="large"):
        for title, change, meaning in (
            ("If only this neuron is cut: concept", found.concept, "Change of the concept loss: more is forgotten."),
            ("If only this neuron is cut: other text", found.retain, "Change of the loss on other text: the price."),
        ):
            error = "" if math.isnan(change.stderr) else f" ± {Z95 * change.stderr:.4f}"
            st.metric(
                title, f"{change.value:+.4f}{error}",
                help=f"{meaning} Nats a token ± half a 95 % interval, on {found.sentences} held-out sentences.",
            )  # fmt: skip


@st.cache_resource(show_spinner=False, max_entries=8, hash_funcs=by_results("rank"))
def _ranks(run: Run, _loaded: "LoadedModel") -> "dict[str, pd.DataFrame]":
    from unlearning_core.activations.collect import Activations
    from unlearning_core.neurons.method_ranks import ranks_by_method

    probing = run.config.neural_probing
    kept, norm = Activations.load(run.ranking_folder(), probing), _loaded.map.outgoing_norm(probing.site)
    return ranks_by_method(run.ranking(), kept, norm, run.config)


@st.cache_resource(show_spinner=False, max_entries=200, hash_funcs=by_results("rank"))
def _activity(run: Run, _loaded: "LoadedModel", neuron: Neuron) -> "Activity":
    from unlearning_core.neurons.reading import read_activity

    return read_activity(_loaded, run.sentences("train"), neuron, run.config)


@st.cache_resource(show_spinner=False, max_entries=200, hash_funcs=by_results("rank"))
def _single_ablation(run: Run, _loaded: "LoadedModel", neuron: Neuron) -> "SingleAblation":
    from unlearning_core.neurons.single_ablation import ablate

    return ablate(_loaded, _held_out(run, _loaded), neuron, _base_measurement(run, _loaded))


@st.cache_resource(show_spinner=False, max_entries=8, hash_funcs=by_results("rank"))
def _base_measurement(run: Run, _loaded: "LoadedModel") -> "Measurement":
    from unlearning_core.evaluation.likelihood import measure

    return measure(_loaded, _held_out(run, _loaded))


def _held_out(run: Run, loaded: "LoadedModel") -> "list[LabelledText]":
    from unlearning_core.neurons.single_ablation import held_out_size

    few = held_out_size(loaded.info.parameters)
    return run.sentences("held_out").take(few, few, run.config.seed).items
