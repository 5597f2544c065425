"""Folders that are made once from something else (a GGUF file, a zip) and found again by its checksum."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from unlearning_core.files import INSTALLED, ROOT, write_json
from unlearning_core.progress import Progress, ProgressCallback, silent

STAMP = "prepared.json"
"""Written last into a prepared folder: what it was made from and the size of every file in it."""

_FORMAT = 1


def root() -> Path:
    """The folder of prepared models: the environment's UNLEARNING_MODELS, else `models/` of the checkout.

    Where the package is installed, nothing is written beside its code: the models go to the user's cache folder
    (`unlearning-workbench/models` in XDG_CACHE_HOME, by default `~/.cache`).
    """
    chosen = os.environ.get("UNLEARNING_MODELS")
    if chosen:
        return Path(chosen).expanduser().resolve()
    if not INSTALLED:
        return ROOT / "models"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "unlearning-workbench" / "models"


def write_stamp(folder: Path, sha256: str, facts: dict[str, Any]) -> None:
    """Say in `folder` that it is complete and was made from the file with this checksum."""
    files = {str(path.relative_to(folder)): path.stat().st_size for path in sorted(folder.rglob("*")) if path.is_file()}
    write_json(folder / STAMP, {"format": _FORMAT, "sha256": sha256, **facts, "files": files})


def read_stamp(folder: Path) -> dict[str, Any]:
    """What the stamp of `folder` says; empty where there is none."""
    try:
        stamp = json.loads((folder / STAMP).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) else {}


def is_complete(folder: Path, sha256: str) -> bool:
    """Whether `folder` was prepared from the file with this checksum and none of its files is missing or cut short."""
    stamp = read_stamp(folder)
    if stamp.get("format") != _FORMAT or stamp.get("sha256") != sha256:
        return False
    try:
        return all((folder / name).stat().st_size == size for name, size in stamp["files"].items())
    except (OSError, KeyError, AttributeError):
        return False


@contextmanager
def turn(target: Path, progress: ProgressCallback = silent) -> Iterator[None]:
    """Hold the right to write `target`; the system gives it back when the process that holds it dies."""
    from filelock import FileLock, Timeout

    target.parent.mkdir(parents=True, exist_ok=True)
    # Not a singleton: two threads of one process (two visitors) must take turns as well.
    lock = FileLock(target.parent / f".{target.name}.lock", is_singleton=False)
    waited = 0.0
    while True:
        try:
            lock.acquire(timeout=0.5)
            break
        except Timeout:
            waited += 0.5
            progress(Progress(f"waiting for another process that prepares {target.name}", waited, None, "seconds"))
    try:
        yield
    finally:
        lock.release()
