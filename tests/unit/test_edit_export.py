"""An edit written from file to file is the edit that is baked in memory and saved, bit for bit."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer

from tests.tiny_models import LAYERS, save_tiny, tiny_model, tiny_tokenizer
from unlearning_core.edits.export import export_edit
from unlearning_core.edits.mask import Mask
from unlearning_core.edits.row_weights import make_token_rows
from unlearning_core.edits.weights import bake, survivors
from unlearning_core.errors import InputError
from unlearning_core.models.loading import ZEROED, load_model
from unlearning_core.models.mapping import map_model

FAMILIES = ["gpt2", "llama", "qwen2", "gemma2", "gpt_neox", "mixtral", "qwen2_moe", "gpt_oss"]


def numbers(folder):
    files = sorted(folder.glob("*.safetensors"))
    return {name: tensor for file in files for name, tensor in load_file(file).items()}


def mask_of(model, share=0.3):
    rng = np.random.default_rng(5)
    return Mask({site: rng.random(shape) >= share for site, shape in map_model(model).shapes.items()})


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("family", FAMILIES)
def test_it_is_the_edit_made_in_memory_bit_for_bit(family, dtype, tmp_path):
    check_export(tiny_model(family).to(dtype), tmp_path)


def test_a_mixture_of_one_expert_is_one_too(tmp_path):
    check_export(tiny_model("mixtral", num_local_experts=1, num_experts_per_tok=1), tmp_path)


def check_export(model, tmp_path):
    model.save_pretrained(tmp_path / "base", max_shard_size="20KB")
    mask, rows = mask_of(model), make_token_rows(model, [7, 30], [3, 4], 0.5)
    export_edit(tmp_path / "base", tmp_path / "ours", mask, rows, most_bytes=30_000)
    bake(model, mask, rows=rows)
    model.save_pretrained(tmp_path / "theirs")
    ours, theirs = numbers(tmp_path / "ours"), numbers(tmp_path / "theirs")
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if not torch.equal(ours[name], theirs[name])] == []
    assert {tensor.dtype for tensor in ours.values()} == {tensor.dtype for tensor in theirs.values()}
    assert survivors(tmp_path / "ours", mask) == []


def test_its_files_stay_within_the_size_and_stock_transformers_loads_them(tmp_path):
    from transformers import AutoModelForCausalLM

    model = tiny_model("llama")
    model.save_pretrained(tmp_path / "base")
    mask = mask_of(model)
    export_edit(tmp_path / "base", tmp_path / "ours", mask, most_bytes=30_000)
    index = json.loads((tmp_path / "ours" / "model.safetensors.index.json").read_text())
    files = sorted(path.name for path in (tmp_path / "ours").glob("*.safetensors"))
    assert len(files) > 1
    assert sorted(set(index["weight_map"].values())) == files
    for file in files:
        held = load_file(tmp_path / "ours" / file)
        sizes = [tensor.numel() * tensor.element_size() for tensor in held.values()]
        assert sum(sizes) <= 30_000 or len(sizes) == 1
    ids = torch.arange(12)[None]
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "ours")
    bake(model, mask)
    with torch.no_grad():
        assert torch.equal(loaded(ids).logits, model(ids).logits)


def test_a_copy_of_tied_rows_is_moved_too(tmp_path):
    model = tiny_model("qwen2")
    model.save_pretrained(tmp_path / "base")
    held = load_file(tmp_path / "base" / "model.safetensors")
    save_file(
        held | {"lm_head.weight": held["model.embed_tokens.weight"].clone()}, tmp_path / "base" / "model.safetensors"
    )
    export_edit(tmp_path / "base", tmp_path / "ours", None, make_token_rows(model, [5], [9], 1.0))
    found = numbers(tmp_path / "ours")
    for name in ("lm_head.weight", "model.embed_tokens.weight"):
        assert torch.equal(found[name][5], model.model.embed_tokens.weight[9])


def test_a_matrix_of_zeros_is_said_so_and_the_folder_loads_again(tmp_path):
    save_tiny("llama", tmp_path / "base")
    kept = np.ones((LAYERS, 48), bool)
    kept[1] = False
    export_edit(tmp_path / "base", tmp_path / "ours", Mask({"mlp": kept}))
    assert json.loads((tmp_path / "ours" / "config.json").read_text())[ZEROED] is True
    weight = load_model(str(tmp_path / "ours"), device="cpu").map.parts("mlp", 1)[0].weight
    assert not weight.any()


def test_a_tokenizer_keeps_all_its_chat_templates(tmp_path):
    save_tiny("llama", tmp_path / "base")
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = {"default": "{{ messages }}", "tool_use": "{{ tools }}{{ messages }}"}
    tokenizer.save_pretrained(tmp_path / "base")
    export_edit(tmp_path / "base", tmp_path / "ours", None)
    assert AutoTokenizer.from_pretrained(tmp_path / "ours").chat_template == tokenizer.chat_template


def test_a_mask_of_another_model_writes_nothing(tmp_path):
    save_tiny("llama", tmp_path / "base")
    with pytest.raises(InputError, match="belongs to another model"):
        export_edit(tmp_path / "base", tmp_path / "ours", Mask({"mlp": np.zeros((LAYERS, 8), bool)}))
    assert not (tmp_path / "ours").exists()
