"""GGUF files in parts, with parts of a model missing, or with what transformers drops: joined or refused by name."""

import json
import math
import shutil
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from tests.tiny_gguf import rewrite, split, write_gguf
from tests.tiny_models import tiny_model
from unlearning_core.errors import InputError
from unlearning_core.models.inspection import inspect_model
from unlearning_core.models.loading import load_model
from unlearning_core.models.sources.gguf_parts import whole_gguf
from unlearning_core.models.sources.gguf_rope import llama3_factors
from unlearning_core.models.sources.prepared import is_complete
from unlearning_core.models.sources.resolve import fingerprint

IDS = torch.arange(1, 13)[None]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_gguf(tmp_path_factory.mktemp("gguf") / "whole.gguf")


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of prepared models."""
    monkeypatch.setenv("UNLEARNING_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


def prepared(models: Path) -> list[str]:
    return sorted(path.name for path in models.rglob("*") if path.is_dir() and path.name != "gguf")


def refusal(path: Path, models: Path) -> str:
    with pytest.raises(InputError) as error:
        load_model(str(path), device="cpu")
    assert "\n" not in str(error.value)
    assert prepared(models) == []
    return str(error.value)


def logits(path: Path) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = load_model(str(path), device="cpu").model(IDS).logits
    return found


@pytest.mark.parametrize("count", [2, 3])
def test_parts_are_joined_whichever_is_given(whole: Path, tmp_path: Path, models: Path, count: int) -> None:
    parts = split(whole, tmp_path, count)
    told = [inspect_model(str(part), device="cpu") for part in parts]
    assert {info.parameters for info in told} == {inspect_model(str(whole), device="cpu").parameters}
    assert len({fingerprint(str(part)) for part in parts}) == 1
    expected = tiny_model("llama", num_key_value_heads=4)(IDS).logits.detach()
    for part in parts:
        torch.testing.assert_close(logits(part), expected, rtol=1e-5, atol=1e-5)
    (folder,) = (models / "gguf").glob("tiny-*")
    stamp = json.loads((folder / "prepared.json").read_text())
    assert stamp["checked"]["parts"] == [part.name for part in parts]
    assert stamp["checked"]["tensors"] == len(gguf.GGUFReader(whole).tensors)
    assert not [path for path in folder.rglob("*") if path.suffix == ".gguf"]


def test_another_content_of_a_later_part_is_another_model(whole: Path, tmp_path: Path) -> None:
    parts = split(whole, tmp_path, 2)
    before = fingerprint(str(parts[0]))
    content = bytearray(parts[1].read_bytes())
    content[-1] ^= 1
    parts[1].write_bytes(content)
    assert fingerprint(str(parts[0])) != before


def test_a_missing_part_is_named(whole: Path, tmp_path: Path, models: Path) -> None:
    parts = split(whole, tmp_path, 3)
    parts[1].unlink()
    for part in (parts[0], parts[2]):
        assert "1 of them is not in" in refusal(part, models)
        assert parts[1].name in refusal(part, models)
        with pytest.raises(InputError, match=parts[1].name):
            inspect_model(str(part), device="cpu")


def test_a_part_without_its_own_name_says_what_it_is(whole: Path, tmp_path: Path, models: Path) -> None:
    parts = split(whole, tmp_path, 2)
    for number, part in enumerate(parts, 1):
        renamed = Path(shutil.copy(part, tmp_path / f"model{number}.gguf"))
        assert f"is part {number} of 2" in refusal(renamed, models)


def test_parts_that_do_not_belong_together_are_refused(whole: Path, tmp_path: Path, models: Path) -> None:
    parts = split(whole, tmp_path, 2)
    good = parts[1].read_bytes()
    parts[1].write_bytes(good[:-50])
    assert f"{parts[1].name} is cut short" in refusal(parts[0], models)
    parts[1].write_bytes(parts[0].read_bytes())
    assert "is not part 2 of the model beside it" in refusal(parts[0], models)
    first = gguf.GGUFReader(parts[0]).tensors[0].name
    rewrite(whole, parts[1], lambda name: name == first, keys=False, split__no=1, split__count=2)
    assert f"holds {first}, as an earlier part does" in refusal(parts[0], models)
    rewrite(whole, parts[1], lambda name: name == "blk.9", keys=False, split__no=1, split__count=2)
    assert "and the first promises 30" in refusal(parts[0], models)


@pytest.mark.parametrize(
    ("lost", "sentence"),
    [
        ("blk.1.", r"lacks 1 of the 3 blocks that its header counts (blk.1, ...)"),
        ("blk.2.", r"lacks 1 of the 3 blocks that its header counts (blk.2, ...)"),
        ("blk.1.ffn_up", "(blk.1.ffn_up.weight)"),
        ("blk.0.attn_norm", "(blk.0.attn_norm.weight)"),
        ("output_norm", "(output_norm.weight)"),
        ("token_embd", "(token_embd.weight)"),
    ],
)
def test_what_a_file_lacks_is_named_and_nothing_is_kept(
    whole: Path, tmp_path: Path, models: Path, lost: str, sentence: str
) -> None:
    file = rewrite(whole, tmp_path / "lacking.gguf", lambda name: not name.startswith(lost))
    assert sentence in refusal(file, models)


@pytest.mark.parametrize(
    "name",
    ["blk.0.attn_q.bias", "blk.1.attn_q_norm.weight", "blk.2.ffn_gate_inp.weight", "rope_factors_long.weight", "odd"],
)
def test_a_tensor_that_transformers_would_drop_is_named(whole: Path, tmp_path: Path, models: Path, name: str) -> None:
    file = rewrite(whole, tmp_path / "more.gguf", add={name: np.ones(32, np.float32)})
    assert name in refusal(file, models)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"llama__block_count": 2}, "holds the block blk.2 beyond the 2"),
        ({"llama__block_count": 4}, "lacks 1 of the 4 blocks"),
        ({"general__type": "adapter"}, "is an adapter (LoRA)"),
        ({"general__type": "mmproj"}, "is a mmproj file"),
        ({"general__architecture": "clip"}, "that reads pictures"),
        ({"general__architecture": "rwkv7"}, "family 'rwkv7', which transformers cannot read from GGUF (it can: bloom"),
        ({"llama__rope__scaling__type": "yarn", "llama__rope__scaling__factor": 4.0}, "scales its positions by yarn"),
    ],
)
def test_what_the_header_says_is_refused_by_name(
    whole: Path, tmp_path: Path, models: Path, fields: dict[str, Any], sentence: str
) -> None:
    assert sentence in refusal(rewrite(whole, tmp_path / "other.gguf", **fields), models)


def test_a_tensor_of_another_shape_is_named(whole: Path, tmp_path: Path, models: Path) -> None:
    name = "blk.0.ffn_up.weight"
    file = rewrite(whole, tmp_path / "wide.gguf", lambda one: one != name, add={name: np.ones((56, 32), np.float32)})
    assert "mlp.up_proj.weight has the shape [56, 32], and [48, 32] is asked for" in refusal(file, models)
    assert "[400, 32], and [410, 32]" in refusal(rewrite(whole, tmp_path / "long.gguf", llama__vocab_size=410), models)


def test_a_format_that_cannot_be_dequantised_is_named(whole: Path, tmp_path: Path, models: Path) -> None:
    file = rewrite(whole, tmp_path / "ints.gguf", add={"blk.0.attn_q.bias": np.ones(32, np.int8)})
    assert "blk.0.attn_q.bias is stored as I8" in refusal(file, models)


def test_a_copy_made_before_more_was_checked_is_made_anew(whole: Path, models: Path) -> None:
    load_model(str(whole), device="cpu")
    (folder,) = (models / "gguf").glob("whole-*")
    checksum = whole_gguf(whole).checksum()
    assert is_complete(folder, checksum)
    stamp = json.loads((folder / "prepared.json").read_text())
    (folder / "prepared.json").write_text(json.dumps({**stamp, "format": 1}))
    (folder / "model.safetensors").write_bytes(b"\0" * stamp["files"]["model.safetensors"])  # what an old check let by
    assert not is_complete(folder, checksum)
    load_model(str(whole), device="cpu")
    assert is_complete(folder, checksum)


def inverse_frequencies(folder: Path) -> np.ndarray:
    model: Any = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder))
    return np.asarray(model.model.rotary_emb.inv_freq.numpy(), np.float64)


def test_the_rotary_factors_of_llama_3_are_kept(whole: Path, tmp_path: Path, models: Path) -> None:
    base, count, factor = 500_000.0, 4, 32.0
    # Meta's own rule, one frequency after another.
    expected = []
    for index in range(count):
        wave = 2 * math.pi * base ** (index / count)
        if wave < 8192 / 4:
            expected.append(1.0)
        elif wave > 8192 / 1:
            expected.append(factor)
        else:
            smooth = (8192 / wave - 1) / (4 - 1)
            expected.append(1 / ((1 - smooth) / factor + smooth))
    np.testing.assert_allclose(llama3_factors(base, count, factor), expected)
    table = {"rope_freqs.weight": np.array(expected, np.float32)}
    file = rewrite(whole, tmp_path / "llama3.gguf", add=table, llama__rope__freq_base=base)
    load_model(str(file), device="cpu")
    (folder,) = (models / "gguf").glob("llama3-*")
    own = base ** -(np.arange(count) / count)
    np.testing.assert_allclose(inverse_frequencies(folder), own / expected, rtol=1e-4)


def test_a_linear_scaling_is_kept_and_an_unknown_table_refused(whole: Path, tmp_path: Path, models: Path) -> None:
    fields = {"llama__rope__scaling__type": "linear", "llama__rope__scaling__factor": 4.0}
    load_model(str(rewrite(whole, tmp_path / "linear.gguf", **fields)), device="cpu")
    (folder,) = (models / "gguf").glob("linear-*")
    stamp = json.loads((folder / "prepared.json").read_text())
    assert stamp["sha256"].endswith("+keys")  # a copy without the scaling, made before, is not taken for this one
    np.testing.assert_allclose(inverse_frequencies(folder), 10_000.0 ** -(np.arange(4) / 4) / 4, rtol=1e-4)
    shutil.rmtree(models)
    plain = rewrite(whole, tmp_path / "plain.gguf", add={"rope_freqs.weight": np.ones(4, np.float32)})
    expected = tiny_model("llama", num_key_value_heads=4)(IDS).logits.detach()
    torch.testing.assert_close(logits(plain), expected, rtol=1e-5, atol=1e-5)
    shutil.rmtree(models)
    odd = rewrite(whole, tmp_path / "odd.gguf", add={"rope_freqs.weight": np.arange(1, 5, dtype=np.float32)})
    assert "rope_freqs.weight is not one of Llama 3.1" in refusal(odd, models)
