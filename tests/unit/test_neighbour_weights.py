"""Neighbours' share of what rankers that run the model hold against a neuron, against parts measured apart."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest

from tests.tiny_subject import ITEMS, scaled, subject
from unlearning_core.concepts.labelling import LabelledText
from unlearning_core.concepts.neighbours import retain_weights
from unlearning_core.evaluation.metrics import Measurement, measure
from unlearning_core.models.loading import LoadedModel
from unlearning_core.progress import silent
from unlearning_core.pruning.mask import Mask
from unlearning_core.rankers.combined import retain_loss
from unlearning_core.rankers.cuts_alone import cut_each
from unlearning_core.rankers.derivatives import derivatives
from unlearning_core.rankers.dimming import shares
from unlearning_core.rankers.gate_training import GateTraining
from unlearning_core.rankers.gates import Params
from unlearning_core.rankers.subject import Subject
from unlearning_core.rankers.token_batches import token_batches

SHARE, STEP = 0.6, 0.02
NEAR = ("river", "rain")


def _with_neighbours(item: LabelledText) -> LabelledText:
    places = tuple((item.text.index(word), item.text.index(word) + len(word)) for word in NEAR if word in item.text)
    return replace(item, neighbours=places)


def near_subject(family: str, share: float = SHARE) -> Subject:
    return replace(subject(family), items=[_with_neighbours(item) for item in ITEMS], neighbour_share=share)


class Parts(NamedTuple):
    """Summed nats by sentence at the neighbours and at the rest, and how many tokens each are in all."""

    near: np.ndarray
    rest: np.ndarray
    tokens: tuple[int, int]

    @classmethod
    def of(cls, loaded: LoadedModel, of: Subject, mask: Mask | None = None) -> "Parts":
        table = measure(loaded, of.items, mask=mask).sentences
        tokens = int(table["neighbour_tokens"].sum()), int(table["rest_tokens"].sum())
        return cls(table["neighbour_nats"].to_numpy(), table["rest_nats"].to_numpy(), tokens)

    @property
    def weighted(self) -> float:
        """The mean over neighbours and the mean over the rest, by their shares."""
        return SHARE * self.near.sum() / self.tokens[0] + (1 - SHARE) * self.rest.sum() / self.tokens[1]


def test_neighbours_come_to_their_share_and_all_weights_to_the_number_of_tokens() -> None:
    near, other = retain_weights(5, 100, 0.4)
    assert near * 5 == pytest.approx(0.4 * 100)
    assert near * 5 + other * 95 == pytest.approx(100)
    assert retain_weights(5, 100, 0.05) == retain_weights(0, 100, 0.5) == retain_weights(9, 9, 0.5) == (1, 1)
    batches = token_batches(near_subject("llama"), 16)
    weights = np.concatenate([batch.weight[batch.retain].numpy() for batch in batches])
    assert weights.sum() == pytest.approx(len(weights))
    assert len(set(weights.tolist())) == 2
    assert weights[weights > 1].sum() == pytest.approx(SHARE * len(weights))
    assert all(bool((batch.weight[batch.concept] == 1).all()) for batch in batches)


@pytest.mark.parametrize(("family", "site"), [("llama", "mlp"), ("gpt2", "residual")])
def test_derivatives_are_of_the_weighted_loss(family: str, site: str) -> None:
    of = near_subject(family)
    found = derivatives(of.loaded, token_batches(of, 32), site, progress=silent)
    plain = derivatives(of.loaded, token_batches(replace(of, neighbour_share=0.0)), site, progress=silent)
    np.testing.assert_allclose(found.concept, plain.concept, atol=1e-5)
    layers, width = of.loaded.map.shapes[site]
    for neuron in ((0, 1), (layers - 1, width - 1)):
        up, down = (Parts.of(scaled(of, site, [neuron], 1 + sign * STEP), of) for sign in (1, -1))
        slope = (up.weighted - down.weighted) / (2 * STEP)
        assert found.retain[neuron] == pytest.approx(slope, rel=0.02, abs=2e-4)
        near, rest = ((high - low) / (2 * STEP) for high, low in zip(up[:2], down[:2], strict=True))
        total = sum(up.tokens)
        heavy, light = np.sqrt(SHARE * total / up.tokens[0]), np.sqrt((1 - SHARE) * total / up.tokens[1])
        square = ((heavy * near + light * rest) ** 2).sum() / total
        assert found.retain_square[neuron] == pytest.approx(square, rel=0.04, abs=2e-4)


def test_cuts_and_shares_of_a_layer_are_of_the_weighted_loss() -> None:
    of = near_subject("llama")
    base, shape = Parts.of(of.loaded, of), of.loaded.map.shapes["mlp"]
    neurons = np.array([(0, 3), (1, 5), (2, 7)])
    found = cut_each(of.loaded, token_batches(of, 32), "mlp", neurons, progress=silent)
    plain = cut_each(of.loaded, token_batches(replace(of, neighbour_share=0.0)), "mlp", neurons, progress=silent)
    for number, neuron in enumerate(neurons.tolist()):
        after = Parts.of(of.loaded, of, Mask.from_neurons({"mlp": shape}, [("mlp", *neuron)]))
        assert found.retain[number] == pytest.approx(after.weighted - base.weighted, abs=2e-6, rel=1e-3)
    assert not np.allclose(found.divergence, plain.divergence, rtol=0.01)
    np.testing.assert_allclose(found.forget, plain.forget, atol=1e-6)

    whole = Mask.from_neurons({"mlp": shape}, [("mlp", 1, index) for index in range(shape[1])])
    change = Parts.of(of.loaded, of, whole).weighted - base.weighted
    (_, retain) = shares(of.loaded, token_batches(of), "mlp", 64, progress=silent)
    assert retain[1].sum() == pytest.approx(change, rel=0.02, abs=2e-3)


def test_what_the_rounds_of_combined_measure_is_the_weighted_loss() -> None:
    of = near_subject("gpt2")
    measured = measure(of.loaded, of.items)
    assert retain_loss(measured, SHARE) == pytest.approx(Parts.of(of.loaded, of).weighted, rel=1e-6)
    assert retain_loss(measured, 0.0) == pytest.approx(measured.retain_nll, rel=1e-6)
    without: Measurement = measure(of.loaded, ITEMS)
    assert retain_loss(without, SHARE) == without.retain_nll


def test_the_divergence_that_gates_keep_low_is_the_weighted_one() -> None:
    chosen = np.array([(layer, index) for layer in range(3) for index in range(48)])
    found = {}
    for share in (0.0, 0.6, 0.9):
        # Every step has every sentence, and the first step's gates are the same whatever the share.
        training = GateTraining(near_subject("llama", share), "mlp", chosen, Params(steps=1, batch=3), 0, silent)
        training.run(silent)
        found[share] = training.history[0]["divergence"]
    of = near_subject("llama")
    near, rest = Parts.of(of.loaded, of).tokens
    # share x (mean over neighbours) + (1 - share) x (mean over the rest) is a straight line in the share.
    as_they_come = near / (near + rest)
    slope = (found[0.9] - found[0.6]) / 0.3
    assert found[0.0] == pytest.approx(found[0.6] - slope * (0.6 - as_they_come), rel=1e-4)
    assert abs(slope) > 0.05 * found[0.0]
