"""The map of a model points at the modules that really read its neurons, for listed and for unlisted families."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from transformers import GPT2Config, GPT2Model
from transformers.integrations.bitnet import AutoBitLinear

from tests.tiny_models import FAMILIES, LAYERS, VOCABULARY, tiny_model
from unlearning_core.errors import InputError
from unlearning_core.models.architectures import TABLE, family_table
from unlearning_core.models.experts import experts_read
from unlearning_core.models.mapping import SITES, map_model
from unlearning_core.models.probing import probe

UNLISTED = ("starcoder2", "stablelm", "cohere", "granite", "nemotron", "gpt_bigcode")
IDS = torch.tensor([[5, 9, 2, 77, 31, 8, 250], [11, 3, 3, 98, 301, 40, 1]])


def inputs_of(model, modules):
    """What each module reads in one forward pass, and the pass's output with all hidden states."""
    seen = {}
    handles = [module.register_forward_pre_hook(lambda m, args: seen.update({m: args[0]})) for module in modules]
    with torch.no_grad(), experts_read():
        output = model(IDS, output_hidden_states=True)
    for handle in handles:
        handle.remove()
    return seen, output


def test_the_printed_table_says_which_modules_and_sites_a_model_of_each_family_has():
    assert [row["family"] for row in family_table()] == list(TABLE)
    for row in family_table():
        model = tiny_model(row["family"])
        blocks = [
            module for module in model.modules() if isinstance(module, torch.nn.ModuleList) and len(module) == LAYERS
        ]
        names = {name for name, _ in blocks[0][0].named_modules()}
        assert {*row["MLP"].split(", "), row["attention"]} <= names
        assert model.get_submodule(row["norms"].split(", ")[-1])
        assert row["sites"].split(", ") == list(map_model(model).shapes)


def test_the_table_and_the_tiny_models_cover_the_same_families():
    assert set(FAMILIES) == set(TABLE)


@pytest.mark.parametrize("family", FAMILIES)
def test_shapes_are_those_of_the_configuration(family):
    model = tiny_model(family)
    shapes = map_model(model).shapes
    shared = {"qwen2_moe": 16, "deepseek_v2": 12, "deepseek_v3": 12, "glm4_moe": 12}
    width = {"bloom": 4 * 32}.get(family, 48 + shared.get(family, 0))
    assert shapes == {"mlp": (LAYERS, width), "head": (LAYERS, 4), "residual": (LAYERS + 1, 32)}


@pytest.mark.parametrize("family", [*FAMILIES, *UNLISTED])
def test_readers_read_what_the_site_says(family):
    model = tiny_model(family)
    mapped = map_model(model)
    readers = {(s, layer): mapped.readers(s, layer) for s in SITES for layer in range(mapped.shapes[s][0])}
    seen, output = inputs_of(model, [module for modules in readers.values() for module in modules])
    for (site, layer), modules in readers.items():
        assert modules
        assert all(module in seen for module in modules)
        if site == "mlp" and mapped.experts is None:
            assert seen[modules[0]].shape[-1] == mapped.shapes["mlp"][1]
        if site == "head":
            assert seen[modules[0]].shape[-1] == 4 * mapped.head_dim
        if site == "residual" and layer < LAYERS:
            # The library's own hidden state `layer` is what the first norm of block `layer` reads.
            torch.testing.assert_close(seen[modules[0]], output.hidden_states[layer])


@pytest.mark.parametrize("family", FAMILIES)
def test_probing_recognises_every_listed_family_as_its_row_says(family):
    model = tiny_model(family)
    row, found = TABLE[family], probe(model, model.config)
    assert (found.blocks, found.mlp_out, found.attn_out) == (row.blocks, row.mlp_out, row.attn_out)
    assert found.shared_out == row.shared_out
    assert (found.final_norm, found.gain_offset) == (row.final_norm, row.gain_offset)
    # A row may list norms that only some variants of the family have.
    assert found.norms == tuple(name for name in row.norms if hasattr(map_model(model).blocks[0], name))


@pytest.mark.parametrize("settings", [{"parallel_attn": False}, {"new_decoder_architecture": True, "num_kv_heads": 2}])
def test_variants_of_falcon_keep_their_norms(settings):
    model = tiny_model("falcon", **settings)
    assert len(map_model(model).readers("residual", 0)) == len(probe(model, model.config).norms) == 2


@pytest.mark.parametrize("family", [*FAMILIES, *UNLISTED])
def test_a_model_without_weights_has_the_same_shapes(family):
    model = tiny_model(family)
    with torch.device("meta"):
        empty = type(model)(model.config)
    assert map_model(empty).shapes == map_model(model).shapes


