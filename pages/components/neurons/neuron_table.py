"""The first neurons of a ranking: a table to search, of which a row can be ticked, and the layers they lie in."""

from collections.abc import Mapping

import pandas as pd
import streamlit as st

from pages.components.field_names import told
from pages.components.neurons.neuron_choice import changes, choose_neuron, excluded_neurons, pinned_neurons
from unlearning_core.errors import InputError
from unlearning_core.figures.distributions import layer_summary
from unlearning_core.figures.score_grid import marks_of
from unlearning_core.neurons.neuron import Neuron, expert_columns
from unlearning_core.neurons.search import search
from unlearning_core.rankers.registry import Quantity
from unlearning_core.runs.run import Run

_MARKS = ["score", "protected", "pinned", "never cut"]
_SHOW = ("all", "protected", "not protected", "pinned", "never cut")
_HEIGHT, _NARROW, _TABLE = 215, 72, 556


def first_neurons(run: Run, ranking: pd.DataFrame, site: str, quantity: Quantity) -> None:
    """Table and picture of those that fit the search; a ticked row chooses its neuron."""
    marks = {"pinned": pinned_neurons(run), "never cut": excluded_neurons(run)}
    found, most = _search(ranking, marks)
    rows = found.head(most)
    keys = list(zip(rows["site"], rows["layer"], rows["index"], strict=True))
    for name, neurons in marks.items():
        wanted = {neuron.key for neuron in neurons}
        rows = rows.assign(**{name: [key in wanted for key in keys]})
    screen = st.container(horizontal=True, gap="small")
    left, right = screen.container(width=_TABLE), screen.container()
    with left:
        _pick(rows[["rank", "layer", *expert_columns(rows), "index", *_MARKS]], rows, quantity)
    with right:
        protected = ranking[ranking["protected"]]
        layers = layer_summary(*(marks_of(ranking, some[some["site"] == site]) for some in (rows, protected)))
        layers.update_yaxes(title="of these neurons").update_layout(height=_HEIGHT, margin={"t": 10, "l": 50, "r": 5})
        layers.update_traces(hovertemplate="layer %{x}: %{y}<extra></extra>")
        st.plotly_chart(layers, key="layers", alt="How many of the first neurons lie in each layer")
    st.caption(f"{len(rows):,} of {len(found):,} that fit, of {len(ranking):,} ranked. Rank 1 comes first.")


def _search(ranking: pd.DataFrame, marks: Mapping[str, list[Neuron]]) -> tuple[pd.DataFrame, int]:
    """The rows that fit, and how many of them are shown at most."""
    row = st.container(horizontal=True, vertical_alignment="bottom")
    most = row.number_input("How many", 10, 500, 50, 10, key="first neurons", width=140)
    layers = row.multiselect(
        "Layers", range(int(ranking["layer"].max()) + 1), placeholder="all", key="search layers", width=180
    )
    example = "5:17 (expert 5)" if expert_columns(ranking) else "17 or 100-200"
    indices = row.text_input("Index", placeholder=example, key="search index", width=140)
    show = row.selectbox("Show", _SHOW, key="search show", width=150)
    try:
        found = search(
            ranking, layers=layers, indices=indices or "", among=marks.get(show),
            protected={"protected": True, "not protected": False}.get(show),
        )  # fmt: skip
    except InputError as error:
        st.warning(told(str(error)))
        found = ranking.iloc[:0]
    return found, int(most)


def _pick(shown: pd.DataFrame, rows: pd.DataFrame, quantity: Quantity) -> None:
    key = f"neurons {changes()}"

    def ticked() -> None:
        for place in st.session_state[key].selection.rows:
            site, layer, index = rows.iloc[place][["site", "layer", "index"]]
            choose_neuron(Neuron(str(site), int(layer), int(index)))

    st.dataframe(
        shown.assign(rank=shown["rank"] + 1), hide_index=True, height=_HEIGHT, key=key, on_select=ticked,
        selection_mode="single-row",
        column_config={
            "score": st.column_config.NumberColumn(quantity.title, format="%.4g", help=quantity.meaning),
            **{name: st.column_config.Column(width=_NARROW) for name in shown.columns if name != "score"},
            "index": st.column_config.NumberColumn(width=_NARROW, help="Its number in the layer, from 0."),
        },
    )  # fmt: skip
