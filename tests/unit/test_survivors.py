"""A neuron that grew back is found: in the model in memory, and in the files that were saved."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.tiny_models import LAYERS, save_tiny, tiny_model
from unlearning_core.edits.mask import Mask
from unlearning_core.edits.weights import bake, survivors
from unlearning_core.errors import InputError
from unlearning_core.models.mapping import SITES, map_model


def random_mask(shapes, share, seed):
    rng = np.random.default_rng(seed)
    return Mask({site: rng.random(shape) >= share for site, shape in shapes.items()})


def regrow(model, neuron):
    """Give one neuron one non-zero weight."""
    site, layer, index = neuron[0], int(neuron[1]), int(neuron[2])
    mapped = map_model(model)
    module = mapped.readers(site, layer)[-1]
    with torch.no_grad():
        if site == "residual":
            target = module.bias if getattr(module, "bias", None) is not None else module.weight
            target[index] = 0.25
        else:
            if site == "mlp" and mapped.experts:
                expert, column = divmod(index, mapped.experts.width)
                weight = mapped.blocks[layer].mlp.experts.down_proj[expert]
                (weight if mapped.architecture.model_type == "gpt_oss" else weight.T)[column, 3] = 1e-6
                return
            column = index * mapped.head_dim + 1 if site == "head" else index
            entry = (column, 3) if type(module).__name__ == "Conv1D" else (3, column)
            module.weight[entry] = 1e-6


@pytest.mark.parametrize("shard", ["5GB", "20KB"])
@pytest.mark.parametrize("family", ["gpt2", "llama", "gemma2", "starcoder2", "mixtral", "gpt_oss"])
@pytest.mark.parametrize("site", SITES)
def test_survivors_finds_a_regrown_neuron_in_memory_and_in_the_saved_folder(family, site, shard, tmp_path):
    model = tiny_model(family)
    shapes = map_model(model).shapes
    mask = random_mask(shapes, 0.4, 8)
    bake(model, mask)
    cut = mask.neurons()
    neuron = tuple(cut[(cut.site == site) & (cut.layer == 2)].iloc[0])
    regrow(model, neuron)
    assert survivors(model, mask) == [neuron]
    model.save_pretrained(tmp_path, max_shard_size=shard)
    assert (tmp_path / "model.safetensors.index.json").exists() == (shard == "20KB")
    assert survivors(tmp_path, mask) == [neuron]


def test_survivors_counts_a_weight_that_is_not_a_number():
    model = tiny_model("gpt2")
    mask = Mask.from_neurons({"mlp": (LAYERS, 48)}, [("mlp", 0, 3)])
    bake(model, mask)
    with torch.no_grad():
        model.transformer.h[0].mlp.c_proj.weight[3, 0] = float("nan")
    assert survivors(model, mask) == [("mlp", 0, 3)]


def test_survivors_reads_a_file_whose_names_lack_the_body_s_prefix(tmp_path):
    model = tiny_model("gpt2")
    mask = random_mask(map_model(model).shapes, 0.2, 0)
    bake(model, mask)
    regrow(model, neuron := tuple(mask.neurons().iloc[0]))
    model.save_pretrained(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    save_file(
        {name.removeprefix("transformer."): value for name, value in weights.items()}, tmp_path / "model.safetensors"
    )
    assert survivors(tmp_path, mask) == [neuron]


def test_a_folder_that_cannot_be_read_says_what_is_missing(tmp_path):
    folder = save_tiny("gpt2", tmp_path / "model")
    mask = Mask.from_neurons({"mlp": (LAYERS, 48)}, [("mlp", 0, 3)])
    weights = load_file(folder / "model.safetensors")
    save_file({n: v for n, v in weights.items() if "h.0.mlp.c_proj" not in n}, folder / "model.safetensors")
    with pytest.raises(InputError, match=r"no tensor transformer\.h\.0\.mlp\.c_proj\.weight"):
        survivors(folder, mask)
    config = json.loads((folder / "config.json").read_text())
    save_file(weights, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config | {"n_inner": 64}))
    with pytest.raises(InputError, match="belongs to another model"):
        survivors(folder, mask)
    (folder / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(InputError, match="cannot be read"):
        survivors(folder, mask)
    (folder / "model.safetensors").unlink()
    with pytest.raises(InputError, match=r"expected model\.safetensors"):
        survivors(folder, mask)
    with pytest.raises(InputError, match=r"no config\.json"):
        survivors(tmp_path, mask)
