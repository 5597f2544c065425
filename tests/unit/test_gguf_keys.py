"""The keys of a GGUF file: each is in the configuration made of it, changes nothing, or is refused by name."""

import struct
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from transformers import AutoConfig

from tests.tiny_gguf import rewrite, write_gguf
from tests.tiny_models import tiny_model
from unlearning_core.errors import InputError
from unlearning_core.models.inspection import inspect_model
from unlearning_core.models.loading import load_model
from unlearning_core.models.sources.gguf import GgufHeader, read_gguf
from unlearning_core.models.sources.gguf_keys import changes_more, settle
from unlearning_core.models.sources.gguf_parts import whole_gguf
from unlearning_core.models.sources.gguf_rope import rope_settings, with_rope
from unlearning_core.models.sources.resolve import fingerprint

FAMILIES = {"gemma3": "gemma3_text", "qwen2moe": "qwen2_moe", "qwen3moe": "qwen3_moe"}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_gguf(tmp_path_factory.mktemp("gguf") / "whole.gguf")


def header(family: str, **fields: Any) -> GgufHeader:
    named = {f"{family}.{key.replace('__', '.')}": value for key, value in fields.items()}
    return GgufHeader({"general.architecture": family, **named}, {}, {})


def settled(family: str, **fields: Any) -> Any:
    """The configuration of 64 wide, 4 heads, with the keys of a file in it."""
    sizes = {"hidden_size": 64, "num_attention_heads": 4, "num_hidden_layers": 7, "max_position_embeddings": 128}
    config = AutoConfig.for_model(FAMILIES.get(family, family), **sizes)
    settle("x.gguf", header(family, **fields), config)
    return config


def found(config: Any, path: str) -> Any:
    for name in path.split("/"):
        config = config[name] if isinstance(config, dict) else getattr(config, name)
    return config


@pytest.mark.parametrize(
    ("family", "fields", "path", "value"),
    [
        ("starcoder2", {"rope__freq_base": 999999.4375}, "rope_parameters/rope_theta", 999999.4375),
        ("stablelm", {"rope__freq_base": 1e6}, "rope_parameters/rope_theta", 1e6),
        ("gemma3", {"rope__freq_base": 5e5}, "rope_parameters/full_attention/rope_theta", 5e5),
        ("gemma3", {"rope__freq_base_swa": 2e4}, "rope_parameters/sliding_attention/rope_theta", 2e4),
        ("stablelm", {"rope__dimension_count": 8}, "rope_parameters/partial_rotary_factor", 0.5),
        ("phi3", {"rope__dimension_count": 12}, "rope_parameters/partial_rotary_factor", 0.75),
        ("nemotron", {"rope__dimension_count": 16}, "rope_parameters/partial_rotary_factor", 1.0),
        ("nemotron", {"attention__layer_norm_epsilon": 0.1}, "norm_eps", 0.1),
        ("falcon", {"attention__layer_norm_epsilon": 0.1}, "layer_norm_epsilon", 0.1),
        ("gpt2", {"context_length": 96}, "n_positions", 96),
        ("gemma2", {"final_logit_softcapping": 5.0}, "final_logit_softcapping", 5.0),
        ("gemma2", {"attn_logit_softcapping": 0.0}, "attn_logit_softcapping", None),
        ("gemma3", {"final_logit_softcapping": 5.0}, "final_logit_softcapping", 5.0),
        ("phi3", {"attention__sliding_window": 8}, "sliding_window", 8),
        ("starcoder2", {"attention__sliding_window": 8}, "sliding_window", 8),
        ("mistral", {"attention__sliding_window": 8}, "sliding_window", 8),
        ("gemma2", {"attention__sliding_window": 8}, "sliding_window", 8),
        ("qwen3moe", {"expert_feed_forward_length": 12}, "moe_intermediate_size", 12),
        ("qwen2moe", {"expert_shared_feed_forward_length": 20}, "shared_expert_intermediate_size", 20),
        ("qwen2moe", {"expert_weights_norm": True}, "norm_topk_prob", True),
        ("qwen3", {"attention__value_length": 24, "attention__key_length": 24}, "head_dim", 24),
        ("gemma2", {"attention__scale": 0.125}, "query_pre_attn_scalar", 64),
        ("lfm2", {"attention__head_count_kv": [0, 0, 2, 0]}, "num_key_value_heads", 2),
    ],
)
def test_a_key_is_in_the_configuration(family: str, fields: dict[str, Any], path: str, value: Any) -> None:
    assert found(settled(family, **fields), path) == value


