"""A map of the residual stream, written into stock weights: what it computes, which families carry it, which do not."""

import contextlib

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from tests.tiny_models import FAMILIES, LAYERS, tiny, tiny_model
from unlearning_core.activations.alignment import encode
from unlearning_core.activations.residuals import hidden_states
from unlearning_core.concepts.labelling import LabelledText
from unlearning_core.edits.residual_map import ResidualMap, bake, mapped
from unlearning_core.errors import InputError
from unlearning_core.models.mapping import map_model

EXPERTS = {
    "mixtral", "qwen2_moe", "qwen3_moe", "olmoe", "phimoe", "gpt_oss", "deepseek_v2", "deepseek_v3", "glm4_moe",
}  # fmt: skip
REFUSED = {
    **dict.fromkeys(EXPERTS, "experts write into its residual stream"),
    **dict.fromkeys(("gemma2", "gemma3_text"), "changed on its way into the residual stream"),
    "bloom": "its embedding passes a norm",
}
CARRY = [family for family in FAMILIES if family not in REFUSED]
IDS = torch.tensor([[5, 9, 2, 77, 31, 8, 250], [11, 3, 3, 98, 301, 40, 1]])


def ablation(width: int, last: int, seed: int = 0) -> ResidualMap:
    """An oblique projection of rank 1: right' left = 1."""
    drawn = torch.Generator().manual_seed(seed)
    left, right, centre = (torch.randn(width, generator=drawn) for _ in range(3))
    return ResidualMap((left / (left @ right))[:, None], right[:, None], centre, last)


def logits(model: torch.nn.Module) -> torch.Tensor:
    with torch.no_grad():
        return model(input_ids=IDS).logits


@contextlib.contextmanager
def writers_mapped(model, found, change):
    """An independent way to the same: what each writer puts into the stream is mapped where it leaves the writer."""
    handles, matrix = [], torch.eye(len(change.centre)) - change.left @ change.right.T
    offset = change.centre - matrix @ change.centre

    def output(module, args, result, add=0.0):
        return result @ matrix.T + add

    rows = model.get_input_embeddings()
    handles.append(rows.register_forward_hook(lambda m, a, r: output(m, a, r, offset)))
    for name in ("wpe", "embed_positions"):
        for path, module in model.named_modules():
            if path.split(".")[-1] == name:
                handles.append(module.register_forward_hook(output))
    for block in found.blocks[: change.last]:
        for path in (found.architecture.attn_out, found.architecture.mlp_out):
            handles.append(block.get_submodule(path).register_forward_hook(output))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@pytest.mark.parametrize("last", [0, 1, LAYERS])
@pytest.mark.parametrize("family", CARRY)
def test_baked_is_what_hooks_compute_and_what_a_saved_model_computes(family, last, tmp_path):
    model = tiny_model(family)
    found, base = map_model(model), logits(model)
    change = ablation(32, last)
    with mapped(found, change):
        by_readers = logits(model)
    with writers_mapped(model, found, change):
        by_writers = logits(model)
    assert torch.equal(logits(model), base)  # the hooks are gone
    bake(model, change, found)
    baked = logits(model)
    torch.testing.assert_close(by_readers, by_writers, atol=2e-4, rtol=1e-3)
    torch.testing.assert_close(baked, by_writers, atol=2e-4, rtol=1e-3)
    assert not torch.allclose(baked, base, atol=1e-2)
    model.save_pretrained(tmp_path)
    torch.testing.assert_close(logits(AutoModelForCausalLM.from_pretrained(tmp_path)), baked)


@pytest.mark.parametrize("family", ["llama", "gpt2", "qwen2"])
def test_the_hidden_states_of_the_baked_model_say_nothing_along_the_direction(family):
    model = tiny_model(family)
    change = ablation(32, 2)
    bake(model, change, map_model(model))
    with torch.no_grad():
        states = model(input_ids=IDS, output_hidden_states=True).hidden_states
    read = [state @ change.right[:, 0] - change.centre @ change.right[:, 0] for state in states]
    assert max(float(read[layer].abs().max()) for layer in range(3)) < 1e-3
    assert float(read[3].abs().max()) > 1e-2


def test_a_head_that_shares_the_embedding_keeps_its_rows():
    model = tiny_model("qwen2")  # tied
    before = model.get_output_embeddings().weight.detach().clone()
    assert model.get_input_embeddings().weight is model.get_output_embeddings().weight
    bake(model, ablation(32, 1), map_model(model))
    assert torch.equal(model.get_output_embeddings().weight, before)
    assert not torch.equal(model.get_input_embeddings().weight, before)
    assert model.config.tie_word_embeddings is False


@pytest.mark.parametrize("family", sorted(REFUSED))
def test_a_family_that_cannot_carry_it_is_refused_with_the_reason(family):
    model = tiny_model(family)
    with pytest.raises(InputError, match=REFUSED[family]):
        bake(model, ablation(32, 2), map_model(model))


@pytest.mark.parametrize("alignment", ["at", "before"])
def test_hidden_states_are_those_of_transformers_sorted_by_class(alignment):
    loaded = tiny("gpt2")
    items = [LabelledText("Anna sat on the old chair.", ((16, 25),), ("chair",)), LabelledText("The clock is near.")]
    expected = {False: [], True: []}
    for text in encode(loaded.tokenizer, items):
        with torch.no_grad():
            states = loaded.model(torch.from_numpy(text.input_ids)[None], output_hidden_states=True).hidden_states[2][0]
        shift = alignment == "before"
        for place in range(1 + shift, len(text)):
            expected[bool(text.concept[place])].append(states[place - shift].numpy())
    parts = list(hidden_states(loaded, items, 2, alignment))
    for kind in (False, True):
        found = np.concatenate([states.numpy()[mine == kind] for states, mine in parts])
        assert len(found) == len(expected[kind]) > 0
        np.testing.assert_allclose(
            found[np.lexsort(found.T)], np.stack(expected[kind])[np.lexsort(np.stack(expected[kind]).T)], atol=1e-4
        )
