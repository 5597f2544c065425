"""Another ranking beside the run's own: chosen, computed if need be, and how far the two agree."""

from typing import TYPE_CHECKING, cast

import pandas as pd
import streamlit as st

from pages.components.model_cache import base_is_at_hand, base_model
from pages.components.neurons.ranking_settings import (
    ALIGNMENTS,
    choose_parameters,
    ranking_name,
    reset_settings,
    settings_key,
)
from pages.components.progress import run_and_redraw, run_with_progress, show_errors, show_flash
from pages.components.rows import metric_row
from unlearning_core.figures.agreement import overlap_curve, rank_density
from unlearning_core.figures.heatmap import heatmap
from unlearning_core.figures.score_grid import marks_of
from unlearning_core.neurons.agreement import Agreement
from unlearning_core.neurons.neuron import expert_columns
from unlearning_core.progress import ProgressCallback, duration
from unlearning_core.rankers.registry import RANKERS
from unlearning_core.runs.rankings import OtherRanking, kept_rankings
from unlearning_core.runs.run import Run

if TYPE_CHECKING:
    from unlearning_core.activations.alignment import Alignment

_FIRST = (10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000)
_BESIDE, _TOPS = "Side by side", "What the tops share"
_HEIGHT = 200
"""Pixels of a heatmap, which stands below the picture and the card of the page."""

_ALL = 0.01
"""The top that is looked at first is at least so large a share of the neurons."""

_COLUMNS = {
    "layer": "layer", "index": "index", "rank_one": "rank here", "rank_other": "rank there",
    "score_one": "score here", "score_other": "score there",
}  # fmt: skip


@st.fragment
def compare_rankings(run: Run) -> None:
    """Choose another ranking and see both side by side; a choice draws only this anew."""
    # A fragment that is drawn alone is below the place where the frame says that work was stopped.
    show_flash()
    with show_errors():
        other = _choose(run)
        if other is None:
            st.caption(
                "Another method, or the same one read at another place, side by side with this ranking, and how far "
                "the two agree. This ranking stays as it is."
            )
        elif other == OtherRanking.own(run):
            st.info("That is this ranking itself. Choose another method, place or parameter.", icon=":material/equal:")
        elif other.summary() is not None or _ranked(run, other):
            _show(run, other)


def _choose(run: Run) -> OtherRanking | None:
    """Method, place and parameters; they begin with the ranking that was computed last."""
    last, key = next(iter(kept_rankings(run)), None), settings_key(run)
    names = [name for name, ranker in RANKERS.items() if not ranker.unavailable()]
    left, right = st.columns(2, gap="large")
    name = left.selectbox(
        "Other method", names, index=names.index(last.ranker) if last and last.ranker in names else None,
        placeholder="Choose a method", format_func=lambda name: RANKERS[name].title, key=f"other method {key}",
        help="What it finds is kept with the run, so that it is there at once the next time.",
    )  # fmt: skip
    if name is None:
        return None
    left.caption(RANKERS[name].answers)
    own = run.config.neural_probing.alignment
    everywhere = RANKERS[name].needs_model
    with right:
        alignment = st.radio(
            "Its activation is read", list(ALIGNMENTS), horizontal=True, disabled=everywhere,
            index=list(ALIGNMENTS).index(last.alignment if last else own), format_func=lambda name: ALIGNMENTS[name],
            key=f"other alignment {key}",
            help="Methods that run the model themselves look at every position, so the place makes no difference.",
        )  # fmt: skip
        known = last.parameters if last and last.ranker == name else {}
        parameters = choose_parameters(RANKERS[name].params, known, key=f"other {key} {name}")
    place = own if everywhere or alignment is None else cast("Alignment", alignment)
    return OtherRanking(run, name, place, parameters)


