"""A site is offered only where cutting all of it silences its branch: measured, whatever the modules are called."""

import pytest
import torch
from torch import nn
from transformers.models.llama.modeling_llama import LlamaMLP

from tests.tiny_models import FAMILIES, tiny_model
from unlearning_core.errors import InputError
from unlearning_core.models.mapping import map_model

ALL = {"mlp", "head", "residual"}


class Beside(nn.Module):
    """Runs a second module on what the first reads, and adds what it writes."""

    def __init__(self, first, second):
        super().__init__()
        self.first, self.second = first, second

    def __getattr__(self, name):
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(self._modules["first"], name)

    def get_submodule(self, target):
        return self.first.get_submodule(target) if target else self

    def forward(self, x, *args, **kwargs):
        return self.first(x, *args, **kwargs) + self.second(x)


class Around(nn.Module):
    """A block whose output something else is done to; everything else is the block's."""

    def __init__(self, block, change):
        super().__init__()
        self.block, self.change = block, change

    def __getattr__(self, name):
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(self._modules["block"], name)

    def get_submodule(self, target):
        return self.block.get_submodule(target) if target else self

    def forward(self, hidden_states, **kwargs):
        return self.change(hidden_states, self.block(hidden_states, **kwargs))


def llama(layer_of=None, **settings):
    """A llama, and one of its layers replaced by what `layer_of` makes of it."""
    torch.manual_seed(3)
    model = tiny_model("llama", **settings)
    if layer_of is not None:
        model.model.layers[1] = layer_of(model.model.layers[1])
    return model


def linear(inputs=32, outputs=32, scale=1.0, **settings):
    made = nn.Linear(inputs, outputs, **settings)
    with torch.no_grad():
        made.weight.normal_(std=scale / inputs**0.5)
    return made


def beside_the_mlp(second):
    def change(block):
        block.mlp = Beside(block.mlp, second)
        return block

    return change


class Adapter(nn.Module):
    """A bottleneck after a block, as adapters put one."""

    def __init__(self, scale=1.0):
        super().__init__()
        self.down, self.up = linear(32, 4, scale), linear(4, 32, scale)

    def forward(self, read, written):
        return written + self.up(torch.relu(self.down(written)))


@pytest.mark.parametrize("family", FAMILIES)
def test_every_listed_family_passes(family):
    assert map_model(tiny_model(family)).missing == {}


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma2", "falcon", "qwen2_moe", "gpt_oss", "phimoe"])
def test_rounding_in_half_precision_is_no_branch(family, dtype):
    assert map_model(tiny_model(family).to(dtype)).missing == {}


