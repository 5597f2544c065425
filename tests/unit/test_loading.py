"""Loading and inspecting: what is told before, what is checked after, and one sentence for whatever is wrong."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import BertConfig, BertForMaskedLM

from tests.tiny_models import FAMILIES, save_tiny, tiny_model, tiny_tokenizer
from unlearning_core.edits.mask import Mask
from unlearning_core.edits.weights import bake
from unlearning_core.errors import InputError, Stopped
from unlearning_core.methods.method import MethodInput
from unlearning_core.models import devices
from unlearning_core.models.devices import choose_device, choose_dtype
from unlearning_core.models.inspection import inspect_model
from unlearning_core.models.loading import load_model
from unlearning_core.models.sources.folder import find_weights
from unlearning_core.progress import Progress

Change = Callable[[Path], object]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny("llama", tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "tiny"))


def refusal(folder: Path, **options: Any) -> str:
    with pytest.raises(InputError) as error:
        load_model(str(folder), device="cpu", **options)
    sentence = str(error.value)
    assert "\n" not in sentence
    assert "Traceback" not in sentence
    return sentence


def set_config(folder: Path, **values: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_loads_with_the_logits_it_was_saved_with(family: str, tmp_path: Path) -> None:
    folder = save_tiny(family, tmp_path / family)
    loaded = load_model(str(folder), device="cpu")
    ids = torch.arange(12)[None]
    with torch.no_grad():
        assert torch.equal(loaded.model(ids).logits, tiny_model(family)(ids).logits)
    assert not loaded.model.training
    assert loaded.info.model_type == family


@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_told_before_loading_is_what_loading_finds(family: str, tmp_path: Path) -> None:
    folder = save_tiny(family, tmp_path / family)
    told = inspect_model(str(folder), device="cpu", dtype="bfloat16")
    loaded = load_model(str(folder), device="cpu", dtype="bfloat16")
    assert told.shapes == loaded.map.shapes
    assert told.parameters == sum(weight.numel() for weight in loaded.model.parameters())
    assert told.bytes_in_memory == sum(weight.nbytes for weight in loaded.model.parameters())
    assert told.layers == loaded.model.config.num_hidden_layers
    assert (told.context, told.vocabulary) == (None if family == "bloom" else 128, 400)
    assert json.loads(json.dumps(told.to_dict()))["shapes"] == {key: list(shape) for key, shape in told.shapes.items()}


def test_inspecting_reads_no_weight(folder: Path) -> None:
    path = folder / "model.safetensors"
    whole = path.read_bytes()
    header = 8 + int.from_bytes(whole[:8], "little")
    path.write_bytes(whole[:header] + b"\xff" * (len(whole) - header))
    assert inspect_model(str(folder), device="cpu").parameters > 0
    assert "NaN" in refusal(folder)


def zero(folder: Path, names: str, dimensions: range = range(9)) -> Path:
    weights = load_file(folder / "model.safetensors")
    for name, one in weights.items():
        if re.search(names, name) and one.dim() in dimensions:
            one.zero_()
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    return folder


@pytest.mark.parametrize(
    "names", [r"layers\.1\..*proj", r"layers\.2\.mlp\.up_proj", r"embed_tokens", r"layers\.[12]|norm|lm_head"]
)
def test_matrices_that_never_came_are_refused_unless_somebody_says_that_they_were_cut(folder: Path, names: str) -> None:
    zero(folder, names)
    assert re.search(rf"holds only zeros in \d+ of its matrices \(model\..*{names}", refusal(folder))
    assert load_model(str(folder), device="cpu", may_be_cut=True)
    set_config(folder, has_zeroed_matrices=True)
    assert load_model(str(folder), device="cpu").model.config.has_zeroed_matrices


def test_biases_and_norms_of_zero_are_weights_like_others(tmp_path: Path) -> None:
    assert load_model(str(zero(save_tiny("gpt2", tmp_path / "tiny"), "", range(2))), device="cpu")


@pytest.mark.parametrize("cut", [False, True])
def test_a_method_says_in_the_config_where_whole_matrices_are_cut(folder: Path, tmp_path: Path, cut: bool) -> None:
    loaded = load_model(str(folder), device="cpu")
    kept = {"mlp": np.ones(loaded.map.shapes["mlp"], dtype=bool)}
    kept["mlp"][1] = not cut
    bake(loaded.model, Mask(kept), loaded.map)
    MethodInput.save(SimpleNamespace(model_folder=tmp_path / "pruned"), loaded)  # type: ignore[arg-type]
    again = load_model(str(tmp_path / "pruned"), device="cpu")
    assert getattr(again.model.config, "has_zeroed_matrices", False) is cut
    assert again.model.config.to_dict().keys() - loaded.model.config.to_dict().keys() == set()


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "base_model.model."])
def test_the_name_of_a_wrapper_before_all_tensors_is_named(folder: Path, prefix: str) -> None:
    weights = load_file(folder / "model.safetensors")
    save_file({prefix + name: one for name, one in weights.items()}, folder / "model.safetensors", {"format": "pt"})
    assert f"every name begins with '{prefix}'" in refusal(folder)


def test_shards_without_their_index_are_named(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")
    assert "model.safetensors.index.json is missing" in refusal(folder)


def test_the_licence_is_read_from_the_card(folder: Path) -> None:
    assert inspect_model(str(folder), device="cpu").licence is None
    (folder / "README.md").write_text("---\nlanguage: en\nlicense: apache-2.0\n---\n# A model\nlicense: none\n")
    assert inspect_model(str(folder), device="cpu").licence == "apache-2.0"


def test_a_pad_token_is_found_and_never_a_letter(folder: Path) -> None:
    assert tiny_tokenizer().pad_token is None
    loaded = load_model(str(folder), device="cpu")
    assert loaded.tokenizer.pad_token == loaded.tokenizer.eos_token
    path = folder / "tokenizer_config.json"
    kept = {key: value for key, value in json.loads(path.read_text()).items() if key not in ("eos_token", "bos_token")}
    path.write_text(json.dumps(kept))
    assert load_model(str(folder), device="cpu").tokenizer.pad_token is None


def test_shards_load_as_one(folder: Path, tmp_path: Path) -> None:
    model = load_model(str(folder), device="cpu").model
    model.save_pretrained(tmp_path / "shards", max_shard_size="40KB")
    tiny_tokenizer().save_pretrained(tmp_path / "shards")
    assert len(find_weights(tmp_path / "shards")) > 2
    again = load_model(str(tmp_path / "shards"), device="cpu").model
    assert all(torch.equal(one, other) for one, other in zip(model.parameters(), again.parameters(), strict=True))
    lost = sorted((tmp_path / "shards").glob("model-*.safetensors"))[0]
    lost.unlink()
    assert lost.name in refusal(tmp_path / "shards")


def test_pickled_weights_need_an_opt_in_and_run_no_code(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    expected = load_model(str(folder), device="cpu").model.state_dict()
    (folder / "model.safetensors").unlink()
    torch.save(weights, folder / "pytorch_model.bin")
    assert "allow_pickle=true" in refusal(folder)
    found = load_model(str(folder), device="cpu", allow_pickle=True).model.state_dict()
    assert all(torch.equal(found[name], expected[name]) for name in expected)

    torch.save({"x": _Bomb(folder / "ran")}, folder / "pytorch_model.bin")
    assert "cannot be loaded" in refusal(folder, allow_pickle=True)
    assert not (folder / "ran").exists()


class _Bomb:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def cut_short(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def cut_in_the_header(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:50])


def pointer(folder: Path) -> None:
    (folder / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")


def empty_tensor_file(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"")


def tensors_left_out(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    del weights["model.layers.1.mlp.down_proj.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def not_a_number(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    weights["model.layers.2.mlp.up_proj.weight"][3, 4] = float("nan")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def infinite(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    weights["model.norm.weight"][5] = float("-inf")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def bert(folder: Path) -> None:
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    BertForMaskedLM(BertConfig(vocab_size=400, **sizes)).save_pretrained(folder)


def adapter(folder: Path) -> None:
    (folder / "config.json").rename(folder / "adapter_config.json")


def adapter_weights_alone(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text("{}")


def around_a_model(folder: Path) -> None:
    inner = folder / "inner"
    inner.mkdir()
    for path in list(folder.iterdir()):
        if path != inner:
            path.rename(inner / path.name)


def other_tokenizer(folder: Path) -> None:
    set_config(folder, vocab_size=100)
    tiny_model("llama", vocab_size=100).save_pretrained(folder)


def slow_tokenizer(folder: Path) -> None:
    for path in folder.glob("tokenizer*"):
        path.unlink()
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "ByT5Tokenizer"}')


def no_tokenizer(folder: Path) -> None:
    for path in folder.glob("tokenizer*"):
        path.unlink()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (cut_short, r"model\.safetensors is cut short: it has [\d,]+ bytes and its header promises [\d,]+"),
        (cut_in_the_header, "not a whole safetensors file"),
        (empty_tensor_file, "not a whole safetensors file"),
        (pointer, "git lfs pull"),
        (tensors_left_out, r"lack 1 tensors .*model\.layers\.1\.mlp\.down_proj\.weight"),
        (not_a_number, r"model\.layers\.2\.mlp\.up_proj\.weight holds 1 numbers that are NaN"),
        (infinite, r"model\.norm\.weight holds 1 numbers that are NaN or infinite"),
        (lambda folder: (folder / "model.safetensors").unlink(), "holds no weights"),
        (lambda folder: (folder / "config.json").unlink(), "not a model folder: it has no config.json"),
        (lambda folder: (folder / "config.json").write_text("{"), r"config\.json, line 1, column 2: not JSON"),
        (lambda folder: (folder / "config.json").write_text("[]"), "names no model_type"),
        (lambda folder: (folder / "config.json").write_text("{}"), "names no model_type"),
        (lambda folder: set_config(folder, num_hidden_layers="three"), r"config\.json cannot be used"),
        (lambda folder: set_config(folder, intermediate_size=64), r"_proj\.weight has the shape \[\d+, \d+\], and"),
        (lambda folder: set_config(folder, num_hidden_layers=4), r"lack 9 tensors"),
        (lambda folder: set_config(folder, model_type="nonesuch"), "'nonesuch' is not known to transformers"),
        (
            lambda folder: set_config(folder, model_type="nonesuch", auto_map={"AutoModel": "evil.Model"}),
            "code that comes with a model is never run here",
        ),
        (lambda folder: set_config(folder, quantization_config={"quant_method": "gptq"}), r"quantised \(gptq\)"),
        (bert, "not a causal language model: its config.json says BertForMaskedLM"),
        (lambda folder: set_config(folder, architectures=["LlamaForSequenceClassification"]), "not a causal language"),
        (adapter, "merge it into its base model"),
        (adapter_weights_alone, r"holds no weights of a model\. It is an adapter \(LoRA\): merge it"),
        (around_a_model, r"Did you mean .*inner\?"),
        (other_tokenizer, r"tokenizer has [\d,]+ tokens and the model knows 100"),
        (slow_tokenizer, r"ByT5Tokenizer\) has no fast version"),
        (no_tokenizer, "has no tokenizer"),
        (lambda folder: (folder / "tokenizer.json").write_text("{}"), "tokenizer in .* cannot be read"),
    ],
)
def test_what_is_wrong_with_a_folder_is_one_sentence(folder: Path, change: Change, sentence: str) -> None:
    change(folder)
    assert re.search(sentence, refusal(folder))


@pytest.mark.parametrize("index", ["{", "[]", "{}", '{"weight_map": []}', '{"weight_map": {"a": "../b.safetensors"}}'])
def test_a_damaged_index_is_one_sentence(folder: Path, index: str) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text(index)
    assert "model.safetensors.index.json" in refusal(folder)


def test_code_of_a_known_family_is_left_alone(folder: Path) -> None:
    (folder / "evil.py").write_text("raise SystemExit('code of the folder ran')")
    set_config(folder, auto_map={"AutoConfig": "evil.Config", "AutoModelForCausalLM": "evil.Model"})
    assert type(load_model(str(folder), device="cpu").model).__name__ == "LlamaForCausalLM"


def test_numbers_that_float16_cannot_hold_are_found(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    weights["model.norm.weight"][0] = 1e6
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    assert load_model(str(folder), device="cpu").info.dtype == "float32"
    assert "as float16" in refusal(folder, dtype="float16")


@pytest.mark.parametrize(
    ("options", "accepted"),
    [
        ({"dtype": "int8"}, "auto, float32, bfloat16, float16"),
        ({"device": "gpu"}, "auto, cpu, cuda, cuda:0, mps"),
        ({"device": "cuda:99"}, "auto, cpu"),
    ],
)
def test_a_wrong_dtype_or_device_lists_the_accepted(saved: Path, options: dict[str, str], accepted: str) -> None:
    with pytest.raises(InputError, match=f"Choose one of: {accepted}"):
        load_model(str(saved), **options)


def test_the_defaults_suit_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [choose_dtype("auto", device) for device in ("cpu", "mps")] == ["float32", "float32"]
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    assert choose_dtype("auto", "cuda:1") == "bfloat16"
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: False)
    assert choose_dtype("auto", "cuda") == "float16"
    if not torch.cuda.is_available() and not torch.backends.mps.is_available():
        assert choose_device("auto") == "cpu"


def test_a_model_that_cannot_fit_is_refused_before_it_is_read(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "available", lambda device: 1000)
    assert "of memory are free on cpu" in refusal(saved)


def test_a_container_limit_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "memory.max").write_text("5000\n")
    (tmp_path / "memory.current").write_text("4000\n")
    (tmp_path / "memory.stat").write_text("anon 3500\ninactive_file 300\n")
    monkeypatch.setattr(devices, "_CGROUP", tmp_path)
    assert devices.available("cpu") == 1300
    (tmp_path / "memory.max").write_text("max\n")
    assert devices.available("cpu") > 5000


def test_progress_reaches_the_whole_and_a_stop_gets_through(saved: Path, capfd: pytest.CaptureFixture[str]) -> None:
    reports: list[Progress] = []
    load_model(str(saved), device="cpu", progress=reports.append)
    loading = [report for report in reports if report.task.startswith("loading")]
    assert loading[-1].done == loading[-1].total
    assert "it/s" not in capfd.readouterr().err

    def stop(report: Progress) -> None:
        if report.done == 3:
            raise Stopped("stopped by hand")

    with pytest.raises(Stopped):
        load_model(str(saved), device="cpu", progress=stop)
