"""Neurons picked by hand and shares of a layer's own: which neurons are taken, against a count by hand in numpy."""

import json
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest

from unlearning_core.config.reading import build_config, override
from unlearning_core.config.schema import ExperimentConfig
from unlearning_core.edits.control_cuts import shuffled_cut
from unlearning_core.edits.cut_settings import CutSettings
from unlearning_core.edits.mask import Mask
from unlearning_core.edits.recipe import Recipe
from unlearning_core.errors import InputError
from unlearning_core.evaluation.curves import curve, selectivity, suggested_ratio
from unlearning_core.evaluation.sweep import SweepSettings, _Cuts
from unlearning_core.methods import prune, random_cut
from unlearning_core.runs.cuts import by_hand, cut_settings
from unlearning_core.runs.recipes import settings_of
from unlearning_core.runs.run import config_digest

LAYERS, WIDTH = 4, 25
SHAPES = {"mlp": (LAYERS, WIDTH), "head": (LAYERS, 6), "residual": (LAYERS + 1, 10)}
PICKED = (("mlp", 2, 7), ("mlp", 0, 3), ("mlp", 3, 24))


def scores(seed: int = 0) -> np.ndarray:
    """[layers, width], all different; the highest is cut first."""
    return np.random.default_rng(seed).permutation(LAYERS * WIDTH).reshape(LAYERS, WIDTH).astype(float)


def ranking_of(values: np.ndarray) -> pd.DataFrame:
    layer, index = np.divmod(np.arange(values.size), values.shape[1])
    rank = np.empty(values.size, int)
    rank[np.argsort(-values.ravel())] = np.arange(values.size)
    return pd.DataFrame({"site": "mlp", "layer": layer, "index": index, "rank": rank})


def taken(values: np.ndarray, ratio: float, own: dict[int, float], free: np.ndarray | None = None) -> np.ndarray:
    """Bool [layers, width] of what is cut, by thresholds on the scores: no ranks, no sorting of a frame."""
    free = np.ones(values.shape, bool) if free is None else free
    cut = np.zeros(values.shape, bool)
    if count := round(ratio * free.sum()):
        cut = free & (values >= np.partition(values[free], -count)[-count])
    for layer, share in own.items():
        mine = values[layer][free[layer]]
        count = round(share * mine.size)
        cut[layer] = free[layer] & (values[layer] >= np.partition(mine, -count)[-count]) if count else False
    return cut


def with_picked(cut: np.ndarray, picked: Sequence[tuple[str, int, int]]) -> np.ndarray:
    cut = cut.copy()
    for _, layer, index in picked:
        cut[layer, index] = True
    return cut


def cut_by(settings: CutSettings, values: np.ndarray) -> np.ndarray:
    return ~settings.mask(ranking_of(values), SHAPES).kept["mlp"]


@pytest.mark.parametrize("ratio", [0.0, 0.05, 0.3, 1.0])
@pytest.mark.parametrize("own", [{}, {1: 0.5}, {0: 0.0, 3: 0.2}, {0: 0.04, 1: 1.0, 2: 0.0, 3: 0.12}])
@pytest.mark.parametrize("picked", [(), PICKED])
def test_the_cut_is_the_share_the_layers_own_shares_and_what_was_picked(
    ratio: float, own: dict[int, float], picked: tuple[tuple[str, int, int], ...]
) -> None:
    values = scores()
    settings = CutSettings(ratio, picked_neurons=picked, layer_ratios=tuple(own.items()))
    np.testing.assert_array_equal(cut_by(settings, values), with_picked(taken(values, ratio, own), picked))


def test_a_layer_with_a_share_of_its_own_leaves_what_the_others_lose_as_it_was() -> None:
    values = scores(1)
    before, after = cut_by(CutSettings(0.2), values), cut_by(CutSettings(0.2, layer_ratios=((2, 0.6),)), values)
    assert after[2].sum() == 15
    np.testing.assert_array_equal(np.delete(after, 2, axis=0), np.delete(before, 2, axis=0))


def test_own_shares_hold_beside_the_same_share_in_every_layer_and_are_of_the_neurons_that_may_be_cut() -> None:
    values, free = scores(2), np.ones((LAYERS, WIDTH), bool)
    free[1, :5] = False
    excluded = tuple(("mlp", 1, index) for index in range(5))
    settings = CutSettings(0.2, True, (0,), excluded, layer_ratios=((1, 0.5),))
    expected = taken(values, 0.0, {1: 0.5, 2: 0.2, 3: 0.2}, free)
    np.testing.assert_array_equal(cut_by(settings, values), expected)
    assert expected[1].sum() == 10


