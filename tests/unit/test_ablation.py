"""Neurons cut one by one, in one batch and from their block on, against each cut measured by itself."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from tests.tiny_input import ITEMS, ablations_by_mask, tiny_input
from tests.tiny_models import FAMILIES
from unlearning_core.errors import Stopped
from unlearning_core.evaluation.next_token import NextToken
from unlearning_core.progress import Progress
from unlearning_core.rankers.ablation import merged
from unlearning_core.rankers.gain_for_cost import first
from unlearning_core.rankers.ranking import rank
from unlearning_core.rankers.ranking_input import RankingInput
from unlearning_core.rankers.registry import RANKERS
from unlearning_core.rankers.restart import Restart
from unlearning_core.rankers.single_ablations import ablate_each
from unlearning_core.rankers.token_batches import Sentences, token_batches


def neurons_of(of: RankingInput, site: str) -> np.ndarray:
    layers, width = of.loaded.map.shapes[site]
    return np.array([(layer, index) for layer in range(layers) for index in (0, 1, width - 1)])


@pytest.mark.slow
@pytest.mark.parametrize("site", ["mlp", "head", "residual"])
@pytest.mark.parametrize("family", ["llama", "gpt2", "qwen2_moe"])
def test_each_cut_is_what_its_mask_measures_by_itself(family: str, site: str) -> None:
    of = tiny_input(family, site)
    neurons = neurons_of(of, site)
    found = ablate_each(of, token_batches(of), neurons)
    expected = ablations_by_mask(of, site, neurons)
    for name, value in vars(expected).items():
        np.testing.assert_allclose(getattr(found, name), value, atol=2e-6, rtol=1e-3, err_msg=name)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_restarts_at_its_blocks(family: str) -> None:
    of = tiny_input(family)
    restart = Restart(of.loaded, NextToken(of.loaded))
    assert restart.works
    batch = Sentences(of).batch(range(len(ITEMS)))
    with torch.inference_mode():
        whole, states = restart.recorded(batch)
        for block in range(len(of.loaded.map.blocks) + 1):
            found = restart.logits(batch, states, block, copies=2)
            torch.testing.assert_close(found, whole.repeat(2, 1), rtol=1e-4, atol=1e-4)


def test_a_body_that_cannot_be_copied_is_run_whole() -> None:
    of = tiny_input("llama")
    body = of.loaded.model.base_model
    body.forward = body.forward  # as accelerate leaves it: a copy would run the original
    assert not Restart(of.loaded, NextToken(of.loaded)).works
    neurons = neurons_of(of, "mlp")
    found = ablate_each(of, token_batches(of), neurons)
    again = ablate_each(tiny_input("llama"), token_batches(of), neurons)
    np.testing.assert_allclose(found.forget, again.forget, atol=2e-6)


def test_copies_and_batches_make_no_difference() -> None:
    of = tiny_input("llama")
    neurons = neurons_of(of, "mlp")
    one_by_one = ablate_each(of, token_batches(of, 1), neurons, token_budget=1)
    together = ablate_each(of, token_batches(of), neurons, token_budget=4096)
    for name, value in vars(together).items():
        np.testing.assert_allclose(getattr(one_by_one, name), value, atol=2e-6, err_msg=name)


def test_what_was_measured_to_help_stands_first_and_what_was_not_measured_keeps_its_order() -> None:
    cheap = np.array([[5.0, 9.0, 1.0], [7.0, 2.0, 8.0]])
    chosen = first(cheap, 3, np.array([[False, False, False], [True, False, False]]))
    assert chosen.tolist() == [[0, 1], [1, 2], [0, 0]]
    score = merged(cheap, chosen, np.array([0.5, -0.1, 3.0]))
    assert np.argsort(-score.ravel()).tolist() == [0, 1, 3, 4, 2, 5]


@pytest.mark.slow
def test_the_ranking_begins_with_the_candidate_that_gains_most_for_its_cost() -> None:
    of = tiny_input("llama")
    params = {"candidates": 30, "cost": "divergence", "eps": 1.0}
    ranking = rank(of, "ablation", params, protect=False)
    cheap = rank(of, "taylor", {"cost": "divergence"}, protect=False).head(30)
    found = ablations_by_mask(of, "mlp", cheap[["layer", "index"]].to_numpy())
    ratio = found.forget / (found.divergence + np.median(found.divergence))
    best = cheap.iloc[int(np.argmax(ratio))]
    assert ranking.iloc[0][["layer", "index"]].tolist() == best[["layer", "index"]].tolist()
    assert len(ranking) == of.activations.statistics.sum[0].size


def test_massive_neurons_are_not_tried() -> None:
    of = tiny_input("llama")
    free = RANKERS["ablation"].score(of, {"candidates": 5})
    layer, index = np.unravel_index(int(free.argmax()), free.shape)
    row = {"site": "mlp", "layer": int(layer), "index": int(index), "contribution": 1.0, "typical": 1.0}
    guarded = replace(of, activations=replace(of.activations, massive=pd.DataFrame([row])))
    held = RANKERS["ablation"].score(guarded, {"candidates": 5})
    assert held[layer, index] < held.max()


def test_it_tells_its_progress_and_stops() -> None:
    of = tiny_input("llama")
    heard: list[Progress] = []
    neurons = neurons_of(of, "mlp")
    ablate_each(replace(of, progress=heard.append), token_batches(of, 32), neurons, token_budget=64)
    assert heard[-1].done == heard[-1].total == len(neurons)
    assert [update.done for update in heard] == sorted(update.done for update in heard)

    def stop(update: Progress) -> None:
        raise Stopped("enough")

    with pytest.raises(Stopped):
        ablate_each(replace(of, progress=stop), token_batches(of), neurons)
