"""Gradient x activation against finite differences in the weights of a copy, and the score made of it."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.tiny_input import ITEMS, SMOOTH, scaled, tiny_input
from tests.tiny_models import FAMILIES
from unlearning_core.concepts.labelling import LabelledText
from unlearning_core.errors import InputError, Stopped
from unlearning_core.evaluation.likelihood import measure
from unlearning_core.evaluation.measurement import Measurement
from unlearning_core.models.precision import computing
from unlearning_core.progress import Progress
from unlearning_core.rankers.derivatives import TASK, Derivatives, derivatives
from unlearning_core.rankers.gain_for_cost import gain_for_cost
from unlearning_core.rankers.ranking import rank
from unlearning_core.rankers.ranking_input import RankingInput
from unlearning_core.rankers.registry import RANKERS
from unlearning_core.rankers.token_batches import token_batches

STEP = 0.02


def found_for(of: RankingInput, token_budget: int | None = None) -> Derivatives:
    return derivatives(of, token_batches(of, token_budget))


def difference(of: RankingInput, site: str, layer: int, index: int) -> tuple[Measurement, Measurement]:
    up, down = (measure(scaled(of, site, [(layer, index)], 1 + sign * STEP), ITEMS) for sign in (1, -1))
    return up, down


@pytest.mark.parametrize("site", ["mlp", "head", "residual"])
@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma2", "qwen2_moe"])
def test_the_derivatives_are_those_of_the_loss_when_a_neuron_is_scaled(family: str, site: str) -> None:
    of = tiny_input(family, site, **SMOOTH.get(family, {}))
    found = found_for(of)
    layers, width = of.loaded.map.shapes[site]
    for layer, index in {(0, 1), (layers - 1, width - 1)}:
        up, down = difference(of, site, layer, index)
        slope = [(up.nll(kind).value - down.nll(kind).value) / (2 * STEP) for kind in ("concept", "retain")]
        np.testing.assert_allclose(
            (found.concept[layer, index], found.retain[layer, index]), slope, rtol=0.02, atol=2e-4
        )
        nats = up.sentences["retain_nats"].to_numpy() - down.sentences["retain_nats"].to_numpy()
        square = ((nats / (2 * STEP)) ** 2).sum() / up.tokens("retain")
        np.testing.assert_allclose(found.retain_square[layer, index], square, rtol=0.04, atol=2e-4)


def test_batches_make_no_difference() -> None:
    of = tiny_input("llama")
    whole, alone = found_for(of), found_for(of, token_budget=1)
    for name, value in vars(whole).items():
        np.testing.assert_allclose(getattr(alone, name), value, atol=1e-5, err_msg=name)


def test_sentences_without_the_concept_stand_apart_from_those_with_it() -> None:
    of = tiny_input("llama")
    batches = token_batches(of)
    assert sorted(number for batch in batches for number in batch.indices) == list(range(len(ITEMS)))
    for batch in batches:
        assert {bool(ITEMS[number].spans) for number in batch.indices} == {bool(batch.concept.any())}


@pytest.mark.parametrize("family", FAMILIES)
def test_in_bfloat16_the_order_is_nearly_the_same(family: str) -> None:
    of = tiny_input(family, **SMOOTH.get(family, {}))
    exact, rough = (
        derivatives(of, token_batches(of), precision=precision).concept for precision in ("float32", "bfloat16")
    )
    assert not np.array_equal(exact, rough)
    places = [np.argsort(np.argsort(values.ravel())) for values in (exact, rough)]
    assert np.corrcoef(*places)[0, 1] > 0.97


def test_small_models_and_those_in_another_format_compute_in_their_own() -> None:
    model = tiny_input("llama").loaded.model
    for one, precision in ((model, "auto"), (model, "float32"), (copy.deepcopy(model).bfloat16(), "bfloat16")):
        with computing(one, precision):
            assert not torch.is_autocast_enabled("cpu")
    with computing(model, "bfloat16"):
        assert torch.is_autocast_enabled("cpu")


def test_the_model_is_left_as_it_was() -> None:
    of = tiny_input("llama", "residual")
    before = {name: value.clone() for name, value in of.loaded.model.state_dict().items()}
    found_for(of)
    assert all(torch.equal(value, before[name]) for name, value in of.loaded.model.state_dict().items())
    assert all(p.grad is None and p.requires_grad for p in of.loaded.model.parameters())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in of.loaded.model.modules())


def test_the_score_is_gain_for_cost_and_a_cut_that_helps_elsewhere_earns_nothing_by_it() -> None:
    gain, loss = np.array([0.4, 0.4, -0.3, 0.4]), np.array([-0.5, 0.0, 0.0, 0.3])
    divergence = np.array([0.1, 0.5, 0.1, 0.1])
    by_loss = gain_for_cost(gain, loss, divergence, "loss", 2.0)
    np.testing.assert_allclose(by_loss, [0.4 / 0.2, 0.4 / 0.2, -0.3 / 0.2, 0.4 / 0.5])
    by_divergence = gain_for_cost(gain, loss, divergence, "divergence", 2.0)
    np.testing.assert_allclose(by_divergence, [0.4 / 0.3, 0.4 / 0.7, -0.3 / 0.3, 0.4 / 0.3])
    by_both = gain_for_cost(gain, loss, divergence, "both", 2.0)
    np.testing.assert_allclose(by_both * (np.maximum(loss, 0) + 0.3 * divergence + 0.2), gain)
    assert np.isfinite(gain_for_cost(gain, loss, np.zeros(4), "divergence", 1.0)).all()


def test_the_ranking_holds_every_neuron_and_the_gain_alone_is_the_negative_slope() -> None:
    of = tiny_input("gpt2")
    ranking = rank(of, "taylor", {"against": "nothing"}, protect=False)
    slopes = found_for(of).concept
    order = np.argsort(slopes.ravel(), kind="stable")
    np.testing.assert_array_equal(ranking["layer"] * slopes.shape[1] + ranking["index"], order)
    assert len(rank(of, "taylor")) == slopes.size


def test_it_tells_its_progress_and_stops() -> None:
    of = tiny_input("llama")
    heard: list[Progress] = []
    derivatives(replace(of, progress=heard.append), token_batches(of, 16))
    assert [update.task for update in heard] == [TASK] * len(heard)
    assert heard[-1].done == heard[-1].total

    def stop(update: Progress) -> None:
        raise Stopped("enough")

    with pytest.raises(Stopped):
        derivatives(replace(of, progress=stop), token_batches(of))


def test_without_model_or_concept_it_says_what_is_missing() -> None:
    of = tiny_input("llama")
    with pytest.raises(InputError, match="'taylor' runs the model"):
        rank(replace(of, model=None), "taylor")
    with pytest.raises(InputError, match="no token of the concept"):
        token_batches(replace(of, items=[LabelledText("The cat sleeps.")]))
    assert RANKERS["taylor"].needs_model
