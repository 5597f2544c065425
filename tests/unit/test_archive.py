"""Zips of model folders: what is taken, and that a refused one writes nothing."""

import io
import os
import stat
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.tiny_models import save_tiny
from unlearning_core.errors import InputError, Stopped
from unlearning_core.models.loading import load_model
from unlearning_core.models.sources.resolve import resolve
from unlearning_core.models.sources.zip import unpack_zip

CONFIG = b'{"model_type": "llama"}'


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def refused(path: Path, root: Path) -> str:
    """The sentence of the refusal, once it is certain that nothing was written."""
    with pytest.raises(InputError) as error:
        unpack_zip(path, root)
    assert not [found for found in root.rglob("*") if found.is_file() and not found.name.endswith(".lock")]
    return str(error.value)


@pytest.mark.parametrize("inside", ["", "my model/"])
def test_a_folder_at_the_root_or_one_down_is_unpacked_byte_for_byte(tmp_path: Path, inside: str) -> None:
    files = {"config.json": CONFIG, "model.safetensors": bytes(range(256)) * 100, "README.md": b"hello"}
    path = zipped(tmp_path / "My model.zip", {inside + name: content for name, content in files.items()})
    folder = unpack_zip(path, tmp_path / "models")
    assert folder.parent == tmp_path / "models"
    assert {name: (folder / name).read_bytes() for name in files} == files


def test_what_a_mac_adds_is_left_out(tmp_path: Path) -> None:
    junk = {"__MACOSX/m/._config.json": b"x", "m/.DS_Store": b"x"}
    folder = unpack_zip(zipped(tmp_path / "m.zip", {"m/config.json": CONFIG, **junk}), tmp_path / "models")
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "prepared.json"]


def test_a_zip_with_backslashes_in_its_paths_is_taken(tmp_path: Path) -> None:
    stand_in = zipped(tmp_path / "m.zip", {"m|config.json": CONFIG, "m|sub|a.txt": b"a", "m|sub|": b""})
    stand_in.write_bytes(stand_in.read_bytes().replace(b"|", b"\\"))
    folder = unpack_zip(stand_in, tmp_path / "models")
    assert (folder / "config.json").read_bytes() == CONFIG
    assert (folder / "sub" / "a.txt").read_bytes() == b"a"


def test_an_open_upload_is_taken_like_a_path(tmp_path: Path) -> None:
    path = zipped(tmp_path / "m.zip", {"m/config.json": CONFIG})
    upload = io.BytesIO(path.read_bytes())
    upload.name = "m.zip"
    assert unpack_zip(upload, tmp_path / "models") == unpack_zip(path, tmp_path / "models")


def test_the_same_zip_is_unpacked_once_and_again_when_a_file_was_lost(tmp_path: Path) -> None:
    path = zipped(tmp_path / "m.zip", {"m/config.json": CONFIG, "m/a.txt": b"a"})
    folder = unpack_zip(path, tmp_path / "models")
    made = (folder / "prepared.json").stat().st_ino
    assert unpack_zip(path, tmp_path / "models") == folder
    assert (folder / "prepared.json").stat().st_ino == made
    (folder / "a.txt").write_bytes(b"")
    unpack_zip(path, tmp_path / "models")
    assert (folder / "a.txt").read_bytes() == b"a"
    (folder / "a.txt").write_bytes(b"b")  # of the same size: only the time tells
    os.utime(folder / "a.txt", (1_000_000, 1_000_000))
    unpack_zip(path, tmp_path / "models")
    assert (folder / "a.txt").read_bytes() == b"a"


