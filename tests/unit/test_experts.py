"""Mixture of experts: every expert's neurons are read, multiplied, cut and named, and nothing else changes."""

import copy
import threading
from dataclasses import replace

import gguf
import numpy as np
import pandas as pd
import pytest
import torch

from tests.experts_by_hand import MIXTURES, array, neurons_by_hand, shared_expert
from tests.tiny_input import ITEMS, tiny_input
from tests.tiny_models import LAYERS, save_tiny, tiny, tiny_model
from unlearning_core.activations.collect import collect
from unlearning_core.activations.hooks import listening
from unlearning_core.edits.hooks import applied, multiplied
from unlearning_core.edits.mask import Mask
from unlearning_core.edits.weights import bake
from unlearning_core.errors import InputError
from unlearning_core.figures.heatmap import PAYLOAD, heatmap
from unlearning_core.figures.neuron_cells import NeuronScores, enlarged, overview, stretch_of
from unlearning_core.models.experts import ExpertLayout, experts_read
from unlearning_core.models.inspection import inspect_model
from unlearning_core.models.loading import load_model
from unlearning_core.models.mapping import map_model
from unlearning_core.neurons.agreement import Agreement
from unlearning_core.neurons.lens import token_logits
from unlearning_core.neurons.neuron import Neuron, neuron_name
from unlearning_core.neurons.reading import read_neuron
from unlearning_core.rankers.ranking import rank
from unlearning_core.rankers.registry import RANKERS
from unlearning_core.runs.cuts import numbering

IDS = torch.tensor([[5, 9, 2, 77, 31, 8, 250], [11, 3, 3, 98, 301, 40, 1]])


def logits(model, ids=IDS):
    with torch.no_grad():
        return model(ids).logits


def mlp_outputs(model):
    """What the MLP of every layer writes."""
    seen = []
    handles = [
        layer.mlp.register_forward_hook(
            lambda module, args, output: seen.append(output[0] if isinstance(output, tuple) else output)
        )
        for layer in model.model.layers
    ]
    logits(model)
    for handle in handles:
        handle.remove()
    return torch.stack(seen)


