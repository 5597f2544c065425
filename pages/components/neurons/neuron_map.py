"""All neurons of a ranking on a picture, and the stretch of one layer around the chosen neuron enlarged below it."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from pages.components.current_run import by_results
from pages.components.marked_text import escaped
from pages.components.neurons.neuron_choice import choose_neuron, named_neuron
from unlearning_core.errors import InputError
from unlearning_core.figures.neuron_cells import Colours, NeuronScores, enlarged, overview, stretch_of
from unlearning_core.figures.score_grid import OrderBy
from unlearning_core.neurons.neuron import Neuron
from unlearning_core.rankers.registry import RANKERS, Quantity
from unlearning_core.runs.run import Run

_UNKNOWN = "neuron that is not there"
_ABOUT = (
    "Where a cell holds several neurons it shows the strongest of them, and a click means that one. The field takes a "
    "neuron by number: layer and neuron, such as 5.521, or a rank, such as #1."
)
_COLOURS: dict[Colours, str] = {
    "rank": "place in the ranking", "layer": "score, within its layer", "score": "score",
}  # fmt: skip
_ZOOM = "Drag over cells to enlarge them, double-click to see all again."


def quantity_of(run: Run) -> Quantity:
    """What the scores of the run's ranking are."""
    return RANKERS[run.config.neural_probing.ranker].quantity


def show_map(run: Run, ranking: pd.DataFrame, site: str, neuron: Neuron | None) -> None:
    """Both pictures; a click on a cell chooses the neuron that its hover text names."""
    row = st.container(horizontal=True, vertical_alignment="center", gap="small")
    row.subheader("All layers", anchor="ranking", width="stretch", help=f"{_ABOUT} {_ZOOM}")
    order, colours = _controls(run, ranking, site, row)
    scores = _scores(run, site, colours)
    here = neuron or _first_of(ranking)
    drawn = f"{run.fingerprint('rank')} {order} {colours}"
    _picture(
        f"heatmap {run.id}", site, neuron, drawn,
        lambda one: overview(scores, order, None if one is None else (one.layer, one.index)),
    )  # fmt: skip
    st.caption(_scale(scores))
    there = stretch_of(scores, here.layer, here.index, order)
    of_them, first = _extent(there, order, scores, here)
    st.markdown(f"**Layer {here.layer}, enlarged**: {of_them}", help=f"Each cell is one neuron, in rows. {_ZOOM}")
    _picture(
        f"enlarged {run.id}", site, neuron, f"{drawn} {here.layer} {first}",
        lambda one: enlarged(scores, here.layer, there, None if one is None else one.index, first),
    )  # fmt: skip


def _controls(run: Run, ranking: pd.DataFrame, site: str, row: DeltaGenerator) -> tuple[OrderBy, Colours]:
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
        colours = st.radio(
            "Colours show", list(_COLOURS), format_func=_COLOURS.__getitem__, key="heatmap colours",
            help="A few layers may be of another scale; in standard deviations from its layer's mean each compares. "
            "What is cut first is decided by the ranking alone.",
        )  # fmt: skip
    if said := st.session_state.pop(_UNKNOWN, None):
        st.warning(escaped(said))
    return "score" if chosen == "score" else "index", colours or "rank"


@st.cache_resource(show_spinner=False, max_entries=8, hash_funcs=by_results("rank"))
def _scores(run: Run, site: str, colours: Colours) -> NeuronScores:
    return NeuronScores.of(run.ranking(), site, quantity_of(run).title, colours)


def _first_of(ranking: pd.DataFrame) -> Neuron:
    site, layer, index = ranking.sort_values("rank")[["site", "layer", "index"]].iloc[0]
    return Neuron(str(site), int(layer), int(index))


def _scale(scores: NeuronScores) -> str:
    """Which colour says what."""
    star, end = "★: the first of the ranking.", scores.scale[1]
    if scores.colours == "rank":
        return f"The darker, the nearer the top of the ranking, on a logarithmic scale. {star}"
    if scores.colours == "layer":
        return f":orange[Orange]: above its layer's mean, up to {end:.2g} SD or more; :blue[blue]: below. {star}"
    return f"The brighter, the larger the {scores.quantity}, up to {end:.3g} or more. {star}"


def _extent(there: np.ndarray, order: OrderBy, scores: NeuronScores, here: Neuron) -> tuple[str, int]:
    """Which neurons are enlarged, in words; what the first cell is called."""
    if order == "index":
        return f"neurons {there[0]:,} to {there[-1]:,}", int(there[0])
    first = int((scores.drawn[here.layer] > scores.drawn[here.layer, there[0]]).sum())
    return f"places {first + 1:,} to {first + len(there):,}, strongest first", first + 1


def _picture(
    key: str, site: str, neuron: Neuron | None, drawn: str, draw: Callable[[Neuron | None], go.Figure]
) -> None:
    """A picture with a frame around the chosen neuron, which stays zoomed after a click on it.

    To Streamlit a figure that has changed is another picture. So after a click it is the same one: the browser frames
    the cell that was clicked, and hides the frame that is in the figure.

    Args:
        drawn: all that decides what `draw` gives, but the neuron that it is to frame.
    """
    clicked, known = f"{key} clicked", f"{key} framed"
    selected = st.session_state[key].selection.points if key in st.session_state else []
    framed, before = st.session_state.get(known, (None, ""))
    if neuron is None or not selected or st.session_state.get(clicked) != neuron or drawn != before:
        framed = neuron
    st.session_state[known] = framed, drawn
    st.plotly_chart(
        draw(framed), key=key, on_select=lambda: _select(key, clicked, site), selection_mode="points",
        config={"displayModeBar": False},  # it would lie over the cells of the last layer
        alt="Neurons by layer, each a cell coloured by its score",
    )  # fmt: skip


def _select(key: str, clicked: str, site: str) -> None:
    points: list[Any] = st.session_state[key].selection.points
    named = next((point["customdata"] for point in points if point.get("customdata") is not None), None)
    if named is not None:
        # A row of a typed array comes back as {"0": layer, "1": neuron, ...}.
        layer, index = (named["0"], named["1"]) if isinstance(named, Mapping) else named[:2]
        neuron = st.session_state[clicked] = Neuron(site, int(layer), int(index))
        choose_neuron(neuron)
