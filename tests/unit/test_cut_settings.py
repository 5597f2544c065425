"""Neurons that a person excludes are never cut, whatever the ratio; all else is the ranking's."""

import json

import numpy as np
import pandas as pd
import pytest

from unlearning_core.config.reading import build_config, override
from unlearning_core.config.schema import ExperimentConfig
from unlearning_core.edits.cut_settings import CutSettings
from unlearning_core.errors import InputError
from unlearning_core.evaluation.sweep import SweepSettings
from unlearning_core.runs.cuts import cut_settings

SHAPES = {"mlp": (3, 20), "head": (3, 4)}


def ranking_of(site: str = "mlp", seed: int = 0) -> pd.DataFrame:
    layers, width = SHAPES[site]
    layer, index = np.divmod(np.arange(layers * width), width)
    rank = np.random.default_rng(seed).permutation(layers * width)
    return pd.DataFrame({"site": site, "layer": layer, "index": index, "rank": rank})


def cut_by(settings: CutSettings, ranking: pd.DataFrame) -> set[tuple[int, int]]:
    cut = settings.mask(ranking, SHAPES).neurons()
    return set(zip(cut["layer"], cut["index"], strict=True))


@pytest.mark.parametrize("ratio", [0.1, 0.5, 1.0])
def test_excluded_neurons_are_kept_and_the_next_of_the_ranking_take_their_place(ratio: float) -> None:
    ranked = ranking_of().sort_values("rank")
    first = [tuple(row) for row in ranked[["site", "layer", "index"]].itertuples(index=False)][:3]
    rest = list(zip(ranked["layer"], ranked["index"], strict=True))[3:]
    cut = cut_by(CutSettings(ratio, excluded_neurons=tuple(first)), ranked)
    assert cut == set(rest[: round(ratio * len(rest))])


def test_a_neuron_of_a_site_that_was_not_ranked_changes_nothing() -> None:
    excluded = CutSettings(0.5, excluded_neurons=(("head", 0, 1),))
    assert cut_by(excluded, ranking_of()) == cut_by(CutSettings(0.5), ranking_of())


def test_excluded_neurons_and_protected_layers_hold_together() -> None:
    settings = CutSettings(1.0, protected_layers=(0, 1), excluded_neurons=(("mlp", 2, 7), ("mlp", 0, 3)))
    assert cut_by(settings, ranking_of()) == {(2, index) for index in range(20) if index != 7}


@pytest.mark.parametrize("neuron", [(3, 0), (0, 20), (-1, 0), (1, -1)])
def test_a_neuron_that_is_not_there_is_named(neuron: tuple[int, int]) -> None:
    with pytest.raises(InputError, match=f"mlp layer {neuron[0]} neuron {neuron[1]}, .* 3 layers of 20"):
        CutSettings(0.1, excluded_neurons=(("mlp", *neuron),)).mask(ranking_of(), SHAPES)


def test_excluding_every_neuron_is_refused() -> None:
    every = tuple(("mlp", layer, index) for layer in range(3) for index in range(20))
    with pytest.raises(InputError, match="nothing can be cut"):
        CutSettings(0.1, excluded_neurons=every).mask(ranking_of(), SHAPES)


def test_the_key_of_the_config_reaches_the_cut_and_is_set_on_the_command_line() -> None:
    values = override({}, ['neural_probing.excluded_neurons=[["mlp", 2, 7], ["head", 0, 1]]'])
    config = build_config(json.loads(json.dumps(build_config(values).model_dump())))
    assert cut_settings(config).excluded_neurons == (("mlp", 2, 7), ("head", 0, 1))
    assert cut_settings(ExperimentConfig()).excluded_neurons == ()
    with pytest.raises(InputError, match=r"neural_probing\.excluded_neurons"):
        build_config({"neural_probing": {"excluded_neurons": [["attention", 0, 1]]}})


def test_a_sweep_spares_excluded_neurons_in_every_order() -> None:
    from unlearning_core.evaluation.sweep import ORDERS, _Cuts

    excluded = (("mlp", 0, 3), ("mlp", 2, 7))
    cuts = _Cuts(ranking_of(), SHAPES, SweepSettings(excluded_neurons=excluded))
    for order in ORDERS:
        kept = cuts.mask(order, 0, 1.0).kept["mlp"]
        assert set(zip(*np.nonzero(kept), strict=True)) == {(0, 3), (2, 7)}


@pytest.mark.parametrize("neurons", [1, 7, 23])
@pytest.mark.parametrize("per_layer", [False, True])
def test_the_shortest_ratio_cuts_the_same_neurons(neurons: int, per_layer: bool) -> None:
    ranked, found = ranking_of(), CutSettings(neurons / 60 + 1e-7, per_layer)
    short = found.shortest(ranked, SHAPES)
    assert cut_by(short, ranked) == cut_by(found, ranked)
    assert len(f"{short.ratio:.9g}") <= len("0.017")
