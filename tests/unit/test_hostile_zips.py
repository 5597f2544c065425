"""Zips that would fill a disk or are damaged: refused in a sentence, as a model and as a run, with nothing left."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from unlearning_core import archives
from unlearning_core.errors import InputError, WorkFailed
from unlearning_core.models.sources.zip import unpack_zip
from unlearning_core.runs.transfer import import_run

FILES = {
    "config.json": '{"model_type": "llama"}',
    "run.json": json.dumps({"format": 1, "id": "20260101-000000-model-seats-abcdef"}),
    "run/config.json": json.dumps({"base_model": {"base_model_path": "smallworld"}}),
    "run/status.json": json.dumps({"state": "finished", "stages": {}}),
}
"""What both readers take to be a zip of theirs."""

Reader = Callable[[Path, Path], object]
both = pytest.mark.parametrize("read", [unpack_zip, import_run], ids=["model", "run"])


def zipped(path: Path, more: dict[str, bytes] | None = None) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in (FILES | (more or {})).items():
            archive.writestr(name, content)
    return path


def refused(read: Reader, path: Path) -> str:
    root = path.parent / "root"
    with pytest.raises(InputError) as error:
        read(path, root)
    left = [found for found in root.rglob("*") if found.is_file() and not found.name.endswith("lock")]
    assert left == []
    return str(error.value)


@both
def test_the_zip_is_taken_where_nothing_is_wrong_with_it(read: Reader, tmp_path: Path) -> None:
    assert read(zipped(tmp_path / "a.zip", {"run/log.txt": b"x" * 5000}), tmp_path / "root")


@both
def test_many_files_that_each_unpack_to_a_little_less_than_is_looked_at_are_summed(
    read: Reader, tmp_path: Path
) -> None:
    zeros = bytes(archives.RATIO_FROM_BYTES - 1)
    path = zipped(tmp_path / "a.zip", {f"run/inputs/{number}": zeros for number in range(8)})
    assert path.stat().st_size < 200_000
    assert "times its packed size" in refused(read, path)


@both
def test_more_than_the_disk_holds_is_refused_before_a_byte_is_written(
    read: Reader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = __import__("shutil").disk_usage(tmp_path)
    monkeypatch.setattr("shutil.disk_usage", lambda folder: usage._replace(free=20))
    with pytest.raises(WorkFailed, match="GB are free"):
        read(zipped(tmp_path / "a.zip"), tmp_path / "root")
    assert not [found for found in (tmp_path / "root").rglob("*") if found.is_file() and found.suffix != ".lock"]


@both
@pytest.mark.parametrize("name", ["run/config.json", "config.json", "run/log.txt"])
@pytest.mark.parametrize("where", [0, 10, 200])
def test_a_damaged_stream_is_named(read: Reader, tmp_path: Path, name: str, where: int) -> None:
    noise = bytes((number * number * 7 + number) % 251 for number in range(3000))
    path = zipped(tmp_path / "a.zip", {name: FILES.get(name, "").encode() + b" " + noise.hex().encode()})
    with zipfile.ZipFile(path) as archive:
        member = archive.getinfo(name)
    content = bytearray(path.read_bytes())
    begin = member.header_offset + 30 + len(name) + min(where, member.compress_size - 20)
    content[begin : begin + 16] = b"\xff" * 16
    path.write_bytes(content)
    if read is unpack_zip or name != "config.json":  # a run's zip has no use for that one
        assert "damaged" in refused(read, path)


@both
@pytest.mark.parametrize("end", [b"PK\x05\x06" + b"\0" * 8 + b"\xff\xff\xff\x7f" + b"\0" * 6, b"", b"PK\x05\x06"])
def test_a_list_of_members_longer_than_the_zip_is_refused_unread(read: Reader, tmp_path: Path, end: bytes) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(b"PK\x03\x04" + b"\0" * 60 + end)
    assert "not a zip file, or a damaged one" in refused(read, path)


@both
@pytest.mark.parametrize("name", ["../x", "/x", "run/../../x", "run\\..\\x", "C:x", "run/a\0b"])
def test_a_path_that_leaves_the_folder_is_refused(read: Reader, tmp_path: Path, name: str) -> None:
    path = zipped(tmp_path / "a.zip", {"run/" + "y" * (len(name) - 4) if len(name) > 4 else "y" * len(name): b""})
    placeholder = ("run/" + "y" * (len(name) - 4) if len(name) > 4 else "y" * len(name)).encode()
    path.write_bytes(path.read_bytes().replace(placeholder, name.encode()))
    assert "leaves the folder" in refused(read, path)
    assert not (tmp_path / "x").exists()
