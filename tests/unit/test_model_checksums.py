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


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("model.safetensors", "weighty", r"model\.safetensors has the checksum .* changed or cut short"),
        ("config.json", None, r"config\.json is missing"),
        (CHECKSUMS, "not a checksum\n", r"SHA256SUMS, line 1"),
        (CHECKSUMS, None, r"SHA256SUMS cannot be read"),
    ],
)
def test_a_changed_or_missing_file_is_named(folder: Path, name: str, content: str | None, sentence: str) -> None:
    (folder / name).unlink() if content is None else (folder / name).write_text(content)
    with pytest.raises(InputError, match=sentence):
        verify(folder)
