"""All there is to see of one neuron: its ranks, when it is active, what it promotes, what cutting it does."""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from pages.components.current_run import by_results
from pages.components.marked_text import unbroken
from pages.components.model_cache import base_is_at_hand, base_model
from pages.components.neurons import neuron_choice
from pages.components.neurons.activation_text import badges, coloured, legend
from pages.components.neurons.hand_pick import offer_pick
from pages.components.neurons.method_rankings import ranks_by_method
from pages.components.neurons.own_text import on_own_text
from pages.components.progress import flash, show_errors
from unlearning_core.evaluation.ratio import NATS_NOTE, Z95
from unlearning_core.figures.distributions import activation_histogram
from unlearning_core.figures.style import SITE_NAMES
from unlearning_core.neurons.neuron import Neuron, neuron_name
from unlearning_core.rankers.registry import RANKERS, Quantity
from unlearning_core.runs.run import Run

if TYPE_CHECKING:
    from unlearning_core.concepts.labelling import LabelledText
    from unlearning_core.evaluation.measurement import Measurement
    from unlearning_core.models.loading import LoadedModel
    from unlearning_core.neurons.reading import Activity, LayerTraces
    from unlearning_core.neurons.single_ablation import SingleAblation

TABS = ACTIVE, OWN, METHODS, TOKENS = ("When it is active", "Own text", "By every method", "Tokens")
_HEIGHT, _HALF = 350, 150
"""Pixels: height of what the tabs show, so that the card ends where the pictures do; width of a number."""


def show_card(run: Run, ranking: pd.DataFrame, neuron: Neuron, quantity: Quantity) -> None:
    """Draw the card of `neuron`, which is in `ranking`; what needs no model is there before it is loaded."""
    with st.container(border=True, gap="small"):
        _heading(run, ranking, neuron)
        _numbers(ranking, neuron, quantity)
        if not base_is_at_hand(run):
            return
        with show_errors(), base_model(run) as loaded:
            changes = st.container(height="content").empty()
            changes.caption("Measuring what happens if only this neuron is cut")
            tabs = dict(zip(TABS, st.tabs(TABS, height=_HEIGHT, key=f"card {run.id}", on_change="rerun"), strict=True))
            draw: dict[str, Callable[[], None]] = {
                ACTIVE: lambda: _show_activity(_activity(run, loaded, neuron)),
                OWN: lambda: on_own_text(run, loaded, neuron, _strongest(_activity(run, loaded, neuron))),
                METHODS: lambda: _show_methods(run, loaded, neuron),
                TOKENS: lambda: _show_tokens(loaded, neuron, _activity(run, loaded, neuron).histogram.concept_mean),
            }
            for name, tab in tabs.items():
                with tab, show_errors():
                    if tab.open:
                        draw[name]()
            _show_cut(_single_ablation(run, loaded, neuron), changes)


def _heading(run: Run, ranking: pd.DataFrame, neuron: Neuron) -> None:
    row = st.container(horizontal=True, vertical_alignment="center", gap="xsmall")
    row.subheader(neuron_name(neuron, ranking).capitalize(), anchor="neuron-card", width="stretch")
    rank = int(_line(ranking, neuron)["rank"])
    for icon, to, said in (("chevron_left", rank - 1, "The neuron before it"), ("chevron_right", rank + 1, "The next")):
        there = ranking[ranking["rank"] == to][["layer", "index"]].to_numpy().tolist()
        row.button(
            "", icon=f":material/{icon}:", key=f"neighbour {icon}", disabled=not there, type="tertiary",
            help=f"{said} in the ranking", on_click=neuron_choice.choose_neuron,
            args=(Neuron(neuron.site, *there[0]) if there else None,),
        )  # fmt: skip
    row.button(
        "", icon=":material/close:", on_click=neuron_choice.choose_neuron, args=(None,), key="close neuron",
        type="tertiary", help="Close the card",
    )  # fmt: skip
    _actions(run, ranking, neuron, st.container(horizontal=True, gap="small"))


def _actions(run: Run, ranking: pd.DataFrame, neuron: Neuron, row: DeltaGenerator) -> None:
    """What can be done with the neuron: a button each, in one row."""
    name = neuron_name(neuron, ranking).capitalize()
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
    offer_pick(run, neuron, name, row)
    if excluded:
        st.caption(":material/lock: This neuron is excluded from every cut.")


def _line(ranking: pd.DataFrame, neuron: Neuron) -> "pd.Series":
    return ranking[(ranking["layer"] == neuron.layer) & (ranking["index"] == neuron.index)].iloc[0]


