"""Neighbours' share of what rankers that run the model hold against a neuron, against parts measured apart."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest

from tests.tiny_input import ITEMS, scaled, tiny_input
from unlearning_core.concepts.labelling import LabelledText
from unlearning_core.edits.mask import Mask
from unlearning_core.evaluation.likelihood import measure
from unlearning_core.models.loading import LoadedModel
from unlearning_core.rankers.combined import change_between
from unlearning_core.rankers.derivatives import derivatives
from unlearning_core.rankers.gain_for_cost import rise
from unlearning_core.rankers.gate_training import GateTraining
from unlearning_core.rankers.parameters import GateParams
from unlearning_core.rankers.path_gradients import shares
from unlearning_core.rankers.ranking_input import RankingInput
from unlearning_core.rankers.single_ablations import ablate_each
from unlearning_core.rankers.token_batches import token_batches

SHARE, STEP = 0.6, 0.02
NEAR = ("river", "rain")


def _with_neighbours(item: LabelledText) -> LabelledText:
    places = tuple((item.text.index(word), item.text.index(word) + len(word)) for word in NEAR if word in item.text)
    return replace(item, neighbours=places)


def near_input(family: str, share: float = SHARE, site: str = "mlp") -> RankingInput:
    return replace(tiny_input(family, site), items=[_with_neighbours(item) for item in ITEMS], neighbour_share=share)


class Parts(NamedTuple):
    """Mean nats at the neighbours and at the rest, and the sums of both by sentence with their numbers of tokens."""

    near: float
    rest: float
    sums: tuple[np.ndarray, np.ndarray]
    tokens: tuple[int, int]

    @classmethod
    def of(cls, loaded: LoadedModel, of: RankingInput, mask: Mask | None = None) -> "Parts":
        table = measure(loaded, of.items, mask=mask).sentences
        near, rest = (table[f"{kind}_nats"].to_numpy() for kind in ("neighbour", "rest"))
        tokens = int(table["neighbour_tokens"].sum()), int(table["rest_tokens"].sum())
        return cls(near.sum() / tokens[0], rest.sum() / tokens[1], (near, rest), tokens)


def test_what_one_part_gains_pays_for_nothing_at_the_other() -> None:
    assert rise(0.1, 0.2, 0.5) == pytest.approx(0.3)
    assert rise(0.1, 0.2, 0.75) == pytest.approx(0.1 + 3 * 0.2)
    assert rise(0.1, -5.0, 0.5) == pytest.approx(0.1)
    assert rise(-5.0, 0.2, 0.5) == pytest.approx(0.2)
    assert rise(0.1, 7.0, 0.0) == pytest.approx(0.1)


@pytest.mark.parametrize("share", [0.2, SHARE])
def test_weights_make_of_all_retain_tokens_the_mean_of_the_rest_and_that_of_neighbours(share: float) -> None:
    batches = token_batches(near_input("llama", share), 16)
    retain, near, weight = (
        np.concatenate([getattr(batch, name)[batch.positions].numpy() for batch in batches])
        for name in ("retain", "neighbour", "weight")
    )
    assert 0 < near.sum() < retain.sum()
    values = np.random.default_rng(0).normal(size=len(retain))
    expected = values[retain & ~near].mean() + share / (1 - share) * values[near].mean()
    assert (weight * values)[retain].mean() == pytest.approx(expected)


def test_without_a_share_or_with_nothing_but_neighbours_none_are_told_apart() -> None:
    whole = [replace(item, neighbours=() if item.spans else ((0, len(item.text)),)) for item in ITEMS]
    alone = replace(near_input("llama"), items=[ITEMS[0], whole[1]])
    everywhere = replace(alone, items=[replace(ITEMS[0], neighbours=((0, len(ITEMS[0].text)),)), whole[1]])
    assert any(bool(batch.neighbour.any()) for batch in token_batches(alone))
    for of in (near_input("llama", 0.0), everywhere):
        for batch in token_batches(of):
            assert not batch.neighbour.any()
            assert (batch.weight == 1).all()


@pytest.mark.parametrize(("family", "site"), [("llama", "mlp"), ("gpt2", "residual")])
def test_derivatives_are_of_each_parts_loss(family: str, site: str) -> None:
    of = near_input(family, site=site)
    found = derivatives(of, token_batches(of, 32))
    plain = derivatives(of, token_batches(replace(of, neighbour_share=0.0)))
    np.testing.assert_allclose(found.concept, plain.concept, atol=1e-5)
    assert not plain.neighbour.any()
    layers, width = of.loaded.map.shapes[site]
    for neuron in ((0, 1), (layers - 1, width - 1)):
        up, down = (Parts.of(scaled(of, site, [neuron], 1 + sign * STEP), of) for sign in (1, -1))
        assert found.retain[neuron] == pytest.approx((up.rest - down.rest) / (2 * STEP), rel=0.02, abs=2e-4)
        assert found.neighbour[neuron] == pytest.approx((up.near - down.near) / (2 * STEP), rel=0.02, abs=4e-4)
        near, rest = ((high - low) / (2 * STEP) for high, low in zip(up.sums, down.sums, strict=True))
        # As means: over the rest, and over the neighbours by what they count.
        square = (rest**2).sum() / up.tokens[1] + SHARE / (1 - SHARE) * (near**2).sum() / up.tokens[0]
        assert found.retain_square[neuron] == pytest.approx(square, rel=0.04, abs=4e-4)


def test_cuts_and_shares_of_a_layer_are_of_each_parts_loss() -> None:
    of = near_input("llama")
    base, shape = Parts.of(of.loaded, of), of.loaded.map.shapes["mlp"]
    neurons = np.array([(0, 3), (1, 5), (2, 7)])
    found = ablate_each(of, token_batches(of, 32), neurons)
    plain = ablate_each(of, token_batches(replace(of, neighbour_share=0.0)), neurons)
    for number, neuron in enumerate(neurons.tolist()):
        after = Parts.of(of.loaded, of, Mask.from_neurons({"mlp": shape}, [("mlp", *neuron)]))
        assert found.retain[number] == pytest.approx(after.rest - base.rest, abs=2e-6, rel=1e-3)
        assert found.neighbour[number] == pytest.approx(after.near - base.near, abs=2e-6, rel=1e-3)
    assert not plain.neighbour.any()
    assert not np.allclose(found.divergence, plain.divergence, rtol=0.01)
    np.testing.assert_allclose(found.forget, plain.forget, atol=1e-6)

    whole = Mask.from_neurons({"mlp": shape}, [("mlp", 1, index) for index in range(shape[1])])
    after = Parts.of(of.loaded, of, whole)
    _, rest, near = shares(of, token_batches(of), 64)
    assert rest[1].sum() == pytest.approx(after.rest - base.rest, rel=0.02, abs=2e-3)
    assert near[1].sum() == pytest.approx(after.near - base.near, rel=0.02, abs=4e-3)


def test_what_the_rounds_of_combined_measure_is_what_both_parts_pay() -> None:
    of = near_input("gpt2")
    mask = Mask.from_neurons({"mlp": (3, 48)}, [("mlp", 1, index) for index in range(0, 48, 2)])
    before, after = measure(of.loaded, of.items), measure(of.loaded, of.items, mask=mask)
    base, cut = Parts.of(of.loaded, of), Parts.of(of.loaded, of, mask)
    expected = (1 - SHARE) * max(cut.rest - base.rest, 0) + SHARE * max(cut.near - base.near, 0)
    found = change_between(before, after, SHARE)
    assert found.retain == pytest.approx(expected, rel=1e-5)
    forget, retain = (after.nll(kind).value - before.nll(kind).value for kind in ("concept", "retain"))
    assert found.forget == pytest.approx(forget, rel=1e-5)
    assert change_between(before, after, 0.0).retain == pytest.approx(retain, rel=1e-5)


def test_the_divergence_that_gates_keep_low_is_the_weighted_one() -> None:
    chosen = np.array([(layer, index) for layer in range(3) for index in range(48)])
    found = {}
    for share in (0.0, 0.25, 0.5, 0.75):
        # Every step has every sentence, and the first step's gates are the same whatever the share.
        training = GateTraining(near_input("llama", share), chosen, GateParams(steps=1, batch=3))
        training.run()
        found[share] = training.history[0]["divergence"]
    near, rest = Parts.of(near_input("llama").loaded, near_input("llama")).tokens
    # Mean over the rest + share / (1 - share) x mean over the neighbours: a straight line in the latter's weight.
    of_near = (found[0.75] - found[0.5]) / (3 - 1)
    of_rest = found[0.5] - of_near
    assert of_near > 0
    assert found[0.25] == pytest.approx(of_rest + of_near / 3, rel=1e-4)
    assert found[0.0] == pytest.approx((rest * of_rest + near * of_near) / (rest + near), rel=1e-4)