@pytest.mark.parametrize(
    ("family", "fields"),
    [
        ("llama", {"attention__causal": True, "expert_count": 0, "rope__scaling__finetuned": True}),
        ("llama", {"attention__sliding_window": 4096, "attention__key_length": 16, "rope__dimension_count": 16}),
        ("qwen2", {"attention__sliding_window": 0, "pooling_type": 3, "attention__head_count_kv": [2, 2, 2]}),
        ("stablelm", {"use_parallel_residual": True, "attention__head_count_kv": 4}),
        ("falcon", {"use_parallel_residual": True, "attention__head_count_kv": 1, "tensor_data_layout": "jploski"}),
        ("bloom", {"context_length": 2048, "attention__max_alibi_bias": 8.0, "attention__head_count_kv": 4}),
        ("gemma3", {"attention__sliding_window_pattern": 6, "attention__key_length": 256}),
    ],
)
def test_a_key_that_changes_nothing_is_let_by(family: str, fields: dict[str, Any]) -> None:
    settled(family, **fields)


@pytest.mark.parametrize(
    ("family", "key", "value"),
    [
        ("qwen2", "attention__causal", False),
        ("llama", "attention__sliding_window", 8),
        ("qwen2", "attention__sliding_window", 8),
        ("llama", "expert_count", 4),
        ("llama", "rope__dimension_count", 8),
        ("llama", "final_logit_softcapping", 30.0),
        ("llama", "attention__value_length", 32),
        ("llama", "attention__scale", 0.5),
        ("llama", "logit_scale", 0.5),
        ("llama", "rope__scaling__attn_factor", 2.0),
        ("llama", "feed_forward_length", [16, 32]),
        ("qwen3moe", "expert_gating_func", 2),
        ("gemma3", "attention__sliding_window_pattern", 3),
        ("gpt2", "rope__freq_base", 1e4),
        ("qwen2", "nextn_predict_layers", 1),
        ("llama", "use_parallel_residual", True),
        ("llama", "never_heard_of", 1),
    ],
)
def test_a_key_without_a_place_is_refused_by_name(family: str, key: str, value: Any) -> None:
    with pytest.raises(InputError, match=f"{family}.{key.replace('__', '.')} is .*another model"):
        settled(family, **{key: value})


@pytest.mark.parametrize(
    ("family", "blocks", "sizes", "expected"),
    [
        ("gemma2", 46, (4608, 32), 144),  # https://huggingface.co/google/gemma-2-27b and gemma-3-27b-pt, config.json
        ("gemma3", 62, (5376, 32), 168),
        ("gemma2", 42, (3584, 16), 256),
        ("gemma3", 34, (2560, 8), 256),
    ],
)
def test_the_largest_gemma_scales_its_attention_in_its_own_way(
    family: str, blocks: int, sizes: tuple[int, int], expected: int
) -> None:
    config = settled(family, block_count=blocks, embedding_length=sizes[0], attention__head_count=sizes[1])
    assert config.query_pre_attn_scalar == expected
    assert changes_more(header(family, block_count=blocks)) == (expected != 256)


