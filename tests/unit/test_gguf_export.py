"""A GGUF file that is written is the model: transformers reads it back to the same logits and the same tokens."""

import json
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from tests.tiny_gguf import rewrite
from tests.tiny_gguf import write_gguf as write_by_hand
from tests.tiny_models import save_tiny
from unlearning_core.edits.mask import Mask
from unlearning_core.edits.weights import bake, survivors
from unlearning_core.errors import InputError
from unlearning_core.models.gguf_export import FAMILIES, GgufType, write_gguf
from unlearning_core.models.loading import LoadedModel, load_model

IDS = torch.arange(3, 40)[None]
TEXTS = ("a small chair stood there", "The queen's 3 horses, 1999!", "  two  spaces\n\nand lines", "größer – 木")
# Rows of 32 numbers and more, so that every matrix can be q8_0.
_HEADS = {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16}
SIZES: dict[str, dict[str, Any]] = {name: {"hidden_size": 64, "intermediate_size": 96, **_HEADS} for name in FAMILIES}
SIZES["gpt2"] = {"n_embd": 64, "n_head": 4}
SIZES["mistral"]["sliding_window"] = None
for name in ("gemma2", "gemma3_text"):
    SIZES[name] |= {"head_dim": 256, "query_pre_attn_scalar": 256}


@pytest.fixture(autouse=True)
def prepared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNLEARNING_MODELS", str(tmp_path / "models"))


