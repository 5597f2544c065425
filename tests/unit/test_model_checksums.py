"""A model folder is what its checksums say, or the file that is not is named."""

import hashlib
from pathlib import Path

import pytest

from unlearning_core.errors import InputError
from unlearning_core.models.checksums import CHECKSUMS, verify, write_checksums


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    (tmp_path / "README.md").write_text("prose")
    write_checksums(tmp_path)
    return tmp_path


def test_the_file_lists_all_but_the_card(folder: Path) -> None:
    expected = [(hashlib.sha256(b"{}"), "config.json"), (hashlib.sha256(b"weights"), "model.safetensors")]
    assert (folder / CHECKSUMS).read_text() == "".join(f"{sha.hexdigest()}  {name}\n" for sha, name in expected)


def test_an_untouched_folder_and_an_edited_card_pass(folder: Path) -> None:
    (folder / "README.md").write_text("other prose")
    verify(folder)


def test_a_changed_file_is_named(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"weighty")
    with pytest.raises(InputError, match=r"model\.safetensors has the checksum .* changed or cut short"):
        verify(folder)


def test_a_missing_file_is_named(folder: Path) -> None:
    (folder / "config.json").unlink()
    with pytest.raises(InputError, match=r"config\.json is missing"):
        verify(folder)


def test_checksums_that_are_missing_or_garbled_are_named(folder: Path) -> None:
    (folder / CHECKSUMS).write_text("not a checksum\n")
    with pytest.raises(InputError, match=r"SHA256SUMS, line 1"):
        verify(folder)
    (folder / CHECKSUMS).unlink()
    with pytest.raises(InputError, match=r"SHA256SUMS cannot be read"):
        verify(folder)
