"""The rankings that a run has: its own, those it was compared with, and what its pass is enough for."""

from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from pages.components.current_run import by_results
from pages.components.neurons.ranking_settings import ranking_name
from unlearning_core.runs.rankings import OtherRanking, kept_rankings
from unlearning_core.runs.run import Run

if TYPE_CHECKING:
    from unlearning_core.models.loading import LoadedModel


def rankings_there(run: Run, loaded: "LoadedModel") -> dict[str, pd.DataFrame]:
    """By name, the run's own ranking first, then those that are kept, then those that its pass is enough for."""
    own = OtherRanking.own(run)
    found = {ranking_name(own, own.alignment): run.ranking()}
    for other in kept_rankings(run):
        found.setdefault(ranking_name(other, own.alignment), other.read())
    for name, ranking in _by_method(run, loaded).items():
        if name != own.ranker:
            found.setdefault(ranking_name(OtherRanking(run, name, own.alignment), own.alignment), ranking)
    return found


@st.cache_resource(show_spinner=False, max_entries=8, hash_funcs=by_results("rank"))
def ranks_by_method(run: Run, _loaded: "LoadedModel") -> dict[str, pd.DataFrame]:
    """By name of a method, this run's first: `rank` and `score` of the neuron (layer, index)."""
    return {
        name: ranking.set_index(["layer", "index"])[["rank", "score"]].sort_index()
        for name, ranking in _by_method(run, _loaded).items()
    }


@st.cache_resource(show_spinner=False, max_entries=8, hash_funcs=by_results("rank"))
def _by_method(run: Run, _loaded: "LoadedModel") -> dict[str, pd.DataFrame]:
    from unlearning_core.activations.collect import Activations
    from unlearning_core.neurons.method_ranks import rankings_by_method

    probing = run.config.neural_probing
    kept, norm = Activations.load(run.ranking_folder(), probing), _loaded.map.outgoing_norm(probing.site)
    return rankings_by_method(run.ranking(), kept, norm, run.config)
