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

from unlearning_core.errors import InputError, WorkFailed

_PACKAGE = Path(__file__).resolve().parent

INSTALLED = (_PACKAGE / "_bundled").is_dir()
"""Whether this package came from a wheel; otherwise it runs from a checkout."""

ROOT = _PACKAGE / "_bundled" if INSTALLED else _PACKAGE.parent
"""The folder that holds `app.py`, `pages/`, `data/` and `models/`: the checkout, or the wheel's copy of them."""


def child_python_path() -> str:
    """PYTHONPATH for a child process: this process's own, in a checkout with the checkout before it."""
    own = os.environ.get("PYTHONPATH")
    return os.pathsep.join(filter(None, [None if INSTALLED else str(ROOT), own]))


@contextmanager
def disk_errors(target: Path) -> Iterator[None]:
    """Turn a full disk or a forbidden folder into a sentence.

    Raises:
        WorkFailed: no space is left where `target` is written.
        InputError: `target` may not be written by this user.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise WorkFailed(
                f"The disk is full: {target} could not be written. Nothing half-written was left behind; "
                "free some space and run the same command again to go on."
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise InputError(
                f"{target} cannot be written: permission denied. Choose another output folder or change its rights."
            ) from error
        raise


def write_file(target: Path, write: Callable[[Path], object]) -> None:
    """Let `write(path)` fill a temporary file beside `target`, then rename it to `target` in one step."""
    with disk_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=target.suffix, dir=target.parent)
        os.close(handle)
        try:
            write(Path(name))
            os.chmod(name, 0o644)
            os.replace(name, target)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


def write_text(target: Path, text: str) -> None:
    """Write `text` as UTF-8, whole or not at all."""
    write_file(target, lambda path: path.write_text(text, encoding="utf-8"))


def write_json(target: Path, value: Any) -> None:
    """Write `value` as indented JSON, whole or not at all."""
    write_text(target, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


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
