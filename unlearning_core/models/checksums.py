"""Checksums of model files: computed once a file, kept beside a model in the form that `sha256sum --check` reads."""

import hashlib
from pathlib import Path
from typing import BinaryIO

from unlearning_core.errors import InputError
from unlearning_core.files import write_text
from unlearning_core.progress import Progress, ProgressCallback, silent

CHECKSUMS = "SHA256SUMS"
"""A line a file: SHA-256 in hexadecimal, two spaces, path within the folder."""

_CHUNK = 4 << 20
_FREE = (CHECKSUMS, "README.md")
# A model card is prose: it may be edited without the model being another.

_READ = (
    *("config.json", "generation_config.json", "model*.safetensors", "model.safetensors.index.json"),
    *("tokenizer*.json", "special_tokens_map.json", "added_tokens.json", "vocab.*", "merges.txt", "*.model"),
    *("chat_template*", "pytorch_model*.bin", "pytorch_model.bin.index.json"),
)
# The files that loading reads; a note or a log beside them is not part of the model.
_known: dict[tuple[Path, int, int], str] = {}


def sha256_of(path: Path, progress: ProgressCallback = silent) -> str:
    """SHA-256 of the file's bytes, in hexadecimal; remembered while this process lives.

    The same path, size and time of change count as the same bytes.
    """
    seen = path.stat()
    key = (path.resolve(), seen.st_size, seen.st_mtime_ns)
    if key not in _known:
        with open(path, "rb") as file:
            _known[key] = sha256_of_open(file, path.name, progress)
    return _known[key]


def sha256_of_open(file: BinaryIO, name: str, progress: ProgressCallback = silent) -> str:
    """SHA-256 of all of an open file, which `progress` calls `name`; it stands at its beginning afterwards."""
    size = file.seek(0, 2)
    file.seek(0)
    total, done = hashlib.sha256(), 0
    while chunk := file.read(_CHUNK):
        progress(Progress(f"checking {name}", done, size, "bytes"))
        total.update(chunk)
        done += len(chunk)
    file.seek(0)
    return total.hexdigest()


def fingerprint_of_folder(folder: Path) -> str:
    """Identity of a model folder: SHA-256 over the names and checksums of the files that loading reads."""
    total = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if any(path.match(pattern) for pattern in _READ) and path.is_file():
            total.update(f"{path.name}\0{sha256_of(path)}\n".encode())
    return f"folder:{total.hexdigest()}"


def write_checksums(folder: Path) -> None:
    """Write the checksums of every file in `folder` but the model card into it."""
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    lines = [f"{sha256_of(folder / name)}  {name}\n" for name in names if name not in _FREE]
    write_text(folder / CHECKSUMS, "".join(lines))


def verify(folder: Path, progress: ProgressCallback = silent) -> None:
    """Compare every file that `folder` has a checksum for.

    Raises:
        InputError: there are no checksums, or a file is missing or differs; the sentence names it.
    """
    try:
        lines = (folder / CHECKSUMS).read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise InputError(f"{folder / CHECKSUMS} cannot be read; restore the folder, for example with git.") from error
    for number, line in enumerate(lines, 1):
        expected, _, name = line.partition("  ")
        if not name:
            raise InputError(
                f"{folder / CHECKSUMS}, line {number}: {line[:80]!r} is not a checksum, two spaces and a file name; "
                "restore the file, for example with git."
            )
        path = folder / name
        if not path.is_file():
            raise InputError(f"{path} is missing, but {CHECKSUMS} lists it; restore it, for example with git.")
        found = sha256_of(path, progress)
        if found != expected:
            raise InputError(
                f"{path} has the checksum {found[:12]}..., but {CHECKSUMS} says {expected[:12]}...: the file was "
                "changed or cut short. Restore it, for example with git."
            )