@pytest.mark.parametrize(
    "name", ["../evil", "m/../../evil", "/etc/evil", "C:/evil", "C:evil", "..\\evil", "m\\..\\evil", "m/a\0b"]
)
def test_a_path_that_leaves_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    # The real name is written afterwards, because zipfile mends some of these when it writes.
    stand_in = "".join("x" if letter in "\\\0" else letter for letter in name)
    path = zipped(tmp_path / "m.zip", {"m/config.json": CONFIG, stand_in: b"evil"})
    path.write_bytes(path.read_bytes().replace(stand_in.encode(), name.encode()))
    assert "leaves the folder" in refused(path, tmp_path / "models")


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO])
def test_links_and_devices_are_refused(tmp_path: Path, kind: int) -> None:
    path = zipped(tmp_path / "m.zip", {"m/config.json": CONFIG})
    with zipfile.ZipFile(path, "a") as archive:
        link = zipfile.ZipInfo("m/model.safetensors")
        link.external_attr = (kind | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    assert "link or a device" in refused(path, tmp_path / "models")


def test_a_bomb_is_refused_by_its_ratio(tmp_path: Path) -> None:
    path = zipped(tmp_path / "m.zip", {"m/config.json": CONFIG, "m/model.safetensors": bytes(20 << 20)})
    assert "times its packed size" in refused(path, tmp_path / "models")


def test_too_many_files_and_too_many_bytes_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = zipped(tmp_path / "m.zip", {"m/config.json": CONFIG, **{f"m/{n}.txt": b"12345" for n in range(9)}})
    monkeypatch.setattr("unlearning_core.models.sources.zip.MOST_BYTES", 50)
    assert "unpacks to" in refused(path, tmp_path / "models")
    monkeypatch.setattr("unlearning_core.models.sources.zip.MOST_FILES", 9)
    assert "10 files" in refused(path, tmp_path / "models")


def test_an_encrypted_zip_is_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path / "m.zip", {"m/config.json": CONFIG})
    content = bytearray(path.read_bytes())
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(signature) + flags] |= 1
    path.write_bytes(content)
    assert "encrypted" in refused(path, tmp_path / "models")


def without_config(path: Path) -> Path:
    return zipped(path, {"m/model.safetensors": b"x"})


def two_models(path: Path) -> Path:
    return zipped(path, {"a/config.json": CONFIG, "b/config.json": CONFIG})


def too_deep(path: Path) -> Path:
    return zipped(path, {"a/b/config.json": CONFIG})


def not_a_zip(path: Path) -> Path:
    path.write_bytes(b"GGUF and so on")
    return path


def cut_short(path: Path) -> Path:
    whole = zipped(path, {"m/config.json": CONFIG, "m/a.txt": b"a" * 1000}).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    return path


def twice(path: Path) -> Path:
    return zipped(path, {"m/config.json": CONFIG, "m/A.txt": b"1", "m/a.txt": b"2"})


def file_and_folder(path: Path) -> Path:
    return zipped(path, {"m/config.json": CONFIG, "m/a": b"1", "m/a/b": b"2"})


def damaged(path: Path) -> Path:
    noise = zlib.compress(bytes(range(256)) * 8)
    whole = bytearray(zipped(path, {"m/config.json": CONFIG, "m/model.safetensors": noise}).read_bytes())
    at = whole.index(b"model.safetensors") + 40
    whole[at] ^= 0xFF
    path.write_bytes(whole)
    return path


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (without_config, "there is none"),
        (two_models, "several folders have one: a, b"),
        (too_deep, "there is none"),
        (not_a_zip, "not a zip file"),
        (cut_short, "not a zip file"),
        (twice, "twice"),
        (file_and_folder, "damaged at m/a/b"),
        (damaged, "damaged at m/model.safetensors"),
    ],
)
def test_a_zip_that_is_no_whole_model_is_refused(tmp_path: Path, make: Callable[[Path], Path], sentence: str) -> None:
    assert sentence in refused(make(tmp_path / "m.zip"), tmp_path / "models")


def test_a_stop_in_the_middle_leaves_nothing(tmp_path: Path) -> None:
    path = zipped(tmp_path / "m.zip", {"m/config.json": CONFIG, "m/a.txt": b"a"})

    def stop(report: object) -> None:
        if "unpacking" in str(report):
            raise Stopped("stopped")

    with pytest.raises(Stopped):
        unpack_zip(path, tmp_path / "models", progress=stop)
    assert [found.name for found in (tmp_path / "models").iterdir() if not found.name.endswith(".lock")] == []


def test_a_zip_is_a_model_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNLEARNING_MODELS", str(tmp_path / "models"))
    folder = save_tiny("llama", tmp_path / "tiny")
    path = zipped(tmp_path / "tiny.zip", {f"tiny/{found.name}": found.read_bytes() for found in folder.iterdir()})
    assert resolve(str(path)).kind == "folder"
    assert load_model(str(path), device="cpu").info.shapes == load_model(str(folder), device="cpu").info.shapes
