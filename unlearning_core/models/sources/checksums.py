"""Checksums of the files of a model folder, in the form that `sha256sum --check` reads."""

from pathlib import Path

from unlearning_core.errors import InputError
from unlearning_core.files import write_text
from unlearning_core.models.hashing import sha256_of
from unlearning_core.progress import ProgressCallback, silent

CHECKSUMS = "SHA256SUMS"
"""A line a file: SHA-256 in hexadecimal, two spaces, path within the folder."""

_FREE = (CHECKSUMS, "README.md")
# A model card is prose: it may be edited without the model being another.


def write_checksums(folder: Path) -> None:
    """Write the checksums of every file in `folder` but the model card into it."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    names = [path.relative_to(folder).as_posix() for path in files]
    write_text(
        folder / CHECKSUMS, "".join(f"{sha256_of(folder / name)}  {name}\n" for name in names if name not in _FREE)
    )


def has_checksums(folder: Path) -> bool:
    """Whether `folder` says what its files must be."""
    return (folder / CHECKSUMS).is_file()


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
