"""A ranking to look at: every neuron on a picture beside the card of the chosen one, and more in tabs below."""

from collections.abc import Callable

import streamlit as st

from pages.components.neurons.concept_in_sentence import sentence_view
from pages.components.neurons.neuron_card import show_card
from pages.components.neurons.neuron_choice import choose_neuron, chosen_neuron
from pages.components.neurons.neuron_map import quantity_of, show_map
from pages.components.neurons.neuron_table import first_neurons
from pages.components.neurons.ranking_agreement import agreement_of_all
from pages.components.neurons.ranking_comparison import compare_rankings
from pages.components.neurons.ranking_export import export_ranking
from pages.components.neurons.ranking_spread import spread
from pages.components.progress import show_errors
from unlearning_core.neurons.neuron import Neuron
from unlearning_core.runs.run import Run

TABS = FIRST, SENTENCE, ALL, OTHER, SPREAD, EXPORT = (
    "First neurons", "In a sentence", "All rankings", "Another ranking", "Spread", "Export",
)  # fmt: skip

_PICTURE = 394
"""Pixels: picture and card share a screen of 1280 x 800."""


@st.fragment
def explore(run: Run) -> None:
    """Picture, card and tabs; a click draws these anew and nothing else of the page."""
    with show_errors():
        ranking, quantity = run.ranking(), quantity_of(run)
        site = str(ranking["site"].iloc[0])
        neuron = chosen_neuron(site, (int(ranking["layer"].max()) + 1, int(ranking["index"].max()) + 1))
        # Where both do not fit beside each other, the card comes below.
        screen = st.container(horizontal=True, gap="medium")
        left, right = screen.container(width=_PICTURE), screen.container()
        with left:
            show_map(run, ranking, site, neuron)
        with right:
            if neuron is None:
                _invite(site, ranking.sort_values("rank").iloc[0])
            else:
                show_card(run, ranking, neuron, quantity)
        tabs = dict(zip(TABS, st.tabs(TABS, key=f"explored {run.id}", on_change="rerun"), strict=True))
        draw: dict[str, Callable[[], None]] = {
            FIRST: lambda: first_neurons(run, ranking, site, quantity),
            SENTENCE: lambda: sentence_view(run, ranking),
            ALL: lambda: agreement_of_all(run),
            OTHER: lambda: compare_rankings(run),
            SPREAD: lambda: spread(run, ranking, site, quantity),
            EXPORT: lambda: export_ranking(run, ranking, site, quantity),
        }
        for name, tab in tabs.items():
            with tab, show_errors():
                if tab.open:
                    draw[name]()


def _invite(site: str, first: "dict[str, int]") -> None:
    with st.container(border=True):
        st.markdown("**One neuron**")
        st.caption("Click a cell, or tick a row of the table, to see what that neuron does.")
        st.button(
            "Look at the first of the ranking", icon=":material/looks_one:", on_click=choose_neuron,
            args=(Neuron(site, int(first["layer"]), int(first["index"])),),
        )  # fmt: skip
