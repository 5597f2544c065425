"""A model of which parts come from memory or disk as they are run ranks, is cut and is measured as one in memory."""

from dataclasses import replace

import accelerate
import numpy as np
import pytest
import torch

from tests.tiny_input import ITEMS, tiny_input
from tests.tiny_models import save_tiny
from unlearning_core.activations.collect import collect
from unlearning_core.edits.mask import Mask
from unlearning_core.evaluation.likelihood import measure
from unlearning_core.models.loading import load_model
from unlearning_core.models.mapping import map_model
from unlearning_core.models.placement import input_device, is_spread
from unlearning_core.rankers.ranking import rank


def spread(of, way, folder):
    """The same input with its model's weights kept elsewhere until they are run."""
    model = tiny_input("llama").loaded.model
    model = accelerate.cpu_offload(model, "cpu") if way == "memory" else accelerate.disk_offload(model, folder, "cpu")
    assert is_spread(model)
    loaded = replace(of.loaded, model=model, map=map_model(model))
    return replace(of, model=loaded, activations=collect(loaded, ITEMS))


@pytest.mark.parametrize("way", ["memory", "disk"])
@pytest.mark.parametrize(
    ("ranker", "settings"),
    [("activation_ratio", {}), ("taylor", {}), ("combined", {"rounds": 2, "most": 10}), ("gates", {"steps": 3})],
)
def test_the_ranking_is_that_of_the_model_in_memory(ranker, settings, way, tmp_path):
    of = tiny_input("llama")
    expected, found = (rank(one, ranker, settings) for one in (of, spread(of, way, tmp_path)))
    assert found[["layer", "index"]].to_numpy().tolist() == expected[["layer", "index"]].to_numpy().tolist()
    np.testing.assert_allclose(found["score"], expected["score"], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("way", ["memory", "disk"])
def test_what_leaves_a_neuron_and_what_a_cut_costs_are_the_same(way, tmp_path):
    of = tiny_input("llama")
    apart = spread(of, way, tmp_path)
    for site in ("mlp", "head"):
        np.testing.assert_array_equal(apart.loaded.map.outgoing_norm(site), of.loaded.map.outgoing_norm(site))
    torch.testing.assert_close(apart.loaded.map.outgoing(1, 5), of.loaded.map.outgoing(1, 5))
    rng = np.random.default_rng(0)
    mask = Mask({site: rng.random(shape) > 0.3 for site, shape in of.loaded.map.shapes.items()})
    sentences = [measure(one.loaded, ITEMS, mask=mask).sentences for one in (of, apart)]
    np.testing.assert_allclose(sentences[1]["retain_nats"], sentences[0]["retain_nats"], rtol=1e-6)
    assert is_spread(apart.loaded.model)


def test_a_model_too_large_for_the_memory_given_is_loaded_and_checked_from_disk(tmp_path):
    save_tiny("llama", tmp_path / "model")
    near = load_model(str(tmp_path / "model"), device="cpu")
    far = load_model(str(tmp_path / "model"), device="cpu", device_map="auto", most_memory={"cpu": 60_000})
    assert is_spread(far.model)
    assert input_device(far.model).type == "cpu"
    assert far.map.shapes == near.map.shapes
    ids = torch.arange(9)[None]
    with torch.no_grad():
        torch.testing.assert_close(far.model(ids).logits, near.model(ids).logits)


def test_numbers_that_are_none_are_found_on_disk_too(tmp_path):
    from unlearning_core.errors import InputError

    model = tiny_input("llama").loaded.model
    with torch.no_grad():
        model.model.layers[1].mlp.down_proj.weight[0, 0] = float("nan")
    save_tiny("llama", tmp_path / "model")
    model.save_pretrained(tmp_path / "model")
    with pytest.raises(InputError, match=r"layers\.1\.mlp\.down_proj\.weight holds 1 numbers that are NaN"):
        load_model(str(tmp_path / "model"), device="cpu", device_map="auto", most_memory={"cpu": 60_000})
