"""A ranking to look at: a heatmap to click, the neurons of a cell, a table to search, and a card below."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from pages.components.field_names import told
from pages.components.neurons.neuron_card import show_card
from pages.components.neurons.neuron_choice import choose_neuron, chosen_neuron, excluded_neurons, pinned_neurons
from pages.components.progress import show_errors
from unlearning_core.errors import InputError
from unlearning_core.figures.distributions import layer_summary
from unlearning_core.figures.heatmap import heatmap, neurons_of_cell
from unlearning_core.figures.score_grid import OrderBy
from unlearning_core.neurons.neuron import Neuron, expert_columns, neuron_name
from unlearning_core.neurons.search import search
from unlearning_core.runs.run import Run

_MARKS = ["score", "protected", "pinned", "never cut"]
_SHOW = ("all", "protected", "not protected", "pinned", "never cut")
_TABLES = "neuron tables"
"""How often a neuron was chosen elsewhere than in a table: tables with another key have no row ticked."""


@st.fragment
def explore(run: Run) -> None:
    """Heatmap, neurons of the clicked cell, table and card; a click draws only these anew."""
    with show_errors():
        ranking = run.ranking()
        site = str(ranking["site"].iloc[0])
        neuron = chosen_neuron(site, (int(ranking["layer"].max()) + 1, int(ranking["index"].max()) + 1))
        order = _show_heatmap(run, ranking, site, neuron)
        if neuron is not None:
            _show_cell(ranking, neuron, order)
        _show_first(run, ranking, site)
    if neuron is not None:
        show_card(run, neuron)


def _show_heatmap(run: Run, ranking: pd.DataFrame, site: str, neuron: Neuron | None) -> OrderBy:
    controls = st.container(horizontal=True, gap="large", vertical_alignment="bottom")
    chosen = controls.segmented_control(
        "Order within a layer", ["index", "score"], default="index", required=True, key="heatmap order"
    )
    order: OrderBy = "score" if chosen == "score" else "index"
    standardised = controls.toggle(
        "Compare within each layer (standardised)", True, key="heatmap standardised", wrap=True
    )
    figure = heatmap(
        ranking, site, order_by=order, standardised=standardised, selectable=True,
        chosen=None if neuron is None else (neuron.layer, neuron.index),
    )  # fmt: skip
    key = f"heatmap {run.id}"
    st.plotly_chart(
        figure, key=key, on_select=lambda: _clicked(key, site), selection_mode="points",
        alt="Score of every neuron by layer",
    )  # fmt: skip
    if neuron is None:
        st.caption("Click a cell, or tick a row of the table, to see what that neuron does.")
    else:
        st.caption(f"Framed: {neuron_name(neuron, ranking)}. [Its card](#neuron-card) is below.")
    return order


def _clicked(key: str, site: str) -> None:
    points: list[Any] = st.session_state[key].selection.points
    named = next((point["customdata"] for point in points if point.get("customdata") is not None), None)
    if named is not None:
        st.session_state[_TABLES] = st.session_state.get(_TABLES, 0) + 1
        # A row of a typed array comes back as {"0": layer, "1": neuron, ...}.
        layer, neuron = (named["0"], named["1"]) if isinstance(named, Mapping) else named[:2]
        choose_neuron(Neuron(site, int(layer), int(neuron)))


def _show_cell(ranking: pd.DataFrame, neuron: Neuron, order: OrderBy) -> None:
    """The neurons that share the framed cell, where there are several."""
    members = neurons_of_cell(ranking, neuron.site, (neuron.layer, neuron.index), order_by=order)
    if len(members) < 2:
        return
    rows = ranking[(ranking["layer"] == neuron.layer) & ranking["index"].isin(members)].sort_values("rank")
    with st.expander(f"The framed cell holds {len(members)} neurons of layer {neuron.layer}", expanded=True):
        _pick(
            rows[["rank", *expert_columns(rows), "index", "score", "protected"]],
            rows,
            "cell",
            min(280, 38 + 35 * len(rows)),
        )


def _show_first(run: Run, ranking: pd.DataFrame, site: str) -> None:
    st.subheader("First neurons")
    most = st.slider("How many", 10, 500, 50, 10, key="first neurons")
    marks = {"pinned": pinned_neurons(run), "never cut": excluded_neurons(run)}
    found = _search(ranking, marks)
    rows = found.head(most)
    keys = list(zip(rows["site"], rows["layer"], rows["index"], strict=True))
    for name, neurons in marks.items():
        wanted = {neuron.key for neuron in neurons}
        rows = rows.assign(**{name: [key in wanted for key in keys]})
    _pick(rows[["rank", "layer", *expert_columns(rows), "index", *_MARKS]], rows, "first", 280)
    st.caption(f"{len(rows):,} of {len(found):,} that fit, of {len(ranking):,} ranked. Rank 1 comes first.")
    st.markdown("**Where they lie**")
    protected = ranking[ranking["protected"]]
    layers = layer_summary(*(marks_of(ranking, some[some["site"] == site]) for some in (rows, protected)))
    layers.update_yaxes(title="neurons").update_xaxes(dtick=max(1, int(ranking["layer"].max()) // 10))
    layers.update_traces(hovertemplate="layer %{x}: %{y}<extra></extra>").update_layout(height=220, margin_t=10)
    st.plotly_chart(layers, key="layers", alt="How many of the first neurons lie in each layer")


def _search(ranking: pd.DataFrame, marks: Mapping[str, list[Neuron]]) -> pd.DataFrame:
    row = st.container(horizontal=True, vertical_alignment="bottom")
    layers = row.multiselect(
        "Layers", range(int(ranking["layer"].max()) + 1), placeholder="all", key="search layers", width=180
    )
    example = "5:17 (expert 5)" if expert_columns(ranking) else "17 or 100-200"
    indices = row.text_input("Index", placeholder=example, key="search index", width=140)
    show = row.selectbox("Show", _SHOW, key="search show", width=150)
    try:
        return search(
            ranking, layers=layers, indices=indices or "", among=marks.get(show),
            protected={"protected": True, "not protected": False}.get(show),
        )  # fmt: skip
    except InputError as error:
        st.warning(told(str(error)))
        return ranking.iloc[:0]


def _pick(shown: pd.DataFrame, rows: pd.DataFrame, name: str, height: int) -> None:
    """A table of which one row can be ticked: its neuron is then looked at."""
    key = f"neurons {name} {st.session_state.get(_TABLES, 0)}"

    def ticked() -> None:
        for place in st.session_state[key].selection.rows:
            site, layer, index = rows.iloc[place][["site", "layer", "index"]]
            choose_neuron(Neuron(str(site), int(layer), int(index)))

    st.dataframe(
        shown.assign(rank=shown["rank"] + 1), hide_index=True, height=height, key=key, on_select=ticked,
        selection_mode="single-row",
        column_config={"score": st.column_config.NumberColumn(format="%.4g")},
    )  # fmt: skip


def marks_of(ranking: pd.DataFrame, some: pd.DataFrame) -> np.ndarray:
    """Bool [layers, width] of the ranking's neurons: whether one is among `some` of its rows."""
    marks = np.zeros((int(ranking["layer"].max()) + 1, int(ranking["index"].max()) + 1), bool)
    marks[some["layer"], some["index"]] = True
    return marks
