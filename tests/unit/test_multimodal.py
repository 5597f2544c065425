"""Multimodal models: the language model inside gives what the whole gives on text, or one sentence says why not."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForImageTextToText, AutoModelForMultimodalLM

from tests.tiny_models import tiny_tokenizer
from unlearning_core.errors import InputError
from unlearning_core.models.inspection import inspect_model
from unlearning_core.models.loading import load_model
from unlearning_core.models.sources.resolve import local_folder

IDS = torch.arange(3, 20)[None]

_TEXT = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 48,
    "vocab_size": 400,
    "max_position_embeddings": 128,
    "bos_token_id": 0,
    "eos_token_id": 0,
    "pad_token_id": None,
}
_SIGHT = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
_SIGHT |= {"image_size": 16, "patch_size": 8}
_QWEN_SIGHT = {"depth": 1, "hidden_size": 32, "num_heads": 2, "patch_size": 8, "intermediate_size": 32}
_QWEN_SIGHT |= {"out_hidden_size": 32, "embed_dim": 32}
_THREE = {"rope_type": "default", "rope_theta": 1e4}


def text(family: str, **settings: Any) -> dict[str, Any]:
    return {**_TEXT, "model_type": family, **settings}


def sight(family: str, **settings: Any) -> dict[str, Any]:
    return {**_SIGHT, "model_type": family, **settings}


_GEMMA = {"head_dim": 16, "sliding_window": 16, "query_pre_attn_scalar": 16}
_QWEN_TEXT = {"rope_parameters": {**_THREE, "mrope_section": [1, 1, 2]}}

WRAPPERS: dict[str, tuple[str, dict[str, Any]]] = {
    "gemma3": ("gemma3_text", {
        "text_config": text("gemma3_text", **_GEMMA), "vision_config": sight("siglip_vision_model"),
        "mm_tokens_per_image": 4,
    }),
    "llava": ("llama", {"text_config": text("llama"), "vision_config": sight("clip_vision_model")}),
    "llava_next": ("mistral", {"text_config": text("mistral"), "vision_config": sight("clip_vision_model")}),
    "llava_onevision": ("qwen2", {"text_config": text("qwen2"), "vision_config": sight("siglip_vision_model")}),
    "qwen2_vl": ("qwen2", {"text_config": text("qwen2_vl_text", **_QWEN_TEXT), "vision_config": _QWEN_SIGHT}),
    "qwen2_5_vl": ("qwen2", {"text_config": text("qwen2_5_vl_text", **_QWEN_TEXT), "vision_config": _QWEN_SIGHT}),
    "qwen3_vl": ("qwen3", {
        "text_config": text("qwen3_vl_text", head_dim=16, rope_parameters={**_THREE, "mrope_section": [2, 3, 3]}),
        "vision_config": {**_QWEN_SIGHT, "deepstack_visual_indexes": [0], "num_position_embeddings": 4},
    }),
    "paligemma": ("gemma", {
        "text_config": text("gemma", head_dim=16), "vision_config": sight("siglip_vision_model"), "projection_dim": 32,
    }),
    "mistral3": ("mistral", {"text_config": text("mistral"), "vision_config": sight("pixtral")}),
    "idefics3": ("llama", {"text_config": text("llama"), "vision_config": _SIGHT, "scale_factor": 2}),
    "smolvlm": ("llama", {"text_config": text("llama"), "vision_config": _SIGHT, "scale_factor": 2}),
    "qwen2_audio": ("qwen2", {
        "text_config": text("qwen2"),
        "audio_config": {"d_model": 32, "encoder_layers": 1, "encoder_attention_heads": 2, "encoder_ffn_dim": 32},
    }),
}  # fmt: skip
"""Wrapper -> the family of its language model alone, and a tiny configuration."""


@pytest.fixture(autouse=True)
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of prepared models."""
    monkeypatch.setenv("UNLEARNING_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


def build(family: str, settings: dict[str, Any], seed: int = 0) -> Any:
    config = AutoConfig.for_model(family, **settings)
    known = type(config) in AutoModelForMultimodalLM._model_mapping
    model = (AutoModelForMultimodalLM if known else AutoModelForImageTextToText).from_config(config)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in model.parameters():
            noise = torch.randn(weight.shape, generator=generator)
            weight.copy_(noise / weight.shape[-1] ** 0.5 if weight.dim() > 1 else weight + 0.3 * noise)
    return model.eval()


def save(model: Any, folder: Path) -> Path:
    model.save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder


@pytest.mark.parametrize("family", WRAPPERS)
def test_the_language_model_gives_what_the_whole_gives_on_text(family: str, tmp_path: Path) -> None:
    language, settings = WRAPPERS[family]
    whole = build(family, settings)
    folder = save(whole, tmp_path / family)
    told = inspect_model(str(folder), device="cpu")
    loaded = load_model(str(folder), device="cpu")
    with torch.no_grad():
        torch.testing.assert_close(loaded.model(IDS).logits, whole(input_ids=IDS).logits, rtol=1e-4, atol=1e-4)
    assert told.model_type == loaded.info.model_type == language
    assert told.shapes == loaded.info.shapes == loaded.map.shapes
    assert any(f"multimodal model ({family})" in note for note in told.notes)
    assert any("for pictures or sound are not used" in note for note in loaded.info.notes)
    assert load_model(str(folder), device="cpu").info.notes == loaded.info.notes


def test_the_copy_is_one_plain_model_that_says_what_was_measured(tmp_path: Path) -> None:
    whole = build("gemma3", WRAPPERS["gemma3"][1]).bfloat16()
    folder = save(whole, tmp_path / "gemma3")
    (folder / "README.md").write_text("---\nlicense: gemma\n---\n")
    copy = local_folder(str(folder))
    config = json.loads((copy / "config.json").read_text())
    assert config["architectures"] == ["Gemma3ForCausalLM"]
    assert config["tie_word_embeddings"] is True
    assert config["dtype"] == "bfloat16"
    names = load_file(copy / "model.safetensors")
    inner = whole.get_decoder().state_dict()
    assert {name.removeprefix("model.") for name in names} == set(inner)
    assert all(torch.equal(one, inner[name.removeprefix("model.")]) for name, one in names.items())
    checked = json.loads((copy / "prepared.json").read_text())["checked"]
    assert checked["logits_differ_by"] <= 1e-2
    assert load_model(str(folder), device="cpu").info.licence == "gemma"


def test_both_ways_of_naming_the_tensors_are_read(tmp_path: Path) -> None:
    whole = build("llava", WRAPPERS["llava"][1])
    folder = save(whole, tmp_path / "llava")
    own = {name: weight.contiguous().clone() for name, weight in whole.state_dict().items()}
    save_file(own, folder / "model.safetensors", {"format": "pt"})  # model.language_model.*, as newer files have it
    with torch.no_grad():
        assert torch.equal(load_model(str(folder), device="cpu").model(IDS).logits, whole(input_ids=IDS).logits)


def test_a_multimodal_model_that_is_not_whole_is_refused_and_nothing_kept(tmp_path: Path, models: Path) -> None:
    folder = save(build("llava", WRAPPERS["llava"][1]), tmp_path / "llava")
    weights = load_file(folder / "model.safetensors")
    lost = next(name for name in weights if name.endswith("layers.1.mlp.up_proj.weight"))
    del weights[lost]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(InputError, match=r"lack 1 tensors .*layers\.1\.mlp\.up_proj\.weight"):
        load_model(str(folder), device="cpu")
    weights |= {lost: torch.ones(48, 32), "language_model.model.layers.1.mlp.up_proj.bias": torch.ones(48)}
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(InputError, match=r"layers\.1\.mlp\.up_proj\.bias"):
        load_model(str(folder), device="cpu")
    assert not [path for path in models.rglob("*") if path.is_dir() and path.name != "adapted"]


def test_tokens_for_pictures_without_a_row_are_found_in_the_language_model(tmp_path: Path) -> None:
    folder = save(build("llava", WRAPPERS["llava"][1]), tmp_path / "llava")
    tokenizer = tiny_tokenizer()
    tokenizer.add_tokens(["<image>"])
    tokenizer.save_pretrained(folder)
    with pytest.raises(InputError, match="<image>"):
        load_model(str(folder), device="cpu")
    loaded = load_model(str(folder), device="cpu", extra_tokens="drop")
    assert "<image>" not in loaded.tokenizer.get_vocab()
    assert len(loaded.info.notes) == 2


_CROSS = {"cross_attention_layers": [1], "rope_parameters": _THREE}
_MLLAMA_SIGHT = {
    "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2, "num_global_layers": 1, "attention_heads": 2,
    "image_size": 16, "patch_size": 8, "vision_output_dim": 64, "intermediate_layers_indices": [0],
    "supported_aspect_ratios": [[1, 1]],
}  # fmt: skip

REFUSED: dict[str, tuple[str, dict[str, Any]]] = {
    "mllama": ("no class", {"text_config": text("mllama_text_model", **_CROSS), "vision_config": _MLLAMA_SIGHT}),
    "glm4v": ("no class", {"text_config": text("glm4v_text"), "vision_config": _QWEN_SIGHT}),
    "git": ("no class", {name: value for name, value in _TEXT.items() if name != "num_key_value_heads"}),
    # Its wrapper leaves out the scale of the logits that the language model applies.
    "aya_vision": ("other logits", {"text_config": text("cohere2"), "vision_config": sight("siglip_vision_model")}),
}


@pytest.mark.parametrize("family", REFUSED)
def test_one_that_cannot_be_taken_apart_is_one_sentence(family: str, tmp_path: Path, models: Path) -> None:
    why, settings = REFUSED[family]
    if why == "no class":
        AutoConfig.for_model(family, **settings).save_pretrained(tmp_path / family)
        with pytest.raises(InputError) as told:
            inspect_model(str(tmp_path / family), device="cpu")
        assert why in str(told.value)
    else:
        save(build(family, settings), tmp_path / family)
    with pytest.raises(InputError) as error:
        load_model(str(tmp_path / family), device="cpu")
    sentence = str(error.value)
    assert sentence.startswith(f"{tmp_path / family} is a multimodal model (model_type {family!r})")
    assert why in sentence
    assert "Choose a text-only model" in sentence
    assert "\n" not in sentence
    assert not [path for path in models.rglob("*") if path.is_dir() and path.name != "adapted"]
