"""All neurons of a ranking on a picture, and the stretch of one layer around the chosen neuron enlarged below it."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from pages.components.current_run import by_results
from pages.components.marked_text import escaped
from pages.components.neurons.neuron_choice import choose_neuron, named_neuron
from unlearning_core.errors import InputError
from unlearning_core.figures.neuron_cells import NeuronScores, enlarged, overview, stretch_of
from unlearning_core.figures.score_grid import OrderBy
from unlearning_core.neurons.neuron import Neuron
from unlearning_core.rankers.registry import RANKERS, Quantity
from unlearning_core.runs.run import Run

_UNKNOWN = "neuron that is not there"
_ABOUT = (
    "Where a cell holds several neurons it shows the strongest of them, and a click means that one. The field takes a "
    "neuron by number: layer and neuron, such as 5.521, or a rank, such as #1."
)
_ZOOM = "Drag over cells to enlarge them, double-click to see all again."


def quantity_of(run: Run) -> Quantity:
    """What the scores of the run's ranking are."""
    return RANKERS[run.config.neural_probing.ranker].quantity


def show_map(run: Run, ranking: pd.DataFrame, site: str, neuron: Neuron | None) -> None:
    """Both pictures; a click on a cell chooses the neuron that its hover text names."""
    row = st.container(horizontal=True, vertical_alignment="center", gap="small")
    row.subheader("All layers", anchor="ranking", width="stretch", help=f"{_ABOUT} {_ZOOM}")
    order, standardised = _controls(run, ranking, site, row)
    scores = _scores(run, site, standardised)
    here = neuron or _first_of(ranking)
    _picture(
        f"heatmap {run.id}", overview(scores, order, None if neuron is None else (neuron.layer, neuron.index)), site
    )
    st.caption(_scale(scores))
    there = stretch_of(scores, here.layer, here.index, order)
    of_them, first = _extent(there, order, scores, here)
    st.markdown(f"**Layer {here.layer}, enlarged**: {of_them}", help=f"Each cell is one neuron, in rows. {_ZOOM}")
    chosen = None if neuron is None else neuron.index
    _picture(f"enlarged {run.id}", enlarged(scores, here.layer, there, chosen, first), site)


def _controls(run: Run, ranking: pd.DataFrame, site: str, row: DeltaGenerator) -> tuple[OrderBy, bool]:
    key = f"named neuron {run.id}"

    def go() -> None:
        try:
            if found := named_neuron(st.session_state[key] or "", ranking, site):
                choose_neuron(found)
        except InputError as error:
            st.session_state[_UNKNOWN] = str(error)

    row.text_input(
        "A neuron by number", placeholder="5.521 or #1", key=key, on_change=go, width=115, label_visibility="collapsed"
    )  # fmt: skip
    with row.popover("View"):
        chosen = st.segmented_control(
            "Order within a layer", ["index", "score"], default="index", required=True, key="heatmap order",
            format_func={"index": "by number", "score": "strongest first"}.__getitem__,
        )  # fmt: skip
        standardised = st.toggle(
            "Compare within each layer (standardised)", True, key="heatmap standardised", wrap=True,
            help="A few layers are of another scale; in standard deviations from its layer's mean each compares.",
        )  # fmt: skip
    if said := st.session_state.pop(_UNKNOWN, None):
        st.warning(escaped(said))
    return "score" if chosen == "score" else "index", bool(standardised)


@st.cache_resource(show_spinner=False, max_entries=8, hash_funcs=by_results("rank"))
def _scores(run: Run, site: str, standardised: bool) -> NeuronScores:
    return NeuronScores.of(run.ranking(), site, quantity_of(run).title, standardised=standardised)


def _first_of(ranking: pd.DataFrame) -> Neuron:
    site, layer, index = ranking.sort_values("rank")[["site", "layer", "index"]].iloc[0]
    return Neuron(str(site), int(layer), int(index))


def _scale(scores: NeuronScores) -> str:
    """Which colour says what."""
    if scores.standardised:
        end = f"{scores.limit:.2g} SD or more"
        return f":orange[Orange]: above its layer's mean, up to {end}; :blue[blue]: below."
    return f"The brighter, the larger the {scores.quantity}, up to {scores.limit:.3g} or more."


def _extent(there: np.ndarray, order: OrderBy, scores: NeuronScores, here: Neuron) -> tuple[str, int]:
    """Which neurons are enlarged, in words; what the first cell is called."""
    if order == "index":
        return f"neurons {there[0]:,} to {there[-1]:,}", int(there[0])
    first = int((scores.raw[here.layer] > scores.raw[here.layer, there[0]]).sum())
    return f"places {first + 1:,} to {first + len(there):,}, strongest first", first + 1


def _picture(key: str, figure: Any, site: str) -> None:
    st.plotly_chart(
        figure, key=key, on_select=lambda: _clicked(key, site), selection_mode="points",
        config={"displayModeBar": False},  # it would lie over the cells of the last layer
        alt="Neurons by layer, each a cell coloured by its score",
    )  # fmt: skip


def _clicked(key: str, site: str) -> None:
    points: list[Any] = st.session_state[key].selection.points
    named = next((point["customdata"] for point in points if point.get("customdata") is not None), None)
    if named is not None:
        # A row of a typed array comes back as {"0": layer, "1": neuron, ...}.
        layer, neuron = (named["0"], named["1"]) if isinstance(named, Mapping) else named[:2]
        choose_neuron(Neuron(site, int(layer), int(neuron)))
