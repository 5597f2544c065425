"""What a person may type as a model, and the identity of its content."""

import os
import shutil
from pathlib import Path

import pytest

from tests.tiny_models import save_tiny
from unlearning_core.errors import InputError
from unlearning_core.models.sources.resolve import fingerprint, local_folder, resolve
from unlearning_core.models.sources.starters import STARTERS, PackagedStarter


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save_tiny("llama", tmp_path / "tiny")


@pytest.mark.parametrize("name", ["gpt2", "openai-community/gpt2", "HuggingFaceTB/SmolLM2-135M-Instruct", "a/b_c.d-1"])
def test_a_name_that_is_nothing_here_counts_as_a_hub_id(name: str) -> None:
    assert resolve(name).kind == "hub"


def test_folders_and_starters_are_told_apart(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert resolve(str(folder)).kind == "folder"
    assert resolve(" smollm2 ").kind == "starter"
    monkeypatch.chdir(folder.parent)
    folder.rename("smollm2")
    assert resolve("smollm2").kind == "starter"
    assert resolve("./smollm2").kind == "folder"


@pytest.mark.parametrize(
    "name", [*"/no/such/folder ./missing ~/missing a/b/c missing.gguf a/missing.zip a\\b a/../b".split(), "a b"]
)
def test_a_path_that_does_not_exist_is_no_hub_id(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "empty"
    home.mkdir()
    monkeypatch.chdir(home)
    with pytest.raises(InputError, match="does not exist"):
        resolve(name)


def test_no_name_and_a_single_file_are_a_sentence(folder: Path) -> None:
    for name in ("", "   "):
        with pytest.raises(InputError, match="No model is named"):
            resolve(name)
    with pytest.raises(InputError, match="is a file, not a model"):
        resolve(str(folder / "model.safetensors"))


def test_a_revision_of_a_local_model_is_refused(folder: Path) -> None:
    for ask in (fingerprint, lambda name, revision: local_folder(name, revision=revision)):
        with pytest.raises(InputError, match="revision 'main' was given"):
            ask(str(folder), "main")


def test_the_fingerprint_follows_the_bytes_and_nothing_else(folder: Path, tmp_path: Path) -> None:
    first = fingerprint(str(folder))
    copy = shutil.copytree(folder, tmp_path / "copy")
    for path in copy.iterdir():
        os.utime(path, (1, 1))
    (copy / "notes.json").write_text("{}")
    (copy / "trainer_state.json").write_text("{}")
    assert fingerprint(str(copy)) == first
    weights = copy / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    changed = fingerprint(str(copy))
    assert changed != first
    (copy / "tokenizer.json").write_text((copy / "tokenizer.json").read_text() + " ")
    assert fingerprint(str(copy)) not in (first, changed)


def test_a_second_fingerprint_reads_no_file_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = fingerprint(str(folder))
    opened: list[str] = []
    monkeypatch.setattr("unlearning_core.models.checksums.open", lambda path, mode: opened.append(path), raising=False)
    assert fingerprint(str(folder)) == first
    assert opened == []


def test_a_starter_has_its_files_checksum_for_identity() -> None:
    starter = STARTERS["smollm2"]
    assert isinstance(starter, PackagedStarter)
    assert starter.sha256 in fingerprint("smollm2")


def test_a_hub_model_offline_and_not_in_the_cache_says_so() -> None:
    for ask in (fingerprint, local_folder):
        with pytest.raises(InputError, match="HF_HUB_OFFLINE"):
            ask("nobody-at-all/no-such-model")
