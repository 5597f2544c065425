"""A mask is what the ranking, the ratio and nothing else say."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from unlearning_core.edits.mask import Mask
from unlearning_core.errors import InputError

SHAPES = {"mlp": (3, 20), "head": (3, 4)}


def ranking(sites=("mlp",), seed=0, apart=False):
    """Random ranking; `apart`: each site has its own ranks from 0."""
    rng = np.random.default_rng(seed)
    frames = []
    for site in sites:
        layers, width = SHAPES[site]
        layer, index = np.divmod(np.arange(layers * width), width)
        rank = rng.permutation(layers * width)
        frames.append(pd.DataFrame({"site": site, "layer": layer, "index": index, "score": -1.0 * rank, "rank": rank}))
    frame = pd.concat(frames, ignore_index=True)
    if not apart:
        frame["rank"] = rng.permutation(len(frame))
    frame["protected"] = False
    return frame.sample(frac=1, random_state=seed)


def neurons(frame):
    return set(zip(frame["site"], frame["layer"], frame["index"], strict=True))


@pytest.mark.parametrize("ratio", [0.0, 0.004, 0.01, 0.05, 0.5, 0.333, 1.0])
def test_the_lowest_ranks_are_cut_and_their_number_is_the_rounded_share(ratio):
    ranked = ranking()
    mask = Mask.from_ranking(ranked, SHAPES, ratio)
    assert neurons(mask.neurons()) == neurons(ranked[ranked["rank"] < round(ratio * 60)])
    assert (mask.cut, mask.total) == (round(ratio * 60), 60)
    assert set(mask.kept) == {"mlp"}


def test_one_ranking_over_two_sites_is_cut_as_a_whole():
    ranked = ranking(("mlp", "head"))
    mask = Mask.from_ranking(ranked, SHAPES, 0.25)
    assert neurons(mask.neurons()) == neurons(ranked[ranked["rank"] < 18])


def test_sites_ranked_on_their_own_each_give_their_share():
    ranked = ranking(("mlp", "head"), apart=True)
    mask = Mask.from_ranking(ranked, SHAPES, 0.25)
    budget = ranked["site"].map({"mlp": 15, "head": 3})
    expected = ranked[ranked["rank"] < budget]
    assert neurons(mask.neurons()) == neurons(expected)


def test_per_layer_takes_the_same_share_of_every_layer():
    ranked = ranking(("mlp", "head"))
    mask = Mask.from_ranking(ranked, SHAPES, 0.25, per_layer=True)
    for (site, layer), group in ranked.groupby(["site", "layer"]):
        lowest = group.nsmallest(round(0.25 * len(group)), "rank")
        cut = mask.neurons()
        assert neurons(cut[(cut.site == site) & (cut.layer == layer)]) == neurons(lowest)


def test_protected_neurons_stand_last_and_are_cut_only_when_all_are():
    ranked = ranking()
    ranked["protected"] = ranked["rank"] >= 55
    protected = neurons(ranked[ranked["protected"]])
    assert not protected & neurons(Mask.from_ranking(ranked, SHAPES, 55 / 60).neurons())
    assert protected <= neurons(Mask.from_ranking(ranked, SHAPES, 1.0).neurons())


def test_the_order_of_the_rows_does_not_matter():
    ranked = ranking()
    shuffled = ranked.sample(frac=1, random_state=9)
    assert Mask.from_ranking(ranked, SHAPES, 0.3) == Mask.from_ranking(shuffled, SHAPES, 0.3)


def test_a_ranking_of_a_few_neurons_cuts_a_share_of_those():
    few = ranking().nsmallest(10, "rank")
    assert neurons(Mask.from_ranking(few, SHAPES, 0.5).neurons()) == neurons(few.nsmallest(5, "rank"))


@pytest.mark.parametrize("ratio", [-0.1, 1.01, float("nan"), float("inf"), "0.1", None])
def test_a_ratio_outside_zero_to_one_is_refused(ratio):
    with pytest.raises(InputError, match="prune ratio is"):
        Mask.from_ranking(ranking(), SHAPES, ratio)


def test_a_ranking_of_another_model_is_refused():
    ranked = ranking()
    with pytest.raises(InputError, match=r"layer 2 index .* is not in this model"):
        Mask.from_ranking(ranked, {"mlp": (2, 20)}, 0.1)
    with pytest.raises(InputError, match="site 'mlp' is not one of this model's: head"):
        Mask.from_ranking(ranked, {"head": (3, 4)}, 0.0)


def test_a_damaged_ranking_is_refused():
    ranked = ranking()
    with pytest.raises(InputError, match="no column rank"):
        Mask.from_ranking(ranked.drop(columns="rank"), SHAPES, 0.1)
    with pytest.raises(InputError, match="names a neuron twice"):
        Mask.from_ranking(pd.concat([ranked, ranked.head(1)]), SHAPES, 0.1)
    with pytest.raises(InputError, match="without a rank"):
        Mask.from_ranking(ranked.assign(rank=np.nan), SHAPES, 0.1)


def test_from_neurons_cuts_exactly_those_and_gives_them_back():
    chosen = {("mlp", 0, 3), ("mlp", 2, 19), ("head", 1, 0)}
    mask = Mask.from_neurons(SHAPES, chosen)
    assert neurons(mask.neurons()) == chosen
    assert (mask.cut, mask.total, mask.shapes) == (3, 72, {"head": (3, 4), "mlp": (3, 20)})


@pytest.mark.parametrize("neuron", [("mlp", 3, 0), ("mlp", 0, 20), ("mlp", -1, 0), ("residual", 0, 0)])
def test_a_neuron_outside_the_model_is_refused(neuron):
    with pytest.raises(InputError, match="this model"):
        Mask.from_neurons(SHAPES, [neuron])


def test_full_keeps_all():
    mask = Mask.full(SHAPES)
    assert (mask.cut, len(mask.neurons())) == (0, 0)
    assert list(mask.neurons().columns) == ["site", "layer", "index"]
    assert Mask.from_neurons(SHAPES, []) == mask


def test_and_keeps_what_both_keep():
    one = Mask.from_neurons(SHAPES, [("mlp", 0, 1), ("head", 0, 0)])
    other = Mask.from_neurons({"mlp": (3, 20)}, [("mlp", 0, 1), ("mlp", 1, 5)])
    assert neurons((one & other).neurons()) == {("mlp", 0, 1), ("mlp", 1, 5), ("head", 0, 0)}
    with pytest.raises(InputError, match="different models"):
        one & Mask.full({"mlp": (4, 20)})


def test_a_mask_cannot_be_changed_nor_changes_with_its_source():
    source = np.ones((3, 20), dtype=bool)
    mask = Mask({"mlp": source})
    source[0, 0] = False
    assert mask.cut == 0
    with pytest.raises(ValueError, match="read-only"):
        mask.kept["mlp"][0, 0] = False
    with pytest.raises(TypeError):
        mask.kept["head"] = source
    with pytest.raises(ValueError, match="not bool"):
        Mask({"mlp": np.ones((3, 20))})


def test_equality_is_of_sites_and_bits():
    one = Mask.from_neurons(SHAPES, [("mlp", 0, 1)])
    assert one == Mask.from_neurons({"head": (3, 4), "mlp": (3, 20)}, [("mlp", 0, 1)])
    assert one != Mask.from_neurons(SHAPES, [("mlp", 1, 0)])
    assert one != Mask.from_neurons({"mlp": (3, 20)}, [("mlp", 0, 1)])
    assert len({one, Mask.from_neurons(SHAPES, [("mlp", 0, 1)])}) == 1


def test_the_digest_is_the_same_in_another_process_and_tells_masks_apart():
    code = (
        "from unlearning_core.edits.mask import Mask;"
        "print(Mask.from_neurons({'head': (3, 4), 'mlp': (3, 20)}, [('mlp', 0, 1)]).digest())"
    )
    other = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip()
    assert Mask.from_neurons(SHAPES, [("mlp", 0, 1)]).digest() == other
    assert Mask.full({"mlp": (2, 6)}).digest() != Mask.full({"mlp": (3, 4)}).digest()