def sentencepiece_like(prefix: bool) -> PreTrainedTokenizerFast:
    """BPE with byte fallback, as the tokenizers of Llama 2 (with a space put in front) and Gemma are."""
    spaces = normalizers.Replace(" ", "▁")
    normalizer = normalizers.Sequence([normalizers.Prepend("▁"), spaces]) if prefix else spaces
    drawn = Tokenizer(models.BPE())
    drawn.normalizer = normalizer
    # Word by word, so that no token reaches over a space.
    drawn.pre_tokenizer = pre_tokenizers.Split("▁", "merged_with_next")
    trainer = trainers.BpeTrainer(vocab_size=120, show_progress=False)
    drawn.train_from_iterator([text.strip() for text in TEXTS] * 3, trainer)
    learnt = json.loads(drawn.to_str())["model"]
    # The names of both families' tokens: transformers adds those that it misses.
    special = ["<unk>", "<s>", "</s>", "<pad>", "<mask>"] if prefix else ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]
    tokens = [*special, *(f"<0x{byte:02X}>" for byte in range(256))]
    tokens += sorted(learnt["vocab"], key=learnt["vocab"].__getitem__)
    vocabulary = {token: number for number, token in enumerate(tokens)}
    merges = [tuple(merge) for merge in learnt["merges"]]
    whole = Tokenizer(models.BPE(vocabulary, merges, unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    whole.normalizer = normalizer
    whole.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    whole.add_special_tokens(special)
    bos, eos = ("<s>", "</s>") if prefix else ("<bos>", "<eos>")
    whole.post_processor = processors.TemplateProcessing(single=f"{bos} $A", special_tokens=[(bos, vocabulary[bos])])
    return PreTrainedTokenizerFast(
        tokenizer_object=whole, bos_token=bos, eos_token=eos, pad_token="<pad>", unk_token="<unk>"
    )


def saved(family: str, folder: Path, **settings: Any) -> Path:
    """The tiny model of a family with a tokenizer of the kind that the family has."""
    save_tiny(family, folder, **SIZES[family] | settings)
    if family.startswith("gemma"):
        sentencepiece_like(prefix=False).save_pretrained(folder)
    return folder


def logits(loaded: LoadedModel) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = loaded.model(IDS).logits
    return found


def differ(one: torch.Tensor, other: torch.Tensor) -> float:
    """Root mean square of the difference, in standard deviations."""
    return float((one - other).square().mean().sqrt() / other.std())


@pytest.mark.parametrize(
    ("family", "tied"),
    # Gemma has no head of its own in GGUF.
    [(family, tied) for family in FAMILIES for tied in (True, False) if tied or not family.startswith("gemma")],
)
def test_it_is_read_back_to_the_same_logits_and_tokens(family: str, tied: bool, tmp_path: Path) -> None:
    folder = saved(family, tmp_path / "model", tie_word_embeddings=tied)
    given = load_model(str(folder), device="cpu")
    limits: dict[GgufType, float] = {"f16": 0.002, "q8_0": 0.05}
    found = {}
    for kind, limit in limits.items():
        write_gguf(folder, tmp_path / f"{kind}.gguf", kind)
        back = load_model(str(tmp_path / f"{kind}.gguf"), device="cpu")
        found[kind] = differ(logits(back), logits(given))
        assert found[kind] < limit
        for text in TEXTS:
            assert back.tokenizer(text).input_ids == given.tokenizer(text).input_ids
    assert found["f16"] < found["q8_0"]
    sizes = {kind: (tmp_path / f"{kind}.gguf").stat().st_size for kind in limits}
    assert sizes["q8_0"] < sizes["f16"] < (folder / "model.safetensors").stat().st_size


def test_a_tokenizer_with_byte_fallback_is_read_back(tmp_path: Path) -> None:
    folder = saved("llama", tmp_path / "model")
    sentencepiece_like(prefix=True).save_pretrained(folder)
    write_gguf(folder, tmp_path / "out.gguf")
    given, back = (load_model(str(place), device="cpu").tokenizer for place in (folder, tmp_path / "out.gguf"))
    for text in (*(text.strip() for text in TEXTS), "a word of 水"):
        assert back(text).input_ids == given(text).input_ids, text
    assert 4 < min(given("水").input_ids[1:]) < 261 <= max(given(TEXTS[0]).input_ids)


@pytest.mark.parametrize(("family", "settings"), [("mistral", {}), ("qwen2", {"use_sliding_window": True})])
def test_a_window_that_llama_cpp_does_not_know_is_said(family: str, settings: dict[str, Any], tmp_path: Path) -> None:
    folder = saved(family, tmp_path / "model", sliding_window=16, **settings)
    notes = write_gguf(folder, tmp_path / "out.gguf")
    assert notes == ["llama.cpp reads the whole text here, where this model looks back 16 tokens."]


@pytest.mark.parametrize("family", sorted(set(FAMILIES) - {"gpt2"}))
def test_the_width_of_a_head_is_told_where_heads_are_wider_than_their_share(family: str, tmp_path: Path) -> None:
    settings = {} if family.startswith("gemma") else {"head_dim": 32}
    folder = saved(family, tmp_path / "model", **settings)
    write_gguf(folder, tmp_path / "out.gguf")
    file = gguf.GGUFReader(tmp_path / "out.gguf")
    architecture = file.fields["general.architecture"].contents()
    wide = 256 if family.startswith("gemma") else 32
    for key in ("key_length", "value_length"):
        assert file.fields[f"{architecture}.attention.{key}"].contents() == wide > 64 // 4
    queries = next(tensor for tensor in file.tensors if tensor.name == "blk.0.attn_q.weight")
    assert queries.shape.tolist() == [64, 4 * wide]


def test_what_was_cut_stays_cut(tmp_path: Path) -> None:
    loaded = load_model(str(save_tiny("llama", tmp_path / "model", **SIZES["llama"])), device="cpu")
    mask = Mask({"mlp": np.random.default_rng(0).random(loaded.map.shapes["mlp"]) > 0.3})
    bake(loaded.model, mask, loaded.map)
    loaded.model.save_pretrained(tmp_path / "cut")
    loaded.tokenizer.save_pretrained(tmp_path / "cut")
    write_gguf(tmp_path / "cut", tmp_path / "cut.gguf", "q8_0")
    back = load_model(str(tmp_path / "cut.gguf"), device="cpu")
    assert survivors(back.model, mask, back.map) == []
    assert survivors(load_model(str(tmp_path / "model"), device="cpu").model, mask) != []


def test_the_keys_of_the_file_it_came_from_are_taken_as_they_stand(tmp_path: Path) -> None:
    source = write_by_hand(tmp_path / "source.gguf")
    loaded = load_model(str(source), device="cpu")
    loaded.model.save_pretrained(tmp_path / "model")
    loaded.tokenizer.save_pretrained(tmp_path / "model")
    write_gguf(tmp_path / "model", tmp_path / "again.gguf", "f16", like=source)
    one, other = gguf.GGUFReader(source), gguf.GGUFReader(tmp_path / "again.gguf")
    mine = {name: field.contents() for name, field in one.fields.items() if not name.startswith("GGUF.")}
    theirs = {name: field.contents() for name, field in other.fields.items() if not name.startswith("GGUF.")}
    assert theirs.pop("general.file_type") == gguf.LlamaFileType.MOSTLY_F16
    assert theirs == mine
    assert {tensor.name for tensor in one.tensors} == {tensor.name for tensor in other.tensors}
    for was, now in zip(sorted(one.tensors), sorted(other.tensors), strict=True):
        assert np.allclose(was.data, now.data.astype(np.float32), atol=2e-3), was.name
    assert differ(logits(load_model(str(tmp_path / "again.gguf"), device="cpu")), logits(loaded)) < 0.002


def test_a_file_whose_tensors_lie_further_apart_lends_its_keys(tmp_path: Path) -> None:
    source = write_by_hand(tmp_path / "source.gguf")
    loaded = load_model(str(source), device="cpu")
    loaded.model.save_pretrained(tmp_path / "model")
    loaded.tokenizer.save_pretrained(tmp_path / "model")
    apart = rewrite(source, tmp_path / "apart.gguf", alignment=64)
    assert gguf.GGUFReader(apart).alignment == 64
    write_gguf(tmp_path / "model", tmp_path / "again.gguf", "f16", like=apart)
    assert differ(logits(load_model(str(tmp_path / "again.gguf"), device="cpu")), logits(loaded)) < 0.002


@pytest.mark.parametrize(
    ("family", "settings", "said"),
    [
        ("opt", {}, "'opt', and GGUF is written for gemma2"),
        ("gemma2", {"query_pre_attn_scalar": 20}, "query_pre_attn_scalar 20, and llama.cpp would take 16"),
        ("llama", {"rope_parameters": {"rope_type": "yarn", "factor": 2.0, "rope_theta": 1e4}}, "yarn"),
        ("llama", {"hidden_act": "gelu"}, "hidden_act 'gelu', and llama.cpp computes .* 'llama' with 'silu'"),
        ("gemma2", {"hidden_activation": "relu"}, "hidden_activation 'relu', and llama.cpp .* with 'gelu'"),
        ("gpt2", {"activation_function": "relu"}, "activation_function 'relu', and llama.cpp .* with 'gelu'"),
        ("gpt2", {"scale_attn_weights": False}, "scale_attn_weights False, and llama.cpp .* with True"),
        ("gpt2", {"scale_attn_by_inverse_layer_idx": True}, "inverse_layer_idx True, and llama.cpp .* with False"),
    ],
)
def test_what_has_no_counterpart_is_refused_and_nothing_written(
    family: str, settings: dict[str, Any], said: str, tmp_path: Path
) -> None:
    folder = save_tiny(family, tmp_path / "model", **settings)
    with pytest.raises(InputError, match=said):
        write_gguf(folder, tmp_path / "out.gguf")
    assert [file.name for file in tmp_path.iterdir()] == ["model"]
