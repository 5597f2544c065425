"""A model folder as one zip that stock transformers loads once it is unpacked."""

import io
import tempfile
import zipfile
from pathlib import Path

from unlearning_core.errors import InputError
from unlearning_core.files import disk_errors


def packed_bytes(folder: Path) -> int:
    """Bytes of the zip, but for some hundred a file: weights hardly shrink, so nothing is compressed."""
    return sum(path.stat().st_size for path in _files(folder))


def packed(folder: Path) -> io.BufferedReader:
    """The files of a model folder in a zip, under the folder's name: open for reading, and gone once it is closed.

    A buffered reader, which is the kind of file that Streamlit takes for a download. Written to disk piece by piece:
    for a moment it takes as much room beside the folder.

    Raises:
        InputError: there is no such folder.
        WorkFailed: the disk is full.
    """
    with disk_errors(folder):
        # Without a name and not closed here: who asked for it reads it.
        file = tempfile.TemporaryFile(dir=folder.parent, buffering=0)  # noqa: SIM115
        try:
            writer = io.BufferedWriter(file)
            with zipfile.ZipFile(writer, "w", zipfile.ZIP_STORED) as archive:
                for path in _files(folder):
                    archive.write(path, f"{folder.name}/{path.relative_to(folder).as_posix()}")
            writer.detach()
        except BaseException:
            file.close()
            raise
    file.seek(0)
    return io.BufferedReader(file)


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise InputError(f"There is no model in {folder} any more. Make it again on the page that made it.")
    return sorted(path for path in folder.rglob("*") if path.is_file())