def test_a_neuron_of_a_site_that_was_not_ranked_is_cut_too() -> None:
    settings = CutSettings(0.1, picked_neurons=(("head", 1, 5), ("residual", 4, 9), ("mlp", 0, 0)))
    mask = settings.mask(ranking_of(scores()), SHAPES)
    assert {site: np.argwhere(~kept).tolist() for site, kept in mask.kept.items() if site != "mlp"} == {
        "head": [[1, 5]], "residual": [[4, 9]]
    }  # fmt: skip
    expected = with_picked(taken(scores(), 0.1, {}), [("mlp", 0, 0)])
    np.testing.assert_array_equal(~mask.kept["mlp"], expected)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"picked_neurons": (("mlp", 4, 0),)}, "picked_neurons names mlp layer 4 neuron 0.* 4 layers of 25"),
        ({"picked_neurons": (("mlp", 0, 25),)}, "picked_neurons names mlp layer 0 neuron 25.* 4 layers of 25"),
        ({"picked_neurons": (("mlp", -1, 0),)}, "picked_neurons names mlp layer -1 neuron 0"),
        ({"picked_neurons": (("attention", 0, 0),)}, "it has no site attention"),
        ({"picked_neurons": PICKED, "excluded_neurons": (("mlp", 0, 3),)}, "neuron 3, and excluded_neurons says"),
        ({"picked_neurons": PICKED, "protected_layers": (3,)}, "neuron 24, and protected_layers says .* layer 3"),
        ({"layer_ratios": ((4, 0.1),)}, "layer_ratios names layer 4; the ranking has the layers 0 to 3"),
        ({"layer_ratios": ((1, 0.1),), "protected_layers": (1,)}, "gives layer 1 a share, and protected_layers"),
        ({"layer_ratios": ((1, 1.5),)}, r"The share of layer 1 is 1\.5"),
    ],
)
def test_what_is_not_there_or_contradicts_itself_is_named(settings: dict, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        CutSettings(0.1, **settings).mask(ranking_of(scores()), SHAPES)


def test_the_keys_of_the_config_reach_the_cut_and_come_back_from_its_file() -> None:
    given = ['neural_probing.picked_neurons=[["mlp", 2, 7]]', "neural_probing.layer_ratios.3=0.02"]
    config = build_config(json.loads(json.dumps(build_config(override({}, given)).model_dump())))
    cut = cut_settings(config)
    assert (cut.picked_neurons, cut.layer_ratios) == ((("mlp", 2, 7),), ((3, 0.02),))
    assert config.neural_probing.model_dump()["layer_ratios"] == {3: 0.02}


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"layer_ratios": {"3": 1.5}}, r"neural_probing\.layer_ratios\.3 is 1\.5"),
        ({"layer_ratios": {"third": 0.1}}, r"neural_probing\.layer_ratios\.third"),
        ({"layer_ratios": {"-1": 0.1}}, r"neural_probing\.layer_ratios\.-1"),
        ({"picked_neurons": [["attention", 0, 1]]}, r"neural_probing\.picked_neurons"),
        ({"picked_neurons": [["mlp", 0]]}, r"neural_probing\.picked_neurons"),
    ],
)
def test_a_wrong_value_in_a_config_is_named(values: dict, field: str) -> None:
    with pytest.raises(InputError, match=field):
        build_config({"neural_probing": values})


def test_runs_from_before_these_settings_stay_up_to_date_and_others_do_not() -> None:
    old = ExperimentConfig().model_dump()
    for name in ("picked_neurons", "layer_ratios"):
        del old["neural_probing"][name]
    config, parameters = build_config(old), prune.Parameters()
    assert config == ExperimentConfig()
    for given in (prune.inputs(parameters, 0), random_cut.inputs(parameters, 0)["parameters"], by_hand(CutSettings(0))):
        assert not {"picked_neurons", "layer_ratios"} & set(given)
    for change in ({"picked_neurons": [("mlp", 0, 3)]}, {"layer_ratios": {1: 0.1}}):
        assert prune.inputs(prune.Parameters(**change), 0) != prune.inputs(parameters, 0)
        other = build_config({"neural_probing": change})
        assert config_digest(other) != config_digest(config)