@pytest.mark.parametrize(
    "fields",
    [
        {"rope__scaling__type": "linear", "rope__scaling__factor": 8.0},
        {"rope__scaling__factor": 8.0},
        {"rope__scale_linear": 8.0},
    ],
)
@pytest.mark.parametrize("family", ["llama", "gemma3"])
def test_a_linear_scaling_reaches_the_layers_that_have_it(family: str, fields: dict[str, Any]) -> None:
    config = settled(family, **fields)
    with_rope(config, **rope_settings(Path("x.gguf"), header(family, **fields), config) or {})
    table = config.rope_parameters.get("full_attention", config.rope_parameters)
    assert (table["rope_type"], table["factor"]) == ("linear", 8.0)
    assert config.rope_parameters.get("sliding_attention", {"rope_type": "default"})["rope_type"] == "default"
    assert changes_more(header(family, **fields))
    none = {**fields, "rope__scaling__type": "none"}
    assert rope_settings(Path("x.gguf"), header(family, **none), config) is None


@pytest.mark.parametrize(
    ("family", "fields", "differs"),
    [
        ("llama", {"rope__freq_base": 5e5, "rope__dimension_count": 64, "context_length": 8192}, False),
        ("gemma2", {"attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0, "block_count": 26}, False),
        ("qwen3", {"attention__key_length": 128, "rope__freq_base": 1e6}, False),
        ("starcoder2", {"rope__freq_base": 1e5}, True),
        ("phi3", {"rope__dimension_count": 96, "attention__sliding_window": 2047}, True),
        ("falcon", {"attention__layer_norm_epsilon": 1e-5}, True),
        ("gemma2", {"final_logit_softcapping": 20.0}, True),
    ],
)
def test_only_a_model_that_changed_is_another(family: str, fields: dict[str, Any], differs: bool) -> None:
    assert changes_more(header(family, **fields)) == differs


def test_a_scaled_model_is_another_and_a_plain_one_is_not(whole: Path, tmp_path: Path) -> None:
    assert fingerprint(str(whole)) == f"gguf:{whole_gguf(whole).checksum()}"
    scaled = rewrite(whole, tmp_path / "scaled.gguf", llama__rope__scale_linear=4.0)
    assert fingerprint(str(scaled)) == f"gguf:{whole_gguf(scaled).checksum()}+keys"


def test_a_model_whose_keys_were_dropped_gives_the_logits_that_went_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Phi-3: a part of each head rotates, a window, and a padding id of its family (32000) that has no row here."""
    monkeypatch.setenv("UNLEARNING_MODELS", str(tmp_path / "models"))
    rope = {"rope_type": "default", "rope_theta": 1e4, "partial_rotary_factor": 0.5}
    settings: dict[str, Any] = {"sliding_window": 8, "rope_parameters": rope, "pad_token_id": 0}
    plain = write_gguf(tmp_path / "plain.gguf", family="phi3", **settings)
    keys = {"phi3__rope__dimension_count": 4, "phi3__attention__sliding_window": 8}
    file = rewrite(plain, tmp_path / "phi3.gguf", **keys)
    ids = torch.arange(1, 25)[None]
    with torch.no_grad():
        expected = tiny_model("phi3", num_key_value_heads=4, **settings)(ids).logits
        torch.testing.assert_close(load_model(str(file), device="cpu").model(ids).logits, expected)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("split.count", "two"),
        ("split.no", 1.5),
        ("llama.block_count", "many"),
        ("llama.block_count", 0),
        ("llama.block_count", 1 << 27),
        ("llama.block_count", None),
        ("llama.attention.head_count", 0),
        ("llama.context_length", "long"),
        ("llama.rope.scaling.factor", "4"),
        ("llama.attention.layer_norm_rms_epsilon", "small"),
        ("llama.attention.layer_norm_rms_epsilon", -1.0),
        ("llama.attention.layer_norm_rms_epsilon", None),
        ("llama.context_length", None),
        ("llama.never_heard_of", 1),
        ("llama.rope.scaling.type", "yarn"),
        ("llama.expert_count", 4),
        ("llama.attention.sliding_window", 8),
        ("tokenizer.ggml.bos_token_id", 99_999),
        ("tokenizer.ggml.eos_token_id", 400),
        ("tokenizer.ggml.padding_token_id", "none"),
        ("tokenizer.ggml.tokens", None),
        ("tokenizer.ggml.model", "rwkv"),
        ("tokenizer.ggml.model", None),
        ("tokenizer.ggml.merges", None),
        ("general.architecture", "rwkv7"),
        ("general.type", "adapter"),
    ],
)
def test_looking_and_loading_refuse_a_wrong_field_alike(whole: Path, tmp_path: Path, field: str, value: Any) -> None:
    more = {"split__count": 2} if field == "split.no" else {}
    more |= {"llama__rope__scaling__factor": 4.0} if value == "yarn" else {}
    file = rewrite(whole, tmp_path / "wrong.gguf", **{field.replace(".", "__"): value}, **more)
    for ask in (inspect_model, load_model):
        with pytest.raises(InputError) as error:
            ask(str(file), device="cpu")
        assert str(file) in str(error.value)
        assert "\n" not in str(error.value)


def test_heads_that_do_not_divide_the_width_are_a_sentence(whole: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("UNLEARNING_MODELS", str(tmp_path / "models"))
    file = rewrite(whole, tmp_path / "odd.gguf", llama__attention__head_count=3)
    with pytest.raises(InputError, match=r"hidden size .32. is not a multiple of the number of attention heads"):
        load_model(str(file), device="cpu")


@pytest.mark.parametrize(
    ("name", "shape", "refused"),
    [("blk.1.ffn_up.weight", (48, 32), True), ("output_norm.weight", (32,), True), ("output_norm.bias", (32,), False)],
)
def test_a_matrix_of_nothing_but_zeros_is_an_unfinished_download(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, shape: tuple[int, ...], refused: bool
) -> None:
    monkeypatch.setenv("UNLEARNING_MODELS", str(tmp_path / "models"))
    file = rewrite(whole, tmp_path / "zero.gguf", name.__ne__, add={name: np.zeros(shape, np.float32)})
    with pytest.raises(InputError) as error:  # of a bias it is the place that llama lacks
        load_model(str(file), device="cpu")
    assert (f"{name} holds nothing but zeros" in str(error.value)) == refused


def test_a_download_whose_rest_was_never_written_is_refused(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNLEARNING_MODELS", str(tmp_path / "models"))
    content = whole.read_bytes()
    file = tmp_path / "half.gguf"
    file.write_bytes(content[: len(content) // 2].ljust(len(content), b"\0"))
    with pytest.raises(InputError, match="is not complete"):
        load_model(str(file), device="cpu")


def test_tensors_that_share_bytes_are_refused(whole: Path, tmp_path: Path) -> None:
    content = bytearray(whole.read_bytes())
    name = b"blk.1.ffn_up.weight"
    entry = content.index(struct.pack("<Q", len(name)) + name) + 8 + len(name)
    struct.pack_into("<Q", content, entry + 4 + 16 + 4, 0)  # dimensions, two sizes, the kind; then where it starts
    file = tmp_path / "shared.gguf"
    file.write_bytes(content)
    with pytest.raises(InputError, match=r"lets the tensors .* and .* share bytes"):
        read_gguf(file)
    assert read_gguf(whole).places.keys() == {tensor.name for tensor in gguf.GGUFReader(whole).tensors}
    assert {tensor.name: tensor.data_offset for tensor in gguf.GGUFReader(whole).tensors} == {
        one: start for one, (start, _) in read_gguf(whole).places.items()
    }


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"GGUF" + struct.pack(">I", 3), "other byte order"),
        (b"GGUF" + struct.pack("<I", 1), "of version 1;"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:", "git lfs pull"),
        (b"\n<!DOCTYPE html><html>", "a page of the web"),
        (b'{"error": "Invalid username"}', "the answer of a server"),
        (b"PK\x03\x04", "a zip"),
        (b"tjgg", "format GGML"),
        (b"", "does not start with the letters GGUF"),
    ],
)
def test_what_a_file_is_instead_is_said(tmp_path: Path, content: bytes, sentence: str) -> None:
    file = tmp_path / "model.gguf"
    file.write_bytes(content.ljust(64 if content else 0, b"\0"))
    with pytest.raises(InputError, match=sentence):
        read_gguf(file)