@pytest.mark.parametrize(
    "layer_of",
    [
        beside_the_mlp(linear()),
        beside_the_mlp(linear(scale=0.02)),
        beside_the_mlp(nn.Sequential(linear(32, 12), nn.SiLU(), linear(12, 32))),
        lambda block: Around(block, Adapter()),
        lambda block: Around(block, Adapter(scale=0.2)),
    ],
    ids=["parallel expert", "small expert", "second MLP", "adapter", "small adapter"],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_branch_beside_the_mlp_is_found(layer_of, dtype):
    mapped = map_model(llama(layer_of).to(dtype))
    assert "mlp" not in mapped.shapes
    assert "head" in mapped.shapes
    with pytest.raises(InputError, match=r"'mlp' cannot be used .* layer 1 still writes something .* not known\."):
        mapped.require("mlp")


def test_experts_beside_a_shared_one_are_found_where_only_that_is_mapped(monkeypatch):
    """The map of Qwen2-MoE as it once was: the shared expert alone."""
    from dataclasses import replace

    from unlearning_core.models import mapping

    row = mapping.TABLE["qwen2_moe"]
    only_shared = replace(row, mlp_out=row.shared_out, shared_out="")
    monkeypatch.setitem(mapping.TABLE, "qwen2_moe", only_shared)
    mapped = map_model(tiny_model("qwen2_moe"))
    assert set(mapped.shapes) == {"head", "residual"}
    assert "experts of a mixture of experts" in mapped.missing["mlp"]


def test_a_second_attention_is_found():
    def change(block):
        def mixed(read, written):
            return written + read.cumsum(1) / torch.arange(1, read.shape[1] + 1)[:, None]

        return Around(block, mixed)

    mapped = map_model(llama(change))
    assert set(mapped.shapes) == {"residual"} or not mapped.shapes
    assert "layer 1 still carries something from token to token" in mapped.missing["head"]
    assert "mlp" in mapped.missing


def test_a_hidden_state_that_is_read_past_the_norms_is_found():
    def change(block):
        block.mlp = Beside(block.mlp, nn.Identity())
        second = block.mlp

        def read_raw(hidden_states, **kwargs):
            written = type(block).forward(block, hidden_states, **kwargs)
            return written + 0.1 * second.first.down_proj(second.first.up_proj(hidden_states))

        block.mlp = second.first
        block.forward = read_raw
        return block

    mapped = map_model(llama(change))
    assert "layer 1 still writes something that depends on the hidden state" in mapped.missing["residual"]
    assert "residual" not in mapped.shapes
    assert {"mlp", "head"} <= set(mapped.shapes)


@pytest.mark.parametrize(
    "change",
    [
        lambda read, written: 0.5 * written,
        lambda read, written: torch.linspace(0.5, 2.0, 32) * written + 1.0,
        lambda read, written: nn.functional.layer_norm(written, (32,)),
        lambda read, written: read + 0.2 * (written - read),
        lambda read, written: read + torch.sigmoid(read[..., :1]) * (written - read),
    ],
    ids=["layer scalar", "scaled stream", "post-norm", "residual multiplier", "gated branch"],
)
def test_what_a_block_does_to_the_stream_itself_is_no_branch(change):
    mapped = map_model(llama(lambda block: Around(block, change)))
    assert {"mlp", "head"} <= set(mapped.shapes)


def test_biases_of_projections_and_experts_are_no_branch():
    assert map_model(llama(attention_bias=True, mlp_bias=True)).missing == {}
    model = tiny_model("gpt_oss")
    assert model.model.layers[0].mlp.experts.down_proj_bias.abs().max() > 0.5
    assert map_model(model).missing == {}


def test_measuring_leaves_no_hook_and_no_changed_weight_and_is_repeatable():
    model = tiny_model("qwen2_moe")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert map_model(model).shapes == map_model(model).shapes
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert not any(parameter.grad is not None for parameter in model.parameters())


def test_weights_that_are_no_numbers_are_left_to_those_who_look_for_them():
    model = tiny_model("llama")
    with torch.no_grad():
        model.model.layers[1].mlp.down_proj.weight[3, 5] = float("nan")
    assert set(map_model(model).shapes) == ALL


def test_sizes_that_do_not_fit_together_are_one_sentence():
    model = tiny_model("llama")
    model.model.layers[2].self_attn.o_proj = nn.Linear(16, 32)
    with pytest.raises(InputError, match=r"LlamaForCausalLM cannot read a few tokens \(mat1 and mat2"):
        map_model(model)


def test_two_mlps_in_a_layer_are_found():
    model = tiny_model("llama")

    class Two(type(model.model.layers[0])):
        def forward(self, hidden_states, **kwargs):
            hidden_states = super().forward(hidden_states, **kwargs)
            return hidden_states + self.second(self.post_attention_layernorm(hidden_states))

    block = model.model.layers[2]
    block.__class__ = Two
    block.second = LlamaMLP(model.config)
    mapped = map_model(model)
    assert set(mapped.shapes) == {"head", "residual"}
    assert "layer 2" in mapped.missing["mlp"]


def test_what_is_offered_does_not_depend_on_dropout_and_training_goes_on():
    model = tiny_model("gpt2", resid_pdrop=0.5, attn_pdrop=0.5, embd_pdrop=0.5).train()
    model.lm_head.eval()
    assert set(map_model(model).shapes) == ALL
    assert {name for name, module in model.named_modules() if not module.training} == {"lm_head"}
