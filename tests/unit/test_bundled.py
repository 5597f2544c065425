"""Starters that lie in the checkout: verified by checksum, loaded from where they are, nothing written."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.tiny_models import save_tiny
from unlearning_core.errors import InputError
from unlearning_core.models.checksums import write_checksums
from unlearning_core.models.inspection import inspect_model
from unlearning_core.models.loading import load_model
from unlearning_core.models.sources import starters
from unlearning_core.models.sources.resolve import fingerprint, resolve
from unlearning_core.models.sources.starters import BundledStarter

ASK: tuple[Callable[[str], object], ...] = (starters.prepare, load_model, inspect_model)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model with the layout of the bundled one, in its place."""
    folder = save_tiny("gpt2", tmp_path / "smallworld")
    (folder / "README.md").write_text("---\nlicense: mit\n---\n# A model card\n")
    write_checksums(folder)
    known = starters.STARTERS["smallworld"]
    assert isinstance(known, BundledStarter)
    monkeypatch.setitem(starters.STARTERS, "smallworld", replace(known, folder=folder))
    return folder


def snapshot(folder: Path) -> dict[str, tuple[int, int]]:
    """Names, sizes and times of change of all that lies in `folder`."""
    return {str(path.relative_to(folder)): (path.stat().st_size, path.stat().st_mtime_ns) for path in folder.rglob("*")}


def test_it_loads_by_name_from_where_it_is_and_nothing_is_written(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared = tmp_path / "prepared"
    monkeypatch.setenv("UNLEARNING_MODELS", str(prepared))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    before = snapshot(tmp_path)
    assert starters.prepare("smallworld") == folder
    assert load_model("smallworld", device="cpu").info.licence == "mit"
    assert inspect_model("smallworld", device="cpu").download_bytes == 0
    assert snapshot(tmp_path) == before
    assert not prepared.exists()


def test_it_is_the_same_model_as_a_copy_of_its_folder(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    assert resolve("smallworld").kind == "starter"
    assert resolve(str(copy)).kind == "folder"
    assert fingerprint("smallworld") == fingerprint(str(copy))


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json"])
@pytest.mark.parametrize("ask", ASK)
def test_one_changed_byte_is_refused_by_name(folder: Path, name: str, ask: Callable[[str], object]) -> None:
    path = folder / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match="was changed or cut short") as refused:
        ask("smallworld")
    assert str(path) in str(refused.value)


@pytest.mark.parametrize("ask", ASK)
def test_a_lost_file_is_refused_by_name(folder: Path, ask: Callable[[str], object]) -> None:
    (folder / "model.safetensors").unlink()
    with pytest.raises(InputError, match=r"model\.safetensors is missing"):
        ask("smallworld")


@pytest.mark.parametrize("ask", [*ASK, fingerprint])
def test_a_lost_folder_says_how_to_get_it_back(folder: Path, ask: Callable[[str], object]) -> None:
    shutil.rmtree(folder)
    assert "git checkout" in str(starters.STARTERS["smallworld"].unavailable())
    with pytest.raises(InputError, match="git checkout models/smallworld"):
        ask("smallworld")


def test_the_controls_are_known_by_name_but_not_offered() -> None:
    assert list(starters.offered()) == ["smallworld", "smollm2"]
    assert resolve("smallworld-never-knew-seats").kind == resolve("smallworld-routed-seats").kind == "starter"


def test_bundled_models_lie_in_the_checkout_whatever_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNLEARNING_MODELS", "/nowhere")
    for name in ("smallworld", "smallworld-never-knew-seats", "smallworld-routed-seats"):
        starter = starters.STARTERS[name]
        assert isinstance(starter, BundledStarter)
        assert starter.folder == Path(__file__).resolve().parents[2] / "models" / name
