"""Integrated gradients: complete by layer, and the integral of finite differences in the weights of a copy."""

from dataclasses import replace

import numpy as np
import pytest

from tests.tiny_input import ITEMS, SMOOTH, scaled, tiny_input
from unlearning_core.edits.mask import Mask
from unlearning_core.errors import Stopped
from unlearning_core.evaluation.likelihood import measure
from unlearning_core.evaluation.measurement import nll_delta
from unlearning_core.progress import Progress
from unlearning_core.rankers.gain_for_cost import gain_for_cost
from unlearning_core.rankers.path_gradients import shares
from unlearning_core.rankers.ranking import rank
from unlearning_core.rankers.token_batches import token_batches

STEP = 0.01
KINDS = ("concept", "retain")


@pytest.mark.parametrize(
    ("family", "site"),
    [*((family, site) for family in ("llama", "gpt2") for site in ("mlp", "head", "residual")), ("qwen2_moe", "mlp")],
)
def test_the_shares_of_a_layer_add_up_to_what_cutting_it_does(family: str, site: str) -> None:
    of = tiny_input(family, site, **SMOOTH.get(family, {}))
    found = shares(of, token_batches(of), 64)
    layers, width = shape = of.loaded.map.shapes[site]
    base = measure(of.loaded, ITEMS)
    for layer in (0, layers - 1):
        mask = Mask.from_neurons({site: shape}, [(site, layer, index) for index in range(width)])
        after = measure(of.loaded, ITEMS, mask=mask)
        for kind, name in enumerate(("concept", "retain")):
            expected = nll_delta(base, after, name).value
            assert found[kind, layer].sum() == pytest.approx(expected, rel=0.02, abs=2e-3)


def test_a_share_is_the_integral_of_finite_differences_and_few_steps_come_near_it() -> None:
    of, layer, index, width, fine = tiny_input("llama"), 1, 5, 48, 16
    slopes = []
    for level in (np.arange(fine) + 0.5) / fine:
        ends = []
        for sign in (1, -1):
            lower = scaled(of, "mlp", [(layer, other) for other in range(width)], level)
            changed = scaled(replace(of, model=lower), "mlp", [(layer, index)], 1 + sign * STEP / level)
            ends.append(measure(changed, ITEMS))
        slopes.append([(ends[0].nll(kind).value - ends[1].nll(kind).value) / (2 * STEP) for kind in KINDS])
    expected = -np.mean(slopes, axis=0)
    for steps, tolerance in ((fine, 0.02), (4, 0.1)):
        found = shares(of, token_batches(of), steps)
        np.testing.assert_allclose(found[:2, layer, index], expected, rtol=tolerance)


def test_copies_and_batches_make_no_difference() -> None:
    of = tiny_input("gpt2")
    apart = shares(of, token_batches(of, 1), 4, token_budget=1)
    together = shares(of, token_batches(of), 4, token_budget=4096)
    np.testing.assert_allclose(apart, together, atol=1e-5)


def test_the_ranking_weighs_shares_of_the_concept_against_shares_of_the_rest() -> None:
    of = tiny_input("llama")
    ranking = rank(of, "integrated_gradients", {"steps": 2}, protect=False)
    gain, loss, _ = shares(of, token_batches(of), 2)
    order = np.argsort(-gain_for_cost(gain, loss, np.abs(loss), "loss", 1.0).ravel(), kind="stable")
    np.testing.assert_array_equal(ranking["layer"] * gain.shape[1] + ranking["index"], order)


def test_it_tells_its_progress_and_stops() -> None:
    of = tiny_input("llama")
    heard: list[Progress] = []
    shares(replace(of, progress=heard.append), token_batches(of, 64), 1)
    assert heard[-1].done == heard[-1].total == len(heard)

    def stop(update: Progress) -> None:
        raise Stopped("enough")

    with pytest.raises(Stopped):
        shares(replace(of, progress=stop), token_batches(of), 1)
