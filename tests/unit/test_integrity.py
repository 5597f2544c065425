"""The whole and right model or a sentence: what is left over, made up, packed, doubled or lying beside."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig

from tests.tiny_models import LAYERS, save_tiny, tiny_model, tiny_tokenizer
from unlearning_core.compat import building_a_model, watching_loaded_keys
from unlearning_core.errors import InputError
from unlearning_core.models.inspection import inspect_model
from unlearning_core.models.loading import load_model
from unlearning_core.models.sources.folder import read_config
from unlearning_core.models.sources.weight_files import beside

IDS = torch.arange(12)[None]
DOWN = "model.layers.1.mlp.down_proj.weight"


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("models")
    return {family: save_tiny(family, root / family) for family in ("llama", "qwen2", "gpt2", "gpt_neox")}


@pytest.fixture
def copied(saved: dict[str, Path], tmp_path: Path) -> Callable[[str], Path]:
    return lambda family: Path(shutil.copytree(saved[family], tmp_path / family))


def refusal(folder: Path) -> str:
    with pytest.raises(InputError) as error:
        load_model(str(folder), device="cpu")
    assert "\n" not in str(error.value)
    return str(error.value)


def set_config(folder: Path, **values: Any) -> Path:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))
    return folder


def change_weights(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file({name: one.contiguous() for name, one in weights.items()}, folder / "model.safetensors", {"format": "pt"})


def put(folder: Path, **tensors: torch.Tensor) -> None:
    change_weights(
        folder, lambda weights: weights.update({name.replace("__", "."): one for name, one in tensors.items()})
    )


def logits(folder: Path) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = load_model(str(folder), device="cpu").model(IDS).logits
    return found


@pytest.mark.parametrize(
    ("settings", "lost", "sentence"),
    [
        ({"attention_bias": True}, {"attention_bias": False}, r"hold \d+ tensors .*self_attn\..*bias.*attention_bias"),
        ({"mlp_bias": True}, {"mlp_bias": False}, r"mlp\..*bias.*mlp_bias"),
        ({}, {"num_hidden_layers": LAYERS - 1}, r"num_hidden_layers 2, and model\.layers\.2\..* is of a layer after"),
        ({}, {"tie_word_embeddings": True}, r"lm_head\.weight and model\.embed_tokens\.weight with different numbers"),
        ({"tie_word_embeddings": True}, {"tie_word_embeddings": False}, r"lack 1 tensors .*lm_head\.weight"),
    ],
)
def test_a_config_that_asks_for_less_or_more_than_the_file_has_is_refused_by_name(
    tmp_path: Path, settings: dict[str, Any], lost: dict[str, Any], sentence: str
) -> None:
    folder = save_tiny("llama", tmp_path / "tiny", **settings)
    set_config(folder, **lost)
    assert re.search(sentence, refusal(folder))


@pytest.mark.parametrize(
    ("family", "name", "tensor"),
    [
        ("llama", "model.layers.0.self_attn.q_norm.weight", torch.ones(8)),
        ("llama", "model.layers.3.eh_proj.weight", torch.ones(4, 4)),
        ("llama", "score.weight", torch.ones(2, 32)),
        ("llama", "unheard_of", torch.ones(1)),
        # transformers has patterns for these names and would drop them without a word.
        ("llama", "model.layers.0.self_attn.rotary_emb.inv_freq", torch.ones(4)),
        ("gpt2", "transformer.h.0.attn.bias", torch.ones(96)),
        ("gpt2", "transformer.h.0.crossattention.c_attn.bias", torch.ones(96)),
        ("gpt_neox", "gpt_neox.layers.1.attention.bias", torch.ones(32)),
        ("gpt_neox", "gpt_neox.layers.1.attention.bias", torch.ones(3, 32)),
        ("gpt_neox", "gpt_neox.layers.1.attention.bias", torch.ones(2, 8, 8)),
    ],
)
def test_a_tensor_that_the_model_has_no_place_for_is_refused_by_name(
    copied: Callable[[str], Path], family: str, name: str, tensor: torch.Tensor
) -> None:
    folder = copied(family)
    change_weights(folder, lambda weights: weights.update({name: tensor}))
    assert name in refusal(folder)


def test_transformers_alone_would_have_dropped_a_bias_without_a_word(copied: Callable[[str], Path]) -> None:
    from transformers import AutoModelForCausalLM, PreTrainedModel

    folder, own = copied("gpt2"), PreTrainedModel._adjust_missing_and_unexpected_keys
    name = "transformer.h.0.crossattention.c_attn.bias"
    change_weights(folder, lambda weights: weights.update({name: torch.ones(96)}))
    with building_a_model(), watching_loaded_keys() as keys:
        _, report = AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True)
    assert report["unexpected_keys"] == set()
    assert keys().unexpected == {name}
    assert PreTrainedModel._adjust_missing_and_unexpected_keys is own


def triangle(size: int = 128) -> torch.Tensor:
    return torch.ones(size, size, dtype=torch.bool).tril()[None, None]


def inverse_frequencies(size: int = 8, base: float = 10_000.0) -> torch.Tensor:
    return base ** -(torch.arange(0, size, 2) / size)


@pytest.mark.parametrize(
    ("family", "name", "tensor"),
    [
        ("gpt2", "transformer.h.0.attn.bias", triangle()),
        ("gpt2", "transformer.h.0.attn.bias", triangle().to(torch.uint8)),
        ("gpt2", "transformer.h.2.attn.bias", triangle()[0, 0]),
        ("gpt2", "transformer.h.2.attn.causal_mask", triangle()),
        ("gpt2", "transformer.h.1.attn.masked_bias", torch.tensor(-1e4)),
        ("gpt_neox", "gpt_neox.layers.0.attention.bias", triangle()),
        ("gpt_neox", "gpt_neox.layers.0.attention.rotary_emb.inv_freq", inverse_frequencies(2)),
        ("llama", "model.layers.0.self_attn.rotary_emb.inv_freq", inverse_frequencies()),
        ("llama", "model.layers.2.self_attn.rotary_emb.inv_freq", inverse_frequencies().bfloat16()),
        ("llama", "model.position_ids", torch.arange(128)[None]),
    ],
)
def test_what_follows_from_the_config_may_be_left_over(
    copied: Callable[[str], Path], family: str, name: str, tensor: torch.Tensor
) -> None:
    folder = copied(family)
    change_weights(folder, lambda weights: weights.update({name: tensor}))
    with torch.no_grad():
        assert torch.equal(logits(folder), tiny_model(family)(IDS).logits)
    assert load_model(str(folder), device="cpu").info.notes == ()


@pytest.mark.parametrize(
    ("name", "word"), [("v_head.summary.weight", "value head"), ("mtp.layers.0.mlp.up_proj.weight", "tokens after")]
)
def test_an_extra_head_is_left_out_and_told(copied: Callable[[str], Path], name: str, word: str) -> None:
    folder = copied("llama")
    change_weights(folder, lambda weights: weights.update({name: torch.ones(1, 32)}))
    loaded = load_model(str(folder), device="cpu")
    assert len(loaded.info.notes) == 1
    assert name in loaded.info.notes[0]
    assert word in loaded.info.notes[0]
    assert json.loads(json.dumps(loaded.info.to_dict()))["notes"] == list(loaded.info.notes)


def next_layer(weights: dict[str, torch.Tensor], but: str) -> dict[str, torch.Tensor]:
    """The tensors of a layer after the last, as DeepSeek-V3 stores what guesses the token after the next one."""
    last = {name: one for name, one in weights.items() if f"layers.{LAYERS - 1}." in name}
    copied = {name.replace(f"layers.{LAYERS - 1}.", f"layers.{LAYERS}."): one.clone() for name, one in last.items()}
    own = {f"model.layers.{LAYERS}.{part}": torch.ones(4, 4) for part in ("eh_proj.weight", "shared_head.norm.weight")}
    return {**copied, **{name: one for name, one in own.items() if not re.search(but, name)}}


@pytest.mark.parametrize("family", ["glm4_moe", "deepseek_v3"])
def test_a_layer_after_the_last_that_guesses_ahead_is_left_out_and_told(tmp_path: Path, family: str) -> None:
    folder = save_tiny(family, tmp_path / family)
    change_weights(folder, lambda weights: weights.update(next_layer(weights, "^$")))
    assert "is of a layer after those" in refusal(set_config(folder, num_nextn_predict_layers=0))
    loaded = load_model(str(set_config(folder, num_nextn_predict_layers=1)), device="cpu")
    (note,) = loaded.info.notes
    assert re.search(rf"layers\.{LAYERS}\..* are not read: layers that guess tokens", note)
    with torch.no_grad():
        assert torch.equal(loaded.model(IDS).logits, tiny_model(family)(IDS).logits)


def test_a_usual_layer_is_none_that_guesses_ahead(tmp_path: Path) -> None:
    folder = save_tiny("glm4_moe", tmp_path / "tiny")
    change_weights(folder, lambda weights: weights.update(next_layer(weights, "eh_proj|shared_head")))
    assert "is of a layer after those" in refusal(set_config(folder, num_nextn_predict_layers=1))


def test_a_tied_head_that_is_stored_too_is_the_embedding_or_refused(copied: Callable[[str], Path]) -> None:
    folder = copied("qwen2")
    change_weights(folder, lambda w: w.update({"lm_head.weight": w["model.embed_tokens.weight"].clone()}))
    with torch.no_grad():
        assert torch.equal(logits(folder), tiny_model("qwen2")(IDS).logits)
    change_weights(folder, lambda w: w["lm_head.weight"].mul_(1.5))
    assert "tie_word_embeddings" in refusal(folder)


def test_a_weight_under_two_names_is_refused(copied: Callable[[str], Path]) -> None:
    folder = copied("gpt2")
    change_weights(folder, lambda w: w.update({"h.0.mlp.c_fc.weight": w["transformer.h.0.mlp.c_fc.weight"] * 2}))
    assert "twice" in refusal(folder)


@pytest.mark.parametrize("dtype", [torch.int8, torch.uint8, torch.int32, torch.float8_e4m3fn, torch.bool])
def test_numbers_of_a_quantised_format_without_its_settings_are_refused(
    copied: Callable[[str], Path], dtype: torch.dtype
) -> None:
    folder = copied("llama")
    change_weights(folder, lambda weights: weights.update({DOWN: (weights[DOWN] * 50).to(dtype)}))
    sentence = refusal(folder)
    assert DOWN in sentence
    assert "quantisation" in sentence or "quantised" in sentence
    with pytest.raises(InputError, match="only a quantised model has"):
        inspect_model(str(folder), device="cpu")


@pytest.mark.parametrize(
    "ending",
    [
        *("qweight", "qzeros", "scales", "g_idx", "SCB", "weight.absmax", "weight.quant_map"),
        *("weight.quant_state.bitsandbytes__nf4", "weight_packed", "weight_scale", "weight_scale_inv", "input_scale"),
    ],
)
def test_parts_of_packed_weights_are_known_by_name(copied: Callable[[str], Path], ending: str) -> None:
    folder = copied("llama")
    change_weights(folder, lambda w: w.update({f"model.layers.0.mlp.up_proj.{ending}": torch.ones(4)}))
    assert f"model.layers.0.mlp.up_proj.{ending}" in refusal(folder)


@pytest.mark.parametrize("key", ["quantization_config", "compression_config"])
def test_a_quantisation_in_the_config_or_a_part_of_it_is_named(copied: Callable[[str], Path], key: str) -> None:
    folder = copied("llama")
    set_config(folder, **{key: {"quant_method": "compressed-tensors"}})
    assert "quantised (compressed-tensors)" in refusal(folder)
    set_config(folder, **{key: None}, text_config={key: {"quant_method": "awq"}})
    assert "quantised (awq)" in refusal(folder)


def shards(folder: Path) -> list[Path]:
    model = load_model(str(folder), device="cpu").model
    (folder / "model.safetensors").unlink()
    model.save_pretrained(folder, max_shard_size="60KB")
    return sorted(folder.glob("model-*.safetensors"))


def single_file_beside(folder: Path) -> None:
    whole = (folder / "model.safetensors").read_bytes()
    shards(folder)
    (folder / "model.safetensors").write_bytes(whole)


def shard_of_another_save(folder: Path) -> None:
    found = shards(folder)
    shutil.copy(found[0], folder / "model-00009-of-00009.safetensors")


def index_of_another_save(folder: Path) -> None:
    shards(folder)
    path = folder / "model.safetensors.index.json"
    index = json.loads(path.read_text())
    names, where = list(index["weight_map"]), index["weight_map"]
    where[names[0]], where[names[-1]] = where[names[-1]], where[names[0]]
    path.write_text(json.dumps(index))


def index_that_forgets(folder: Path) -> None:
    shards(folder)
    path = folder / "model.safetensors.index.json"
    index = json.loads(path.read_text())
    del index["weight_map"][DOWN]
    path.write_text(json.dumps(index))


def index_that_invents(folder: Path) -> None:
    shards(folder)
    path = folder / "model.safetensors.index.json"
    index = json.loads(path.read_text())
    index["weight_map"]["model.layers.9.mlp.up_proj.weight"] = index["weight_map"][DOWN]
    path.write_text(json.dumps(index))


def shard_cut_short(folder: Path) -> None:
    path = shards(folder)[1]
    path.write_bytes(path.read_bytes()[:-40])


def adapter_beside(folder: Path) -> None:
    (folder / "adapter_config.json").write_text("{}")
    save_file({"base_model.model.lora_A.weight": torch.ones(2, 2)}, folder / "adapter_model.safetensors")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (single_file_beside, r"model-00001-of-\d+\.safetensors and \d+ more files beside model\.safetensors"),
        (shard_of_another_save, r"model-00009-of-00009\.safetensors that its index does not name"),
        (index_of_another_save, r"index\.json says that the tensor .* is in model-.*, and it is not"),
        (index_that_forgets, rf"leaves out 1 tensors of its files \({re.escape(DOWN)}"),
        (index_that_invents, r"says that the tensor model\.layers\.9\.mlp\.up_proj\.weight"),
        (shard_cut_short, r"model-00002-of-\d+\.safetensors is cut short"),
        (adapter_beside, r"adapter_config\.json\), which would not be applied\. Merge it"),
    ],
)
def test_two_models_in_one_folder_are_refused(
    copied: Callable[[str], Path], change: Callable[[Path], object], sentence: str
) -> None:
    folder = copied("llama")
    change(folder)
    assert re.search(sentence, refusal(folder))
    with pytest.raises(InputError, match=sentence):
        inspect_model(str(folder), device="cpu")


def test_other_copies_beside_the_weights_are_named_as_not_read(copied: Callable[[str], Path]) -> None:
    folder = copied("llama")
    torch.save(
        {name: one * 2 for name, one in load_file(folder / "model.safetensors").items()}, folder / "pytorch_model.bin"
    )
    for name in ("consolidated.00.pth", "model.fp16.safetensors", "quantize_config.json", "training_args.bin"):
        (folder / name).write_bytes(b"{}")
    loaded = load_model(str(folder), device="cpu")
    with torch.no_grad():
        assert torch.equal(loaded.model(IDS).logits, tiny_model("llama")(IDS).logits)
    told = " ".join(loaded.info.notes)
    for name in ("pytorch_model.bin", "consolidated.00.pth", "model.fp16.safetensors", "quantize_config.json"):
        assert f"Not read: {name}" in told
    assert "training_args" not in told
    assert inspect_model(str(folder), device="cpu").notes == loaded.info.notes


@pytest.mark.parametrize("name", ["adapter/adapter_config.json", "checkpoint-1/adapter_model.safetensors"])
def test_an_adapter_in_a_folder_inside_is_named_as_not_read(copied: Callable[[str], Path], name: str) -> None:
    folder = copied("llama")
    (folder / name).parent.mkdir()
    (folder / name).write_bytes(b"{}")
    (note,) = load_model(str(folder), device="cpu").info.notes
    assert note.startswith(f"Not read: {name} (an adapter, which is not applied)")
    assert beside([name], [folder / "model.safetensors"], "it") == (note,)


def test_a_repository_is_looked_at_as_a_folder_is() -> None:
    names = (
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "README.md",
        "onnx/model.onnx",
        "original/params.json",
    )
    assert [note.split(" (")[0] for note in beside(names, [Path("model.safetensors")], "it")] == [
        "Not read: onnx/model.onnx"
    ]


def test_pickles_are_checked_as_safetensors_are(copied: Callable[[str], Path]) -> None:
    folder = copied("llama")
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()

    def refused(content: object) -> str:
        torch.save(content, folder / "pytorch_model.bin")
        with pytest.raises(InputError) as error:
            load_model(str(folder), device="cpu", allow_pickle=True)
        return str(error.value)

    assert "unheard_of" in refused({**weights, "unheard_of": torch.ones(1)})
    assert "int8" in refused({**weights, DOWN: weights[DOWN].to(torch.int8)})
    assert "'state_dict' in it is no tensor" in refused({"state_dict": weights})
    assert "it holds a list" in refused(list(weights))
    torch.save(
        {**weights, "model.layers.0.self_attn.rotary_emb.inv_freq": inverse_frequencies()}, folder / "pytorch_model.bin"
    )
    assert load_model(str(folder), device="cpu", allow_pickle=True).info.notes == ()


@pytest.mark.parametrize("family", ["t5", "bart", "marian", "whisper", "pegasus", "bert", "roberta", "distilbert"])
def test_what_does_not_continue_text_is_named_for_what_it_is(tmp_path: Path, family: str) -> None:
    AutoConfig.for_model(family).save_pretrained(tmp_path)
    with pytest.raises(InputError, match=r"is not a causal language model: its config\.json says"):
        read_config(tmp_path)


def test_a_tokenizer_that_leaves_most_rows_unused_is_told(tmp_path: Path) -> None:
    folder = save_tiny("llama", tmp_path / "tiny", vocab_size=1000)
    (note,) = load_model(str(folder), device="cpu").info.notes
    assert note.startswith("The tokenizer gives 400 of the 1,000 tokens that the model knows.")
    assert inspect_model(str(folder), device="cpu").notes == (note,)


def test_the_tokenizer_of_the_tests_fits_the_models_of_the_tests() -> None:
    assert max(tiny_tokenizer().get_vocab().values()) == 399
