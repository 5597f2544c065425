"""Models: families, sources, and folders in which something is missing, left over, packed, damaged or hostile."""

import json
import shutil
import zipfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from bench.input_forms.form import REFUSED, Form, form

Change = Callable[[Path], None]


def forms() -> Iterator[Form]:
    """Each a folder or file given to `load_model`; one that loads must write what transformers alone makes of it."""
    from tests.tiny_models import FAMILIES

    for family in FAMILIES:
        yield form(f"family {family}", _family(family), "loaded and cut")
    for name, family, change, expected in _FOLDERS:
        yield form(name, _changed(family, change), expected)
    for name, give, expected in _SOURCES:
        yield form(name, give, expected)


@cache
def _saved(family: str) -> Path:
    import tempfile

    from tests.tiny_models import save_tiny

    return save_tiny(family, Path(tempfile.mkdtemp(prefix="bench-inputs-")) / family)


def _load(source: Path) -> str:
    import torch
    from transformers import AutoModelForCausalLM

    from unlearning_core.models.loading import load_model

    loaded = load_model(str(source), device="cpu")
    if source.is_dir() and (source / "model.safetensors").is_file() and loaded.model.config.model_type in ("llama",):
        ids = torch.arange(9)[None]
        with torch.no_grad():
            alone = AutoModelForCausalLM.from_pretrained(source, dtype="float32")(ids).logits
            assert torch.allclose(loaded.model(ids).logits, alone, atol=1e-5), "another model than transformers'"
    return "loaded"


def _family(family: str) -> Callable[[Path], str]:
    def give(folder: Path) -> str:
        import numpy as np
        import torch

        from unlearning_core.edits.mask import Mask
        from unlearning_core.edits.weights import bake
        from unlearning_core.models.loading import load_model

        loaded = load_model(str(_saved(family)), device="cpu")
        with torch.no_grad():
            before = loaded.model(torch.arange(9)[None]).logits
            bake(loaded.model, Mask({"mlp": np.zeros(loaded.map.shapes["mlp"], bool)}), loaded.map)
            after = loaded.model(torch.arange(9)[None]).logits
        assert not torch.allclose(before, after), "cutting all MLP neurons changed nothing"
        return "loaded and cut"

    return give


def _changed(family: str, change: Change) -> Callable[[Path], str]:
    def give(folder: Path) -> str:
        place = Path(shutil.copytree(_saved(family), folder / "model"))
        change(place)
        return _load(place)

    return give


def _config(**values: Any) -> Change:
    def change(folder: Path) -> None:
        path = folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | values))

    return change


def _weights(change: Callable[[dict[str, Any]], object]) -> Change:
    def changed(folder: Path) -> None:
        from safetensors.torch import load_file, save_file

        weights = load_file(folder / "model.safetensors")
        change(weights)
        save_file(weights, folder / "model.safetensors", {"format": "pt"})

    return changed


_DOWN = "model.layers.1.mlp.down_proj.weight"


def _packed(weights: dict[str, Any]) -> None:
    import torch

    weights[_DOWN] = (weights[_DOWN] * 50).to(torch.int8)


def _nan(weights: dict[str, Any]) -> None:
    weights[_DOWN][0, 0] = float("nan")


def _shard(drop: bool) -> Change:
    def change(folder: Path) -> None:
        from transformers import AutoModelForCausalLM

        model = AutoModelForCausalLM.from_pretrained(folder)
        (folder / "model.safetensors").unlink()
        model.save_pretrained(folder, max_shard_size="60KB")
        shards = sorted(folder.glob("model-*.safetensors"))
        assert len(shards) > 1
        if drop:
            shards[-1].unlink()

    return change


def _bin(folder: Path) -> None:
    import torch
    from safetensors.torch import load_file

    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def _token(pads: bool) -> Change:
    def change(folder: Path) -> None:
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(folder)
        if pads:
            tokenizer.add_special_tokens({"pad_token": "[PAD]"})
        else:
            tokenizer.add_tokens(["<|im_start|>"])
        tokenizer.save_pretrained(folder)

    return change


