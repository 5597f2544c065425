"""A model folder as one zip that stock transformers loads once it is unpacked."""

import tempfile
import zipfile
from pathlib import Path
from typing import BinaryIO

from unlearning_core.errors import InputError
from unlearning_core.files import disk_errors


def packed_bytes(folder: Path) -> int:
    """Bytes of the zip, but for some hundred a file: weights hardly shrink, so nothing is compressed."""
    return sum(path.stat().st_size for path in _files(folder))


def packed(folder: Path) -> BinaryIO:
    """The files of a model folder in a zip, under the folder's name: an open file that vanishes when it is closed.

    Written to disk piece by piece: it needs no memory, and for a moment as much room beside the folder.

    Raises:
        InputError: there is no such folder.
        WorkFailed: the disk is full.
    """
    with disk_errors(folder):
        # Not closed here: who asked for it reads it.
        target = tempfile.TemporaryFile(dir=folder.parent)  # noqa: SIM115
        try:
            with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
                for path in _files(folder):
                    archive.write(path, f"{folder.name}/{path.relative_to(folder).as_posix()}")
        except BaseException:
            target.close()
            raise
    target.seek(0)
    return target


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise InputError(f"There is no model in {folder}. Keep a cut first: that writes the pruned model.")
    return sorted(path for path in folder.rglob("*") if path.is_file())
