"""A model folder that came as a zip: looked through whole before a single byte of it is written."""

import logging
import re
import zipfile
from contextlib import nullcontext
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

from unlearning_core.archives import check_members, extract, inner_path, opened
from unlearning_core.errors import InputError
from unlearning_core.models.checksums import sha256_of, sha256_of_open
from unlearning_core.models.sources.prepared import check_space, prepare_once
from unlearning_core.progress import Progress, ProgressCallback, silent

_log = logging.getLogger(__name__)

MOST_FILES = 1000
MOST_BYTES = 40 << 30
"""All files together, unpacked."""

_MEND = "Zip the model folder again."


def unpack_zip(source: Path | str | BinaryIO, destination_root: Path, progress: ProgressCallback = silent) -> Path:
    """Unpack the model folder inside a zip to `destination_root/<name>-<checksum>`; the same zip is unpacked once.

    Raises:
        InputError: not a zip, damaged, encrypted, holding a path that leaves the folder, a link, too much, or no
            config.json at its root or one folder down. Nothing is left behind.
        WorkFailed: the disk has too little space left.
    """
    path = Path(source) if isinstance(source, str | Path) else None
    if path and not path.is_file():
        raise InputError(f"{source} does not exist. Give the path of a zip of a model folder.")
    with path.open("rb") if path else nullcontext(cast("BinaryIO", source)) as file:
        label = Path(str(getattr(file, "name", "upload.zip"))).name
        checksum = sha256_of(path, progress) if path else sha256_of_open(file, label, progress)
        stem = re.sub(r"[^\w.-]+", "_", Path(label).stem).strip("._") or "upload"
        target = Path(destination_root) / f"{stem}-{checksum[:12]}"

        def fill(folder: Path) -> dict[str, str]:
            members = _checked(file, label)
            check_space(label, sum(member.file_size for member in members.values()), target, "unpacked")
            _write(file, label, members, folder, progress)
            return {"source": label, "checked": "size and checksum of every member"}

        return prepare_once(target, checksum, fill, progress)


def _checked(file: BinaryIO, label: str) -> dict[str, zipfile.ZipInfo]:
    """Path inside the model folder -> member, after every check."""
    with opened(file, label, _MEND) as archive:
        members = [member for member in archive.infolist() if not inner_path(member).endswith("/")]
    check_members(members, label, most_files=MOST_FILES, most_bytes=MOST_BYTES)
    return _model_files(members, label)


def _model_files(members: list[zipfile.ZipInfo], label: str) -> dict[str, zipfile.ZipInfo]:
    """The files beside the one config.json at the root or one folder down; what a Mac adds is left out."""
    usable = [member for member in members if not inner_path(member).startswith("__MACOSX/")]
    paths = [PurePosixPath(inner_path(member)) for member in usable]
    homes = sorted({str(path.parent) for path in paths if path.name == "config.json" and len(path.parts) <= 2})
    home = "." if "." in homes else homes[0] if len(homes) == 1 else None
    if home is None:
        found = f"several folders have one: {', '.join(homes)}" if homes else "there is none"
        raise InputError(
            f"{label} should hold one model folder, with config.json at its root or one folder down; {found}. "
            "Zip the folder that save_pretrained wrote."
        )
    chosen: dict[str, zipfile.ZipInfo] = {}
    folded: set[str] = set()
    for member, path in zip(usable, paths, strict=True):
        if path.name == ".DS_Store" or (home != "." and path.parts[0] != home):
            continue
        inside = str(path if home == "." else path.relative_to(home))
        if inside.casefold() in folded:
            raise InputError(f"{label} holds {member.filename} twice. Zip the model folder again.")
        folded.add(inside.casefold())
        chosen[inside] = member
    return chosen


def _write(
    file: BinaryIO, label: str, members: dict[str, zipfile.ZipInfo], folder: Path, progress: ProgressCallback
) -> None:
    total = sum(member.file_size for member in members.values())
    done = 0

    def wrote(size: int) -> None:
        nonlocal done
        done += size
        progress(Progress(f"unpacking {label}", done, total, "bytes"))

    with opened(file, label, _MEND) as archive:
        for inside, member in members.items():
            extract(archive, member, folder / inside, wrote)
    _log.info("unpacked %s (%d bytes)", label, done)