def test_the_gain_offset_of_an_unlisted_family_is_measured():
    assert map_model(tiny_model("nemotron")).gain_offset == 1.0
    assert map_model(tiny_model("starcoder2")).gain_offset == 0.0


@pytest.mark.parametrize("family", ["olmo", "olmo2"])
def test_without_a_gain_or_a_pre_norm_there_is_no_residual_site(family):
    mapped = map_model(tiny_model(family))
    assert set(mapped.shapes) == {"mlp", "head"}
    with pytest.raises(InputError, match=r"'residual' cannot be used .* norm"):
        mapped.require("residual")


@pytest.mark.parametrize("family", ["jetmoe", "mamba"])
def test_a_family_that_is_not_recognised_names_the_row_to_add(family):
    model = tiny_model(family)
    with pytest.raises(InputError, match=rf'Architecture\("{family}", blocks='):
        map_model(model)


@pytest.mark.parametrize(
    ("family", "settings", "site", "why"),
    [
        ("opt", {"do_layer_norm_before": False}, "residual", "do_layer_norm_before is false"),
        ("bloom", {"apply_residual_connection_post_layernorm": True}, "residual", "passes through the norms"),
        ("bloom", {"pretraining_tp": 2, "slow_but_exact": True}, "mlp", "slow_but_exact"),
        ("bloom", {"pretraining_tp": 2, "slow_but_exact": True}, "head", "slow_but_exact"),
        ("opt", {"layer_norm_elementwise_affine": False}, "residual", "no gain"),
    ],
)
def test_a_variant_without_an_exact_weight_form_refuses_the_site(family, settings, site, why):
    mapped = map_model(tiny_model(family, **settings))
    assert site not in mapped.shapes
    with pytest.raises(InputError, match=why):
        mapped.readers(site, 0)


def test_bloom_with_tensor_parallel_pretraining_alone_calls_its_projection():
    assert set(map_model(tiny_model("bloom", pretraining_tp=2)).shapes) == set(SITES)


@pytest.mark.slow
def test_a_quantising_projection_refuses_its_site():
    model = tiny_model("bitnet")
    for layer in model.model.layers:
        layer.mlp.down_proj = AutoBitLinear(48, 32, bias=False)
    mapped = map_model(model)
    assert set(mapped.shapes) == {"head", "residual"}
    with pytest.raises(InputError, match="AutoBitLinear is quantised"):
        mapped.require("mlp")


def test_a_model_without_its_head_is_refused():
    with pytest.raises(InputError, match="GPT2Model is not laid out"):
        map_model(GPT2Model(GPT2Config(n_layer=2, n_embd=32, n_head=4, vocab_size=VOCABULARY)))


def test_an_unknown_site_or_layer_is_named():
    mapped = map_model(tiny_model("gpt2"))
    with pytest.raises(InputError, match="'neuron' is not known"):
        mapped.require("neuron")
    with pytest.raises(InputError, match="Layer 3 is outside 0 to 2"):
        mapped.readers("mlp", 3)


@pytest.mark.parametrize(("family", "transposed"), [("gpt2", True), ("mistral", False)])
def test_outgoing_norm_is_the_norm_of_what_leaves_a_neuron(family, transposed):
    model = tiny_model(family)
    mapped = map_model(model)
    for layer in range(LAYERS):
        for site in ("mlp", "head"):
            weight = mapped.readers(site, layer)[0].weight.detach().double().numpy()
            columns = weight if transposed else weight.T
            blocks = columns.reshape(mapped.shapes[site][1], -1)
            np.testing.assert_allclose(mapped.outgoing_norm(site)[layer], np.sqrt((blocks**2).sum(axis=1)), rtol=1e-6)
    assert mapped.outgoing_norm("mlp").dtype == np.float64
    np.testing.assert_array_equal(mapped.outgoing_norm("residual"), np.ones((LAYERS + 1, 32)))


@pytest.mark.parametrize("family", FAMILIES)
def test_the_body_gives_what_the_head_reads(family):
    model = tiny_model(family)
    mapped = map_model(model)
    mask = torch.ones_like(IDS)
    with torch.no_grad():
        hidden = mapped.body(input_ids=IDS, attention_mask=mask, use_cache=False).last_hidden_state
        expected = model(IDS, attention_mask=mask, output_hidden_states=True).hidden_states[-1]
    torch.testing.assert_close(hidden, expected)


def test_grouped_queries_with_a_head_width_of_their_own():
    mapped = map_model(tiny_model("qwen3"))
    assert mapped.shapes["head"] == (LAYERS, 4)
    assert mapped.head_dim == 16


def test_probing_leaves_no_hook_and_no_changed_weight():
    model = tiny_model("nemotron")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    map_model(model)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_the_table_loads_no_torch():
    imports = "import sys, unlearning_core.models.architectures, unlearning_core.edits.recipe"
    code = f"{imports}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