@pytest.mark.parametrize("family", MIXTURES)
def test_an_opened_model_gives_the_logits_it_gave_read_or_not(family):
    model = tiny_model(family)
    names, base = set(model.state_dict()), logits(model)
    map_model(model)
    assert set(model.state_dict()) == names
    assert torch.equal(logits(model), base)
    with experts_read():
        torch.testing.assert_close(logits(model), base, rtol=1e-6, atol=2e-6)
    for implementation in ("eager", "batched_mm"):
        model.set_experts_implementation(implementation)
        torch.testing.assert_close(logits(model), base, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("family", ["mixtral", "qwen2_moe"])
def test_half_precision_runs_with_experts_of_a_width_that_grouped_products_refuse(family):
    model, eager = tiny_model(family).to(torch.bfloat16), tiny_model(family).to(torch.bfloat16)
    with pytest.raises(RuntimeError, match="16 bytes"):
        logits(model)
    map_model(model)
    eager.set_experts_implementation("eager")
    torch.testing.assert_close(logits(model), logits(eager), rtol=2e-2, atol=2e-2)


@pytest.mark.parametrize("family", MIXTURES)
def test_neurons_hold_what_the_weights_say_with_zeros_where_no_token_was_sent(family):
    loaded = tiny(family)
    found = {}
    ids = IDS[0].tolist()
    with listening(loaded.map, "mlp", lambda layer, values: found.update({layer: values})):
        logits(loaded.model, IDS)
    expected = neurons_by_hand(loaded.model, ids)
    assert list(found) == list(range(LAYERS))
    for layer, values in found.items():
        assert values.shape == (2, 7, loaded.map.shapes["mlp"][1])
        np.testing.assert_allclose(array(values[0]), expected[:, layer], rtol=1e-4, atol=1e-5)
    layout = loaded.map.experts
    routed = expected[..., : layout.count * layout.width].reshape(7, LAYERS, layout.count, layout.width)
    assert ((routed != 0).any(-1).sum(-1) == 2).all()


@pytest.mark.parametrize("family", MIXTURES)
def test_with_all_its_neurons_cut_the_mlp_writes_nothing_but_its_experts_biases(family):
    model, baked = tiny_model(family), tiny_model(family)
    mask = Mask({"mlp": np.zeros(map_model(model).shapes["mlp"], bool)})
    bake(baked, mask)
    if family == "gpt_oss":
        with torch.no_grad():
            for one in (model, baked):
                for layer in one.model.layers:
                    layer.mlp.experts.down_proj_bias.zero_()
    assert mlp_outputs(model).abs().max() > 0.1
    with applied(model, mask):
        assert not mlp_outputs(model).any()
    assert not mlp_outputs(baked).any()


@pytest.mark.parametrize("family", ["mixtral", "gpt_oss", "qwen2_moe", "glm4_moe"])
def test_one_neuron_of_one_expert_is_one_column_of_its_down_projection(family):
    model, edited = tiny_model(family), tiny_model(family)
    mapped = map_model(model)
    layout = mapped.experts
    places = [(1, 3, 7)] + ([(2, layout.count, 5)] if layout.shared else [])
    neurons = [("mlp", layer, expert * layout.width + i) for layer, expert, i in places]
    with torch.no_grad():
        for layer, expert, i in places:
            mlp = edited.model.layers[layer].mlp
            if expert == layout.count:
                shared_expert(mlp).down_proj.weight[:, i] = 0
            else:
                weight = mlp.experts.down_proj[expert]
                (weight if family == "gpt_oss" else weight.T)[i] = 0
    baked = tiny_model(family)
    bake(baked, Mask.from_neurons(mapped.shapes, neurons))
    for name, value in edited.state_dict().items():
        assert torch.equal(baked.state_dict()[name], value), name


@pytest.mark.parametrize("family", ["qwen2_moe", "glm4_moe"])
def test_each_text_has_its_own_factors_and_gradients_flow_to_them(family):
    loaded = tiny(family)
    _, width = loaded.map.shapes["mlp"]
    factors = torch.rand(2, 1, width, generator=torch.Generator().manual_seed(0)).requires_grad_()
    with multiplied(loaded.map, {("mlp", 1): factors}):
        both = loaded.model(IDS).logits
    (slopes,) = torch.autograd.grad(both.square().sum(), factors)
    for text in range(2):
        own = factors[text, 0].detach().clone().requires_grad_()
        with multiplied(loaded.map, {("mlp", 1): own}):
            alone = loaded.model(IDS[text : text + 1]).logits
        torch.testing.assert_close(both[text], alone[0], rtol=1e-4, atol=1e-5)
        (slope,) = torch.autograd.grad(alone.square().sum(), own)
        torch.testing.assert_close(slopes[text, 0], slope, rtol=1e-3, atol=1e-4)
        assert slope.count_nonzero() > width // 4


def test_a_copy_of_an_opened_model_reads_its_own_weights():
    model = tiny_model("mixtral")
    mapped = map_model(model)
    copied = copy.deepcopy(model)
    with torch.no_grad():
        for layer in copied.model.layers:
            layer.mlp.experts.down_proj.zero_()
    assert mlp_outputs(model).any()
    with experts_read():
        assert not mlp_outputs(copied).any()
        assert mlp_outputs(model).any()
    assert map_model(copied).readers("mlp", 0)[0] is not mapped.readers("mlp", 0)[0]


def test_only_the_context_that_reads_takes_the_other_way():
    loaded = tiny("mixtral")
    heard, here = [], []
    with listening(loaded.map, "mlp", lambda layer, values: heard.append(threading.current_thread().name)):
        thread = threading.Thread(target=lambda: here.append(logits(loaded.model)))
        thread.start()
        thread.join()
        assert heard == []
        logits(loaded.model)
    assert len(heard) == LAYERS
    assert torch.equal(here[0], logits(loaded.model))


@pytest.mark.parametrize("family", ["mixtral", "qwen2_moe", "gpt_oss"])
def test_the_outgoing_norm_and_the_lens_are_of_the_experts_columns(family):
    loaded = tiny(family)
    layout, mlp = loaded.map.experts, loaded.model.model.layers[1].mlp
    down = array(mlp.experts.down_proj)
    columns = down.reshape(-1, 32) if family == "gpt_oss" else down.swapaxes(1, 2).reshape(-1, 32)
    if layout.shared:
        columns = np.concatenate([columns, array(mlp.shared_expert.down_proj.weight).T])
    np.testing.assert_allclose(loaded.map.outgoing_norm("mlp")[1], np.linalg.norm(columns, axis=1), rtol=1e-6)
    head = array(loaded.model.lm_head.weight) * array(loaded.model.model.norm.weight)
    for index in (2 * layout.width + 5, len(columns) - 1):
        np.testing.assert_allclose(
            token_logits(loaded, Neuron("mlp", 1, index)), head @ columns[index], rtol=1e-4, atol=1e-5
        )


def test_one_neuron_is_read_as_the_whole_layer_is():
    of = tiny_input("qwen2_moe")
    for index in (17, 50):
        traces = read_neuron(of.loaded, of.items, Neuron("mlp", 1, index))
        for trace in traces[:2]:
            expected = neurons_by_hand(of.loaded.model, trace.encoded.input_ids.tolist())[:, 1, index]
            np.testing.assert_allclose(trace.values, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("family", "settings"),
    [
        ("qwen3_moe", {"mlp_only_layers": [1], "intermediate_size": 48}),
        ("qwen2_moe", {"decoder_sparse_step": 2}),
        ("deepseek_v3", {"first_k_dense_replace": 1}),
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_layers_without_experts_leave_heads_and_residual_alone(family, settings, dtype):
    mapped = map_model(tiny_model(family, **settings).to(dtype))
    assert set(mapped.shapes) == {"head", "residual"}
    with pytest.raises(InputError, match="mixture of experts in which not every layer has experts"):
        mapped.require("mlp")


_LOCAL = {"num_local_experts": 4, "num_experts_per_tok": 2, "intermediate_size": 12}
_ROUTED = {"n_routed_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 12, "first_k_dense_replace": 0}


@pytest.mark.parametrize(
    ("family", "settings", "shared"),
    [
        ("granitemoe", _LOCAL, 0),
        ("granitemoeshared", {**_LOCAL, "shared_intermediate_size": 16}, 16),
        ("minimax_m2", {**_LOCAL, "head_dim": 8}, 0),
        ("dots1", {**_ROUTED, "n_shared_experts": 2, "n_group": 1, "topk_group": 1}, 24),
    ],
)
def test_an_unlisted_family_with_experts_of_the_known_form_is_recognised(family, settings, shared):
    mapped = map_model(tiny_model(family, **settings))
    assert set(mapped.shapes) == {"mlp", "head", "residual"}
    assert mapped.experts == ExpertLayout(4, 12, shared)


@pytest.mark.parametrize("family", ["llama4_text", "jetmoe"])
def test_experts_of_another_form_are_refused_by_that_word(family):
    model = tiny_model(family, num_local_experts=4, num_experts_per_tok=2)
    with pytest.raises(InputError, match="is a mixture of experts, and its experts are not kept"):
        map_model(model)


def test_what_is_told_before_loading_counts_the_experts(tmp_path):
    folder = save_tiny("qwen2_moe", tmp_path / "model")
    loaded = load_model(str(folder), device="cpu")
    assert inspect_model(str(folder), device="cpu").experts == {"count": 4, "width": 12, "shared": 16}
    assert loaded.info.experts == {"count": 4, "width": 12, "shared": 16}
    assert inspect_model(str(save_tiny("llama", tmp_path / "plain")), device="cpu").experts is None


@pytest.mark.parametrize(("fields", "width"), [({}, 4 * 48), ({"each": 12, "shared": 16}, 4 * 12 + 16)])
def test_the_header_of_a_gguf_file_counts_every_experts_neurons(tmp_path, fields, width):
    writer = gguf.GGUFWriter(tmp_path / "m.gguf", "qwen2moe")
    for add, value in (
        (writer.add_block_count, 2),
        (writer.add_embedding_length, 32),
        (writer.add_feed_forward_length, 48),
        (writer.add_head_count, 4),
        (writer.add_context_length, 64),
        (writer.add_layer_norm_rms_eps, 1e-5),
        (writer.add_expert_count, 4),
        (writer.add_expert_feed_forward_length, fields.get("each")),
        (writer.add_expert_shared_feed_forward_length, fields.get("shared")),
    ):
        if value is not None:
            add(value)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(["a", "b"])
    writer.add_token_merges(["a b"])
    for name in ("token_embd", "output_norm", "blk.0.attn_norm", "blk.1.attn_norm"):
        writer.add_tensor(f"{name}.weight", np.zeros((400, 32), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    assert inspect_model(str(tmp_path / "m.gguf"), device="cpu").shapes["mlp"] == (2, width)


QUICK = {
    "ablation": {"candidates": 6},
    "gates": {"steps": 3, "candidates": 20},
    "combined": {"rounds": 1, "most": 5, "tests": 1},
    "linear_probe": {"num_epochs": 1},
}


@pytest.fixture(scope="module")
def ranked_input():
    of = tiny_input("qwen2_moe")
    return replace(of, activations=collect(of.loaded, ITEMS, rows=200))


@pytest.mark.parametrize("ranker", RANKERS)
def test_every_ranker_ranks_the_neurons_of_all_experts_and_names_them(ranker, ranked_input):
    of = ranked_input
    ranking = rank(of, ranker, QUICK.get(ranker, {}))
    assert len(ranking) == LAYERS * 64
    assert np.isfinite(ranking["score"]).all()
    for row in ranking.itertuples():
        expert = "shared" if row.index >= 48 else str(row.index // 12)
        assert (row.expert, row.neuron) == (expert, row.index - 48 if row.index >= 48 else row.index % 12)
    assert neuron_name(Neuron("mlp", 2, 29), ranking) == "layer 2, expert 2, neuron 5"
    assert neuron_name(Neuron("mlp", 0, 50), ranking) == "layer 0, shared expert, neuron 2"
    assert numbering(ranking) == {"experts": {"count": 4, "width": 12, "shared": 16}}
    other = Agreement.of(ranking, rank(of, "random")).neurons
    assert other.loc[other["index"] == 29, ["expert", "neuron"]].drop_duplicates().values.tolist() == [["2", 5]]


def test_a_ranking_of_heads_or_of_a_plain_model_names_no_expert(tmp_path):
    assert "expert" not in rank(tiny_input("qwen2_moe", "head"), "random")
    plain = rank(tiny_input("llama"), "random")
    assert "expert" not in plain
    assert numbering(plain) == {}
    assert neuron_name(Neuron("mlp", 1, 3), plain) == "layer 1, neuron 3"


def test_the_names_outlive_the_file_of_a_ranking(tmp_path):
    ranking = rank(tiny_input("mixtral"), "random")
    ranking.to_parquet(tmp_path / "r.parquet", index=False)
    again = pd.read_parquet(tmp_path / "r.parquet")
    assert again["expert"].astype(str).tolist() == ranking["expert"].astype(str).tolist()
    assert again.to_csv(index=False) == ranking.to_csv(index=False)


def wide(experts: int, width: int, layers: int, shared: int = 0) -> pd.DataFrame:
    """A ranking of a mixture of experts with random scores."""
    total = experts * width + shared
    layer, index = np.divmod(np.arange(layers * total), total)
    scores = np.random.default_rng(0).normal(size=len(index))
    ranking = pd.DataFrame({"site": "mlp", "layer": layer, "index": index, "score": scores})
    ranking["expert"], ranking["neuron"] = ExpertLayout(experts, width, shared).split(index)
    return ranking


def test_the_heatmap_names_the_expert_of_each_cells_neuron_and_stays_small():
    figure = heatmap(wide(64, 1024, 16, shared=2048), "mlp")
    assert len(figure.to_json()) < PAYLOAD
    trace = next(trace for trace in figure.data if trace.name == "score")
    assert "expert %{hovertext}" in trace.hovertemplate
    assert any(text.startswith("shared, neuron ") for text in np.array(trace.hovertext, dtype=object).ravel())


def test_the_cells_that_are_clicked_name_the_expert_of_their_neuron():
    ranking = wide(64, 1024, 16, shared=2048)
    scores = NeuronScores.of(ranking.assign(rank=np.arange(len(ranking))), "mlp", "score")
    for figure in (overview(scores), enlarged(scores, 3, stretch_of(scores, 3, 65_000))):
        assert len(figure.to_json()) < PAYLOAD
        trace = next(trace for trace in figure.data if trace.name == "neurons")
        layer, index = trace.customdata[123, :2].astype(int)
        text = trace.hovertext[123]
        name = neuron_name(Neuron("mlp", int(layer), int(index)), ranking)
        assert name == f"layer {layer}, " + ("" if "shared" in text else "expert ") + text