def _adapter(alone: bool) -> Change:
    def change(folder: Path) -> None:
        (folder / "adapter_config.json").write_text('{"peft_type": "LORA", "base_model_name_or_path": "x"}')
        shutil.copy(folder / "model.safetensors", folder / "adapter_model.safetensors")
        if alone:
            (folder / "model.safetensors").unlink()
            (folder / "config.json").unlink()

    return change


def _cut(name: str, keep: float) -> Change:
    def change(folder: Path) -> None:
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: int(len(content) * keep)])

    return change


def _write(name: str, content: bytes) -> Change:
    def change(folder: Path) -> None:
        (folder / name).write_bytes(content)

    return change


def _panics(folder: Path) -> str:
    from unlearning_core.models.loading import load_model

    place = Path(shutil.copytree(_saved("llama"), folder / "model"))
    path = place / "tokenizer.json"
    values = json.loads(path.read_text())
    split = {"type": "Split", "pattern": {"Regex": "(x+x+)+y"}, "behavior": "Isolated", "invert": False}
    values["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [split, values["pre_tokenizer"]]}
    path.write_text(json.dumps(values))
    load_model(str(place), device="cpu").tokenizer("x" * 60)
    return "read"


def _remove(*names: str) -> Change:
    def change(folder: Path) -> None:
        for name in names:
            (folder / name).unlink(missing_ok=True)

    return change


def _nothing(folder: Path) -> None:
    pass


_FOLDERS: list[tuple[str, str, Change, Any]] = [
    ("a folder", "llama", _nothing, "loaded"),
    ("shards", "llama", _shard(False), "loaded"),
    ("a shard is missing", "llama", _shard(True), REFUSED),
    ("a tensor is missing", "llama", _weights(lambda weights: weights.pop(_DOWN)), REFUSED),
    ("a tensor too many", "llama", _weights(lambda weights: weights.update(extra=weights[_DOWN].clone())), REFUSED),
    ("a tensor of another shape", "llama", _weights(lambda w: w.update({_DOWN: w[_DOWN][:, :-1].contiguous()})),
     REFUSED),
    ("a layer too many", "llama", _config(num_hidden_layers=2), REFUSED),
    ("a layer too few", "llama", _config(num_hidden_layers=4), REFUSED),
    ("an int8 tensor", "llama", _weights(_packed), REFUSED),
    ("NaN", "llama", _weights(_nan), REFUSED),
    ("a quantisation that is not read here", "llama",
     _config(quantization_config={"quant_method": "gptq", "bits": 4}), REFUSED),
    ("biases that the config does not ask for", "qwen2",
     _config(model_type="llama", architectures=["LlamaForCausalLM"]), REFUSED),
    ("pickled weights alone", "llama", _bin, REFUSED),
    ("a token beyond the rows", "llama", _token(False), REFUSED),
    ("a token beyond the rows that only pads", "llama", _token(True), "loaded"),
    ("an adapter beside a model", "llama", _adapter(False), REFUSED),
    ("an adapter alone", "llama", _adapter(True), REFUSED),
    ("no tokenizer", "llama", _remove("tokenizer.json", "tokenizer_config.json"), REFUSED),
    ("no config", "llama", _remove("config.json"), REFUSED),
    ("no weights", "llama", _remove("model.safetensors"), REFUSED),
    ("weights cut short", "llama", _cut("model.safetensors", 0.6), REFUSED),
    ("a header of weights cut short", "llama", _cut("model.safetensors", 0.001), REFUSED),
    ("weights of no bytes", "llama", _cut("model.safetensors", 0), REFUSED),
    ("a header of 2^60 bytes", "llama", _write("model.safetensors", (2**60).to_bytes(8, "little") + b"{}"), REFUSED),
    ("a config cut short", "llama", _cut("config.json", 0.5), REFUSED),
    ("a tokenizer cut short", "llama", _cut("tokenizer.json", 0.5), REFUSED),
    ("a config that is a list", "llama", _write("config.json", b"[]"), REFUSED),
    ("a config nested deep", "llama", _write("config.json", b'{"a":' * 10**5 + b"1" + b"}" * 10**5), REFUSED),
    ("10^5 layers", "llama", _config(num_hidden_layers=10**5), REFUSED),
    ("a hidden size of 10^9", "llama", _config(hidden_size=10**9), REFUSED),
    ("a negative size", "llama", _config(intermediate_size=-4), REFUSED),
    ("a size in words", "llama", _config(hidden_size="large"), REFUSED),
    ("a model type nobody knows", "llama", _config(model_type="zebra"), REFUSED),
    ("code of its own", "llama", _config(model_type="zebra", auto_map={"AutoModelForCausalLM": "m.Zebra"}), REFUSED),
    ("an encoder", "llama", _config(model_type="bert", architectures=["BertForMaskedLM"]), REFUSED),
    ("an encoder and decoder", "llama", _config(model_type="t5", architectures=["T5ForConditionalGeneration"]),
     REFUSED),
    ("float16 that overflows nothing", "llama", _config(dtype="float16"), "loaded"),
]  # fmt: skip


def _zipped(folder: Path) -> str:
    with zipfile.ZipFile(folder / "m.zip", "w") as archive:
        for file in _saved("llama").iterdir():
            archive.write(file, f"model/{file.name}")
    return _load(folder / "m.zip")


def _zip_of(**members: bytes) -> Callable[[Path], str]:
    def give(folder: Path) -> str:
        with zipfile.ZipFile(folder / "m.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in members.items():
                archive.writestr(name.replace("__", ".").replace("UP", "../"), content)
        return _load(folder / "m.zip")

    return give


def _bomb(folder: Path) -> str:
    with zipfile.ZipFile(folder / "m.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", b'{"model_type": "llama"}')
        for number in range(40):
            archive.writestr(f"{number}.json", bytes(9_999_999))
    return _load(folder / "m.zip")


def _file(name: str, content: bytes) -> Callable[[Path], str]:
    def give(folder: Path) -> str:
        (folder / name).write_bytes(content)
        return _load(folder / name)

    return give


def _multimodal(folder: Path) -> str:
    config = {
        "model_type": "gemma3", "architectures": ["Gemma3ForConditionalGeneration"],
        "text_config": {"model_type": "gemma3_text", "hidden_size": 32, "num_hidden_layers": 3},
        "vision_config": {"hidden_size": 32, "num_hidden_layers": 1},
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))
    return _load(folder)


_SOURCES: list[tuple[str, Callable[[Path], Any], Any]] = [
    ("a zip", _zipped, "loaded"),
    ("a zip without a model", _zip_of(readme__txt=b"hello"), REFUSED),
    ("a zip that leaves its folder", _zip_of(UPconfig__json=b"{}"), REFUSED),
    ("a zip of much more than it seems", _bomb, REFUSED),
    ("no zip", _file("m.zip", b"PK\x03\x04 no"), REFUSED),
    ("GGUF of no bytes", _file("m.gguf", b""), REFUSED),
    ("GGUF, magic alone", _file("m.gguf", b"GGUF\x03\x00\x00\x00"), REFUSED),
    ("GGUF of 2^40 tensors", _file("m.gguf", b"GGUF\x03\x00\x00\x00" + (2**40).to_bytes(8, "little") * 2), REFUSED),
    ("no GGUF", _file("m.gguf", b"hello" * 100), REFUSED),
    ("the first part of two", _file("m-00001-of-00002.gguf", b"GGUF\x03\x00\x00\x00" + bytes(16)), REFUSED),
    ("a text file", _file("m.txt", b"hello"), REFUSED),
    ("an empty folder", lambda folder: _load(folder), REFUSED),
    ("no such path", lambda folder: _load(folder / "none"), REFUSED),
    ("a tokenizer whose pattern panics at a text", _panics, REFUSED),
    ("a multimodal config without weights", _multimodal, REFUSED),
]  # fmt: skip