def test_a_recipe_names_what_was_chosen_by_hand_and_gives_the_settings_back() -> None:
    settings = CutSettings(0.1, picked_neurons=PICKED, layer_ratios=((1, 0.5), (3, 0.0)))
    mask = settings.mask(ranking_of(scores()), SHAPES)
    recipe = Recipe(mask, "a model", json.loads(json.dumps(by_hand(settings))), 0.1)
    assert settings_of(recipe) == settings


@pytest.mark.parametrize("ratio", [0.0, 0.1])
def test_a_random_cut_has_as_many_neurons_in_every_layer_of_every_site(ratio: float) -> None:
    picked = (*PICKED, ("head", 1, 5))
    settings = SweepSettings(picked_neurons=picked, layer_ratios=((1, 0.2),), excluded_neurons=(("head", 1, 0),))
    cuts = _Cuts(ranking_of(scores()), SHAPES, settings)
    top = cuts.mask("top", 0, ratio)
    expected = with_picked(taken(scores(), ratio, {1: 0.2}), PICKED)
    np.testing.assert_array_equal(~top.kept["mlp"], expected)
    draws = [cuts.mask("random", draw, ratio) for draw in range(5)]
    for site in ("mlp", "head"):
        assert all(((~one.kept[site]).sum(1) == (~top.kept[site]).sum(1)).all() for one in draws)
    assert len(set(draws)) > 1
    assert all(one.kept["head"][1, 0] for one in draws), "an excluded neuron is not drawn"


def test_the_cut_from_the_bottom_is_the_rankings_alone() -> None:
    cuts = _Cuts(ranking_of(scores()), SHAPES, SweepSettings(picked_neurons=PICKED, layer_ratios=((1, 0.2),)))
    np.testing.assert_array_equal(~cuts.mask("bottom", 0, 0.1).kept["mlp"], taken(-scores(), 0.1, {1: 0.2}))


@pytest.mark.parametrize("picked", [(), PICKED, (*PICKED, ("head", 0, 2))])
def test_the_method_random_cut_draws_as_many_neurons_and_not_those_picked(picked: tuple) -> None:
    settings = CutSettings(0.1, picked_neurons=picked, layer_ratios=((1, 0.2),))
    ranking = ranking_of(scores())
    whole = settings.mask(ranking, SHAPES)
    drawn = [shuffled_cut(settings, seed, ranking, SHAPES) for seed in range(4)]
    assert [one.cut for one in drawn] == [whole.cut] * 4
    assert all((~one.kept["mlp"])[1].sum() >= 5 for one in drawn)
    if picked:
        assert all((~one.kept["mlp"] & ~whole.kept["mlp"]).sum() < whole.cut for one in drawn)
    assert len(set(drawn)) == 4
    if ("head", 0, 2) in picked:
        assert all((~one.kept["head"]).sum(1).tolist() == [1, 0, 0, 0] for one in drawn)


def test_at_share_0_a_curve_has_what_was_measured_there() -> None:
    """Two neurons picked by hand forget .3 nats for .01 before anything of the ranking is cut."""
    rows = [("top", 0, 0.0, 2, 0.3, 0.01), ("top", 0, 0.1, 12, 0.5, 0.03), ("top", 0, 0.2, 22, 0.6, 0.07)]
    points = pd.DataFrame(rows, columns=["order", "draw", "ratio", "neurons", "forget", "retain"])
    points = points.assign(forget_stderr=0.01, retain_stderr=0.01, neighbour=np.nan, neighbour_stderr=np.nan)
    found = curve(points, "top")
    assert found.ratios.tolist() == [0.0, 0.1, 0.2]
    assert (found.at("forget", 0.0), found.at("neurons", 0.0)) == (0.3, 2.0)
    assert selectivity(found).value == pytest.approx(0.55)
    assert suggested_ratio(found) is not None
    costly = curve(points.assign(retain=points["retain"] + 0.1), "top")
    assert (selectivity(costly).value, selectivity(costly).ratio, suggested_ratio(costly)) == (0.3, 0.0, 0.0)


def test_nothing_picked_leaves_the_mask_as_it_was() -> None:
    ranking = ranking_of(scores())
    assert CutSettings(0.1).mask(ranking, SHAPES).digest() == Mask.from_ranking(ranking, SHAPES, 0.1).digest()
