"""A model folder that came as a zip: looked through whole before a single byte of it is written."""

import logging
import re
import stat
import zipfile
import zlib
from contextlib import nullcontext
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

from unlearning_core.errors import InputError
from unlearning_core.models.checksums import sha256_of, sha256_of_open
from unlearning_core.models.sources.prepared import check_space, prepare_once
from unlearning_core.progress import Progress, ProgressCallback, silent

_CHUNK = 4 << 20
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError, NotADirectoryError, FileExistsError)
_log = logging.getLogger(__name__)

MOST_FILES = 1000
MOST_BYTES = 40 << 30
"""All files together, unpacked."""
MOST_RATIO, RATIO_FROM_BYTES = 200.0, 10 << 20
"""Unpacked bytes for each packed byte of a file at least that large: weights hardly shrink, a bomb a thousandfold."""


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
    try:
        with zipfile.ZipFile(file) as archive:
            members = [member for member in archive.infolist() if not member.is_dir()]
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError) as error:
        raise InputError(f"{label} is not a zip file, or a damaged one. Zip the model folder again.") from error
    if len(members) > MOST_FILES:
        raise InputError(f"{label} holds {len(members):,} files; a model folder has at most {MOST_FILES:,}.")
    for member in members:
        _check_member(member, label)
    total = sum(member.file_size for member in members)
    if total > MOST_BYTES:
        raise InputError(f"{label} unpacks to {total / 1e9:.1f} GB; at most {MOST_BYTES / 1e9:.1f} GB are taken.")
    return _model_files(members, label)


def _check_member(member: zipfile.ZipInfo, label: str) -> None:
    # orig_filename: zipfile cuts a name at a NUL and turns backslashes into slashes on Windows only.
    name = member.orig_filename
    parts = PurePosixPath(name).parts
    if name.startswith("/") or "\\" in name or "\0" in name or re.match(r"[A-Za-z]:", name) or ".." in parts:
        raise InputError(f"{label} holds the path {name!r}, which leaves the folder. Do not use this zip.")
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        raise InputError(f"{label}: {name} is a link or a device, not a file. Zip the files themselves.")
    if member.flag_bits & 0x1:
        raise InputError(f"{label} is encrypted ({name}). Zip the model folder without a password.")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise InputError(f"{label}: {name} is packed in a way that cannot be read. Zip it with the usual method.")
    ratio = member.file_size / max(member.compress_size, 1)
    if member.file_size > RATIO_FROM_BYTES and ratio > MOST_RATIO:
        raise InputError(
            f"{label}: {name} unpacks to {ratio:,.0f} times its packed size, which no model does (at most "
            f"{MOST_RATIO:,.0f}). Do not use this zip."
        )


def _model_files(members: list[zipfile.ZipInfo], label: str) -> dict[str, zipfile.ZipInfo]:
    """The files beside the one config.json at the root or one folder down; what a Mac adds is left out."""
    usable = [member for member in members if not member.filename.startswith("__MACOSX/")]
    paths = [PurePosixPath(member.filename) for member in usable]
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
    with zipfile.ZipFile(file) as archive:
        for inside, member in members.items():
            path = folder / inside
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(member) as packed, path.open("xb") as unpacked:
                    while chunk := packed.read(_CHUNK):
                        unpacked.write(chunk)
                        done += len(chunk)
                        progress(Progress(f"unpacking {label}", done, total, "bytes"))
            except _DAMAGED as error:
                raise InputError(f"{label} is damaged at {member.filename}. Zip the model folder again.") from error
            if path.stat().st_size != member.file_size:
                raise InputError(f"{label} is damaged at {member.filename}: its size is wrong. Zip the folder again.")
    _log.info("unpacked %s (%d bytes)", label, done)
