"""Zips from anybody: looked through whole before a byte of one is unpacked.

What a member unpacks to is bounded by what the zip says of it (zipfile stops there and compares the checksum), so the
sizes that are summed here are true or the zip is damaged.
"""

import errno
import shutil
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from unlearning_core.errors import InputError, WorkFailed

MOST_FILES = 20_000
MOST_BYTES = 400 << 30
"""All files together, unpacked."""
MOST_RATIO, RATIO_FROM_BYTES = 100.0, 10 << 20
"""Unpacked bytes for each packed byte, of one file or of all together, from that size on: text shrinks some ten times,
weights hardly, a bomb a thousandfold."""

_DIRECTORY = 8 << 20
"""Bytes of the list of members at the end of a zip; Python makes an object of each before it can be asked anything."""
_CHUNK = 4 << 20
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, UnicodeError, OverflowError)


@contextmanager
def opened(file: Path | BinaryIO, label: str, mend: str) -> Iterator[zipfile.ZipFile]:
    """The zip `file`, called `label`; whatever inside the `with` shows that it is damaged is a sentence.

    Args:
        mend: what to do about a damaged zip; a sentence.

    Raises:
        InputError: it is no zip, or a damaged one.
    """
    try:
        _check_directory(file, label, mend)
        with zipfile.ZipFile(file) as archive:
            yield archive
    except _DAMAGED as error:
        raise InputError(f"{label} is not a zip file, or a damaged one ({_short(error)}). {mend}") from error
    except OSError as error:
        if error.errno != errno.EINVAL:  # a place before the beginning of the file
            raise
        raise InputError(f"{label} is not a zip file, or a damaged one ({_short(error)}). {mend}") from error


def _short(error: BaseException) -> str:
    return " ".join(str(error).split())[:200].rstrip(".") or type(error).__name__


def _check_directory(file: Path | BinaryIO, label: str, mend: str) -> None:
    """The end record says how long the list of members is: compared before zipfile reads all of it."""
    if isinstance(file, Path):
        with file.open("rb") as open_file:
            _check_directory(open_file, label, mend)
        return
    size = file.seek(0, 2)
    file.seek(max(0, size - 66_000))
    end = file.read()
    file.seek(0)
    place = end.rfind(b"PK\x05\x06")
    length = int.from_bytes(end[place + 12 : place + 16], "little") if place >= 0 else 0
    large = end.rfind(b"PK\x06\x06")  # the longer record of zips beyond 4 GB
    if length == 0xFFFFFFFF and large >= 0:
        length = int.from_bytes(end[large + 40 : large + 48], "little")
    if length > min(size, _DIRECTORY):
        raise InputError(
            f"{label} is not a zip file, or a damaged one: its list of files claims {length:,} bytes. {mend}"
        )


def check_members(
    members: list[zipfile.ZipInfo],
    label: str,
    *,
    most_files: int = MOST_FILES,
    most_bytes: int = MOST_BYTES,
) -> None:
    """Refuse a zip that would leave its folder, holds anything but files, or unpacks to more than its kind does.

    Raises:
        InputError: says which of them, and of what member.
    """
    if len(members) > most_files:
        raise InputError(
            f"{label} holds {len(members):,} files; at most {most_files:,} are taken. Do not use this zip."
        )
    for member in members:
        _check_member(member, label)
    total = sum(member.file_size for member in members)
    if total > most_bytes:
        raise InputError(
            f"{label} unpacks to {total / 1e9:.1f} GB; at most {most_bytes / 1e9:.1f} GB are taken. Do not use it."
        )
    _check_ratio(label, label, total, sum(member.compress_size for member in members))


def inner_path(member: zipfile.ZipInfo) -> str:
    """The path of a member with slashes, as the format asks for; some programs on Windows write backslashes."""
    return member.orig_filename.replace("\\", "/")


def _check_member(member: zipfile.ZipInfo, label: str) -> None:
    # orig_filename: zipfile cuts a name at a NUL.
    name = inner_path(member)
    drive = len(name) > 1 and name[1] == ":"
    if name.startswith("/") or "\\" in name or "\0" in name or drive or ".." in name.split("/"):
        raise InputError(f"{label} holds the path {name[:200]!r}, which leaves the folder. Do not use this zip.")
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise InputError(f"{label}: {name} is a link or a device, not a file. Zip the files themselves.")
    if member.flag_bits & 0x1:
        raise InputError(f"{label} is encrypted ({name}). Zip the folder without a password.")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise InputError(f"{label}: {name} is packed in a way that cannot be read. Zip it with the usual method.")
    _check_ratio(label, name, member.file_size, member.compress_size)


def _check_ratio(label: str, name: str, size: int, packed: int) -> None:
    ratio = size / max(packed, 1)
    if size > RATIO_FROM_BYTES and ratio > MOST_RATIO:
        what = "it" if name == label else name
        raise InputError(
            f"{label}: {what} unpacks to {ratio:,.0f} times its packed size, which no model or run does (at most "
            f"{MOST_RATIO:,.0f}). Do not use this zip."
        )


def check_disk(label: str, members: list[zipfile.ZipInfo], folder: Path) -> None:
    """Raises WorkFailed where `folder` has less room than `members` of the zip `label` take."""
    need, free = sum(member.file_size for member in members), shutil.disk_usage(folder).free
    if need > free:
        raise WorkFailed(
            f"{label} needs {need / 1e9:.1f} GB in {folder} once unpacked, and {free / 1e9:.1f} GB are free. Free some "
            "space, or choose a folder on another disk."
        )


def extract(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path, wrote: Callable[[int], object] = lambda size: None
) -> None:
    """Write `member` to the new file `target`; `wrote` is told of every chunk's bytes, and may raise Stopped.

    Raises:
        zipfile.BadZipFile: it is damaged, or something is there already; `opened` makes a sentence of it.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as unpacked, archive.open(member) as packed:
            while chunk := packed.read(_CHUNK):
                unpacked.write(chunk)
                wrote(len(chunk))
    except (FileExistsError, NotADirectoryError, IsADirectoryError, RuntimeError, ValueError, *_DAMAGED) as error:
        raise zipfile.BadZipFile(f"damaged at {member.filename[:200]}: {_short(error)}") from error
    if target.stat().st_size != member.file_size:
        raise zipfile.BadZipFile(f"damaged at {member.filename[:200]}: its size is wrong")
