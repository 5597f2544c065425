"""Settings in config.json: what changes nothing is taken, and what is wrong is named with what was expected."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.tiny_models import save_tiny, tiny_model
from unlearning_core.errors import InputError
from unlearning_core.models.inspection import inspect_model
from unlearning_core.models.loading import load_model


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny("llama", tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "tiny"))


def set_config(folder: Path, **values: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


@pytest.mark.parametrize(
    "values",
    [
        *({name: "flash_attention_2"} for name in ("attn_implementation", "_attn_implementation")),
        *({name: {}} for name in ("quantization_config", "vision_config")),
        *({"return_dict": False}, {"torchscript": True}, {"attn_implementation": "eager", "output_attentions": True}),
    ],
    ids=str,
)
def test_settings_of_another_machine_or_of_nothing_change_nothing(folder: Path, values: dict[str, Any]) -> None:
    set_config(folder, **values)
    inspect_model(str(folder), device="cpu")
    with torch.no_grad():
        found = load_model(str(folder), device="cpu").model(torch.arange(12)[None]).logits
        assert torch.allclose(found, tiny_model("llama")(torch.arange(12)[None]).logits, atol=1e-5)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"rope_theta": "10000"}, r"rope_theta is the text '10000'; expected a number"),
        ({"hidden_act": "swiglu"}, r"hidden_act 'swiglu' is no activation function .*such as silu"),
        *(({name: {"": "float16"}}, rf"{name} is .*float16.*; expected a name") for name in ("dtype", "torch_dtype")),
        ({"hidden_size": "x"}, r"'hidden_size' expected int, got str \(value: 'x'\)"),
        ({"tie_word_embeddings": "false"}, r"'tie_word_embeddings' expected bool, got str"),
    ],
    ids=str,
)
def test_a_wrong_setting_is_named_with_what_was_expected(folder: Path, values: dict[str, Any], said: str) -> None:
    set_config(folder, **values)
    with pytest.raises(InputError) as error:
        inspect_model(str(folder), device="cpu")
    assert re.search(rf"config\.json.*{said}", str(error.value))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "tokenizer_config.json"])
def test_a_byte_order_mark_is_named(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"\xef\xbb\xbf" + (folder / name).read_bytes())
    with pytest.raises(InputError, match=f"{name} begins with a byte order mark"):
        inspect_model(str(folder), device="cpu")