def _numbers(ranking: pd.DataFrame, neuron: Neuron, quantity: Quantity) -> None:
    line, size = _line(ranking, neuron), len(ranking)
    place = int(line["rank"]) + 1
    row = st.container(horizontal=True, gap="small")
    left, right = row.container(gap=None, width=_HALF), row.container(gap=None, width=_HALF)
    left.metric(f"Rank of {size:,}", f"{place:,}", help="By this run's method; rank 1 comes first.", width="content")
    left.caption(top(place, size))
    meaning = f"{quantity.meaning} The larger, the earlier in the ranking."
    right.metric(quantity.name.capitalize(), quantity.written(line["score"]), help=meaning, width="content")


def top(place: int, size: int) -> str:
    """How far up the neuron of a rank (from 1) stands: "Top 1.6 %"."""
    return f"Top {100 * place / size:.2g} %"


def _show_methods(run: Run, loaded: "LoadedModel", neuron: Neuron) -> None:
    rows, ranks = [], ranks_by_method(run, loaded)
    size = len(next(iter(ranks.values())))
    for number, (name, found) in enumerate(ranks.items()):
        place, score = found.loc[neuron.layer, neuron.index]
        title = RANKERS[name].title + (" (this ranking)" if number == 0 else "")
        quantity = RANKERS[name].quantity
        said = f"{place + 1:,.0f} ({unbroken(top(int(place) + 1, size)).lower()})"
        rows.append((title, said, f"{quantity.name} {quantity.written(score)}"))
    st.table(pd.DataFrame(rows, columns=["Method", "Rank", "By"]).set_index("Method"))
    st.caption(
        f"Of {size:,} {SITE_NAMES[neuron.site]}; rank 1 comes first. Other methods with their defaults, on what the "
        "same pass kept."
    )


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
    st.markdown(f":material/arrow_upward: {badges(found.promoted, 'green')}")
    st.markdown(f":material/arrow_downward: {badges(found.suppressed, 'violet')}")
    if concept_mean < 0:
        st.caption(
            f"At the concept its activation is below zero ({concept_mean:.2g} on average): there it works the other "
            "way round."
        )


def _show_activity(activity: "Activity") -> None:
    scale = _strongest(activity)
    for title, passages in (("Most active", activity.most), ("Least active", activity.least)):
        with st.container(gap="small"):
            st.markdown(f"**{title}**")
            for passage in passages:
                st.markdown(f"{coloured(passage, scale)} :gray[:small[{passage.extreme:+.3g}]]")
        if passages is activity.most:
            st.caption(legend(scale))
    st.markdown(
        "**How often**",
        help=f"In {activity.sentences} of the run's training sentences, read where this ranking reads it.",
    )
    st.plotly_chart(
        activation_histogram(activity.histogram).update_layout(height=230), key="activation histogram",
        alt="Share of concept tokens and of other tokens by the neuron's activation",
    )  # fmt: skip


def _strongest(activity: "Activity") -> float:
    """The largest absolute activation of the passages shown: what colours are shares of."""
    return max((abs(passage.extreme) for passage in activity.most + activity.least), default=0.0)


def _show_cut(found: "SingleAblation", place: DeltaGenerator) -> None:
    with place.container(gap=None):
        st.markdown(
            "**If only this neuron is cut**",
            help=f"Change of the loss ± half a 95 % interval, on {found.sentences} held-out sentences. {NATS_NOTE}",
        )
        sides = (
            ("Concept words", found.concept, "The more their loss rises, the more is forgotten."),
            ("Other text", found.retain, "The price: the less its loss rises, the better."),
        )
        row = st.container(horizontal=True, gap="small")
        for title, change, meaning in sides:
            error = "" if math.isnan(change.stderr) else f"± {Z95 * change.stderr:.4f}"
            with row.container(gap=None, width=_HALF):
                st.metric(title, f"{change.value:+z.4f}", help=meaning, width="content")
                st.caption(f"{error} nats a token")


def _activity(run: Run, loaded: "LoadedModel", neuron: Neuron) -> "Activity":
    from unlearning_core.neurons.reading import activity, read_neuron, read_together, sample

    with st.spinner("Reading where it is active"):
        items = sample(loaded, run.sentences("train"), run.config.seed)
        layers = read_together(loaded, items, neuron)
        traces = (
            _read(run, loaded, neuron.site, layers).traces(neuron) if layers else read_neuron(loaded, items, neuron)
        )
        return activity(loaded, traces, run.config)


@st.cache_resource(show_spinner=False, max_entries=2, hash_funcs=by_results("rank"))
def _read(run: Run, _loaded: "LoadedModel", site: str, layers: range) -> "LayerTraces":
    """All neurons of some layers: the next one that is clicked is there without another pass."""
    from unlearning_core.neurons.reading import read_layers, sample

    return read_layers(_loaded, sample(_loaded, run.sentences("train"), run.config.seed), site, layers)


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