def _ranked(run: Run, other: OtherRanking) -> bool:
    """Whether it is there now: at once from what the run's pass kept, after a button where it needs passes."""

    def compute(bar: ProgressCallback) -> None:
        with base_model(run, bar) as base:
            other.compute(bar, base=base)

    if not base_is_at_hand(run):
        return False
    if other.summary() is not None:
        return True
    place = st.empty()
    with place.container():
        finished = (other.from_statistics or _asked(other)) and run_with_progress(
            "Ranking by another method", compute, only_one=run.id
        )
    if finished:
        place.empty()
    return finished


def _asked(other: OtherRanking) -> bool:
    """Say how long it takes; whether the visitor wants it."""
    with st.spinner("Estimating how long it takes"):
        least, most = (max(1.0, seconds) for seconds in _expected(other))
    if RANKERS[other.ranker].needs_model:
        st.markdown(
            f"It runs the model many times: {duration(least)} to {duration(most)}; its progress bar will tell better."
        )
    else:
        st.markdown(f"It needs another pass over the sentences: about {duration(most)}.")
    return st.button("Rank by it too", icon=":material/hub:", key="rank by another")


def _both(other: OtherRanking) -> tuple[str, str | None, str]:
    """What tells two rankings from any other two, while the run stays as it is."""
    return str(other.run.folder), other.run.fingerprint("rank"), other.fingerprint


@st.cache_data(show_spinner=False, max_entries=64, hash_funcs={OtherRanking: _both})
def _expected(other: OtherRanking) -> tuple[float, float]:
    with base_model(other.run) as base:
        return other.expected_seconds(base)


@st.cache_resource(show_spinner=False, max_entries=8, hash_funcs={OtherRanking: _both})
def _agreement(other: OtherRanking) -> tuple[Agreement, float, float]:
    """Both rankings beside each other, and their rank correlations: over all, and with the top weighing most."""
    found = Agreement.of(other.run.ranking(), other.read())
    return found, found.correlation(), found.weighted_correlation()


def _show(run: Run, other: OtherRanking) -> None:
    found, alike, top_alike = _agreement(other)
    names = (ranking_name(OtherRanking.own(run)), ranking_name(other))
    left, right = st.columns([2, 5], gap="medium", vertical_alignment="bottom")
    with left:
        first = _first(run, len(found))
    with right:
        _numbers(found, first, alike, top_alike)
    both, here, there = found.tops(first)
    lists = {
        f"In both ({len(both):,})": both,
        f"Only in this one ({len(here):,})": here,
        f"Only in the other ({len(there):,})": there,
    }
    views = [_BESIDE, _TOPS, *lists]
    for name, tab in zip(views, st.tabs(views, key=f"compared {run.id}", on_change="rerun"), strict=True):
        with tab:
            if not tab.open:
                continue
            if name == _BESIDE:
                _side_by_side((run, other), names, first)
            elif name == _TOPS:
                _tops(found, first)
            else:
                _table(lists[name])
    _offer_to_adopt(run, other)


def _tops(found: Agreement, first: int) -> None:
    left, right = st.columns(2, gap="medium")
    with left:
        st.markdown(
            "**What the tops share**",
            help="Left, the very first neurons of each ranking alone; right, ever more of them. Above the dashed line "
            "the rankings agree more than two that know nothing of each other.",
        )
        st.plotly_chart(
            overlap_curve(found.curve(), first), key="overlap curve",
            alt="Share of neurons in both tops by the length of the top, and what chance gives",
        )  # fmt: skip
    with right:
        st.markdown(
            "**Where the neurons of one stand in the other**",
            help="Bottom left are neurons that both put first. Rankings that agree have a bright line from there to "
            "the top right; rankings that have nothing to do with each other are of one colour all over.",
        )
        st.plotly_chart(
            rank_density(found.neurons, "this one", "the other"), key="rank density",
            alt="How many neurons have which rank in both rankings",
        )  # fmt: skip


