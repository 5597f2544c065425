"""Files written whole or not at all: beside the target first, then renamed over it."""

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from unlearning_core.errors import InputError, WorkbenchError, WorkFailed
from unlearning_core.reading import parse_json

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FULL = (
    *(words for number in _NO_SPACE for words in (os.strerror(number), f"os error {number}")),
    *("PytorchStreamWriter", "unexpected pos", "iostream error"),  # torch: its stream is not where it should be
)

_IN_THE_WAY = (errno.EISDIR, errno.ENOTDIR, errno.ENOTEMPTY, errno.EEXIST, errno.ELOOP, errno.ENAMETOOLONG)

_PACKAGE = Path(__file__).resolve().parent

INSTALLED = (_PACKAGE / "_bundled").is_dir()
"""Whether this package came from a wheel; otherwise it runs from a checkout."""

ROOT = _PACKAGE / "_bundled" if INSTALLED else _PACKAGE.parent
"""The folder that holds `app.py`, `pages/`, `data/` and `models/`: the checkout, or the wheel's copy of them."""

PROGRAM = "unlearn" if INSTALLED else "python -m unlearning_core"
"""How a person calls the command line here, for sentences that say what to do next."""

DASHBOARD = "unlearning-workbench" if INSTALLED else "python -m unlearning_core.dashboard"
"""How a person opens the dashboard here."""


def child_python_path() -> str:
    """PYTHONPATH for a child process: this process's own, in a checkout with the checkout before it."""
    own = os.environ.get("PYTHONPATH")
    return os.pathsep.join(filter(None, [None if INSTALLED else str(ROOT), own]))


@contextmanager
def disk_errors(target: Path) -> Iterator[None]:
    """Turn a full disk or a forbidden folder into a sentence.

    Raises:
        WorkFailed: no space is left where `target` is written.
        InputError: `target` may not be written by this user, or something else is in its place.
    """
    try:
        yield
    except WorkbenchError:
        raise
    except Exception as error:
        number = error.errno if isinstance(error, OSError) else None
        # safetensors, Arrow and torch tell a full disk in words of their own, without the system's number.
        if number in _NO_SPACE or any(words in str(error) for words in _FULL):
            raise WorkFailed(
                f"The disk is full: {target} could not be written. Nothing half-written was left behind; "
                "free some space and run the same command again to go on."
            ) from error
        if number in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise InputError(
                f"{target} cannot be written: permission denied. Choose another output folder or change its rights."
            ) from error
        if number == errno.ENOENT and not can_hold(target):
            raise InputError(
                f"{target} cannot be written: its folder is not one that files can be made in. Choose another."
            ) from error
        if isinstance(error, OSError) and number in _IN_THE_WAY:
            name = error.filename2 or error.filename or target
            raise InputError(
                f"{name} cannot be written ({error.strerror}). Remove or rename what is there, or choose another "
                "folder."
            ) from error
        raise


def can_hold(target: Path) -> bool:
    """Whether a file can be made in the nearest folder above `target` that is there; not so in some of the system's."""
    folder = next(parent for parent in target.absolute().parents if parent.exists())
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def write_file(target: Path, write: Callable[[Path], object], *, make_folder: bool = True) -> None:
    """Let `write(path)` fill a temporary file beside `target`, then rename it to `target` in one step.

    The bytes are on the disk before the rename: a power cut leaves the old file or the new one, never an empty one.
    Without `make_folder` a folder that is not there is a FileNotFoundError.
    """
    with disk_errors(target):
        if make_folder:
            target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=target.suffix, dir=target.parent)
        os.close(handle)
        try:
            write(Path(name))
            os.chmod(name, 0o644)
            sync(Path(name))
            os.replace(name, target)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


def write_text(target: Path, text: str, *, make_folder: bool = True) -> None:
    """Write `text` as UTF-8, whole or not at all; `make_folder` as in `write_file`."""
    write_file(target, lambda path: path.write_text(text, encoding="utf-8"), make_folder=make_folder)


def write_json(target: Path, value: Any, *, make_folder: bool = True) -> None:
    """Write `value` as indented JSON, whole or not at all; `make_folder` as in `write_file`."""
    write_text(target, json.dumps(value, indent=2, ensure_ascii=False) + "\n", make_folder=make_folder)


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in `path`; an empty one while there is none, or where it is damaged."""
    try:
        value = parse_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def sync(path: Path) -> None:
    """Wait until the file or folder is on the disk."""
    if path.is_dir() and os.name == "nt":  # Windows cannot open a folder
        return
    handle = os.open(path, os.O_RDONLY if os.name != "nt" else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_tree(folder: Path) -> None:
    """Wait until everything in `folder` is on the disk."""
    for path in sorted(folder.rglob("*"), reverse=True):
        if not path.is_symlink():
            sync(path)
    sync(folder)


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """Yield an empty folder beside `target` to fill; it becomes `target` at the end, or vanishes on an exception.

    An older `target` is replaced only once the new one is complete.
    """
    with disk_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        try:
            os.chmod(temporary, 0o755)
            yield temporary
            sync_tree(temporary)
            if target.exists():
                old = Path(tempfile.mkdtemp(prefix=f".{target.name}.old.", dir=target.parent))
                os.replace(target, old / "old")
                os.replace(temporary, target)
                shutil.rmtree(old, ignore_errors=True)
            else:
                os.replace(temporary, target)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
