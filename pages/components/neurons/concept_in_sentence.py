"""Where in a sentence the concept lights up: its neurons, token by layer."""

from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from pages.components.current_run import by_results
from pages.components.marked_text import highlighted
from pages.components.model_cache import base_is_at_hand, base_model
from unlearning_core.figures.style import SITE_NAMES
from unlearning_core.figures.token_layers import token_layer_map
from unlearning_core.runs.context import RunContext
from unlearning_core.runs.run import Run

if TYPE_CHECKING:
    from unlearning_core.activations.statistics import Statistics
    from unlearning_core.concepts.labelling import LabelledText

_OFFERED = 40
"""Sentences with the concept that can be chosen."""

_SHARES = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0)


def sentence_view(run: Run, ranking: pd.DataFrame) -> None:
    """Choose a sentence or write one; tokens across, layers up."""
    from unlearning_core.neurons.token_layers import token_layers

    item, share = _choose(run)
    first = max(1, round(share / 100 * len(ranking)))
    if not base_is_at_hand(run):
        return
    skip = run.config.neural_probing.skip_first_position
    with st.spinner("Reading the sentence in every layer"), base_model(run) as loaded:
        found = token_layers(loaded, item, ranking, first, _statistics(run), skip_first=skip)
    site = str(ranking["site"].iloc[0])
    place = (
        "at the word"
        if run.config.neural_probing.alignment == "at"
        else "one token before a word, where it is predicted"
    )
    with st.container(gap=None):
        st.markdown(
            highlighted(item.text, item.spans),
            help=f"The mean of the first {first:,} neurons of the ranking that lie in a layer, in standard deviations "
            f"of other text: 0 is usual. Read {place}. ★: a token of the concept. An empty row has none of "
            "these neurons.",
        )  # fmt: skip
        st.plotly_chart(
            token_layer_map(found, first, SITE_NAMES.get(site, site)), key="token layers",
            alt="How far the concept's neurons are moved at each token of the sentence, in each layer",
        )  # fmt: skip
        st.caption(f":orange[Orange]: there the first {first:,} neurons are moved the way the concept moves them.")


def _choose(run: Run) -> "tuple[LabelledText, float]":
    """A held-out sentence with the concept, or the visitor's text, whose words are marked; how many neurons, in %."""
    from unlearning_core.concepts.labelling import label_text

    given = run.sentences("held_out").with_concept[:_OFFERED]
    left, middle, right = st.columns([3, 3, 2], gap="medium")
    place = left.selectbox(
        "Sentence", range(len(given)), format_func=lambda place: given[place].text, key=f"lit sentence {run.id}",
        help="Held-out sentences with the concept: the neurons were not chosen on them.",
    )  # fmt: skip
    own = middle.text_input("Or your own", key=f"lit own {run.id}", max_chars=500, placeholder="She sat down on the")
    share = right.select_slider(
        "Neurons read", _SHARES, 10.0, format_func=lambda share: f"first {share:g} %", key=f"lit share {run.id}"
    )
    if (own and own.strip()) or not given:
        return label_text(own or "", RunContext(run).matcher), float(share)
    return given[place or 0], float(share)


@st.cache_resource(show_spinner=False, max_entries=4, hash_funcs=by_results("rank"))
def _statistics(run: Run) -> "Statistics":
    from unlearning_core.activations.collect import Activations

    return Activations.load(run.ranking_folder(), run.config.neural_probing).statistics