def _first(run: Run, neurons: int) -> int:
    options = [first for first in _FIRST if first <= neurons // 2] or [max(1, neurons // 2)]
    start = next((first for first in options if first >= _ALL * neurons), options[-1])
    return int(
        st.select_slider(
            "Look at the first", options, start, format_func=lambda first: f"{first:,} neurons",
            key=f"compared first {run.id}", help="How many neurons of each ranking count as its top.",
        )
    )  # fmt: skip


def _numbers(found: Agreement, first: int, alike: float, top_alike: float) -> None:
    overlap = found.overlap(first)
    metric_row(
        (
            f"In both first {first:,}", f"{overlap.both:,} ({100 * overlap.share:.0f} %)",
            f"Neurons that both rankings put among their first {first:,}. 100 %: they would cut the same neurons.",
        ),
        (
            "By chance", f"{about(first * overlap.chance)} ({about(100 * overlap.chance)} %)",
            "What two rankings that know nothing of each other share on average.",
        ),
        (
            "Rank correlation", f"{alike:.2f}",
            "Whether the order of all neurons is alike: 1 is the same order, 0 is no relation, -1 is the order upside "
            "down (Spearman's).",
        ),
        (
            "Top-weighted", f"{top_alike:.2f}",
            "Rank correlation on the same scale, but who stands at the top counts most, as it does for a cut "
            "(Kendall's tau, weighted: Vigna 2015). Most neurons matter to no concept, and their order is close to "
            "chance in any ranking.",
        ),
    )  # fmt: skip


def about(value: float) -> str:
    """Two digits of a small number, all of a large one."""
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def _side_by_side(pair: tuple[Run, OtherRanking], names: tuple[str, str], first: int) -> None:
    run, other = pair
    titles = ("This ranking", "The other")
    # A row of their own: where one name takes two lines, the heatmaps stay side by side.
    for column, title, name in zip(st.columns(2, gap="medium"), titles, names, strict=True):
        column.markdown(f"**{title}**: {name}")
    both = ((run.ranking(), run.config.neural_probing.ranker), (other.read(), other.ranker))
    for column, (ranking, ranker), title in zip(st.columns(2, gap="medium"), both, titles, strict=True):
        top = marks_of(ranking, ranking[ranking["rank"] < first])
        figure = heatmap(
            ranking, str(ranking["site"].iloc[0]), quantity=RANKERS[ranker].quantity.name, cut=top,
            marks=f"in the first {first:,}",
        )  # fmt: skip
        # A scale beside each would leave little room for the neurons in half a page; the caption says it.
        figure.update_traces(showscale=False, selector={"name": "score"}).update_layout(
            margin={"l": 40, "r": 5, "t": 10, "b": 40}, height=_HEIGHT
        )
        column.plotly_chart(
            figure, key=f"heatmap of {title}", alt=f"Every neuron by layer; the first {first:,} are crossed"
        )
    st.caption(f"Crosses: the first {first:,} of each. Orange: above the mean of its layer, blue: below.")


def _table(rows: pd.DataFrame) -> None:
    if rows.empty:
        st.caption("None.")
        return
    columns = {name: name for name in expert_columns(rows)} | _COLUMNS
    shown = rows.assign(rank_one=rows["rank_one"] + 1, rank_other=rows["rank_other"] + 1)
    st.dataframe(
        shown[list(columns)].rename(columns=columns), hide_index=True, height=min(280, 38 + 35 * len(rows)),
        column_config={
            f"score {place}": st.column_config.NumberColumn(format="%.4g") for place in ("here", "there")
        },
    )  # fmt: skip


def _offer_to_adopt(run: Run, other: OtherRanking) -> None:
    if not st.button(
        "Use the other ranking instead", icon=":material/swap_horiz:", key="adopt ranking",
        help="It becomes this run's ranking, and this one is kept for comparison. Cuts that were kept before have to "
        "be kept again on the Prune page.",
    ):  # fmt: skip
        return

    def adopt(_: ProgressCallback) -> None:
        other.adopt()
        reset_settings(run)

    message = f"The neurons are ranked by another method now: {ranking_name(other)}."
    run_and_redraw("Taking it over", adopt, only_one=run.id, message=message)
