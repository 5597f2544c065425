"""Folders that are made once from something else (a GGUF file, a zip) and found again by its checksum."""

import os
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from unlearning_core.errors import WorkFailed
from unlearning_core.files import INSTALLED, ROOT, new_folder, read_object, write_json
from unlearning_core.progress import Progress, ProgressCallback, silent

STAMP = "prepared.json"
"""Written last into a prepared folder: what it was made from, and of every file in it the size and the second (since
1970) in which it was last written."""

_FORMAT = 2
"""Raised when more is checked before a folder counts as prepared: what was made before is then made anew."""


def root() -> Path:
    """The folder of prepared models: the environment's UNLEARNING_MODELS, else `models/` of the checkout.

    Where the package is installed, nothing is written beside its code: the models go to the user's cache folder
    (`unlearning-workbench/models` in XDG_CACHE_HOME, by default `~/.cache`).
    """
    if chosen := os.environ.get("UNLEARNING_MODELS"):
        return Path(chosen).expanduser().resolve()
    if not INSTALLED:
        return ROOT / "models"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "unlearning-workbench" / "models"


def prepare_once(
    target: Path, sha256: str, fill: Callable[[Path], dict[str, Any]], progress: ProgressCallback = silent
) -> Path:
    """The folder `target`, filled by `fill` unless it is complete already; made whole or not at all.

    Two processes that want the same folder at once take turns, and the second finds the first one's work.

    Args:
        sha256: checksum of what it is made from, kept in the folder's stamp.
        fill: writes the files into the empty folder that it is given and checks them; returns what else the stamp
            shall say, with `checked`, what they were checked against.
    """
    if is_complete(target, sha256):
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with _locked(target, progress):
        if not is_complete(target, sha256):
            with new_folder(target) as folder:
                stamp = {"format": _FORMAT, "sha256": sha256, **fill(folder)}
                files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
                found = {str(path.relative_to(folder)): path.stat() for path in files}
                sizes = {name: one.st_size for name, one in found.items()}
                times = {name: int(one.st_mtime) for name, one in found.items()}
                write_json(folder / STAMP, stamp | {"files": sizes, "modified": times})
    return target


def _locked(target: Path, progress: ProgressCallback) -> AbstractContextManager[object]:
    """The right to write `target`, once it is free; the system gives it back when the process that holds it dies."""
    from filelock import FileLock, Timeout

    # Not a singleton: two threads of one process (two visitors) must take turns as well.
    lock = FileLock(target.parent / f".{target.name}.lock", is_singleton=False)
    waited = 0.0
    while True:
        try:
            return lock.acquire(timeout=0.5)
        except Timeout:
            waited += 0.5
            progress(Progress(f"waiting for another process that prepares {target.name}", waited, None, "seconds"))


def check_space(name: str, need: int, target: Path, form: str) -> None:
    """Refuse to write `need` bytes of the model `name` beside `target`, in this `form` ("unpacked"), without room.

    Raises:
        WorkFailed: fewer bytes are free.
    """
    free = shutil.disk_usage(target.parent).free
    if need > free:
        raise WorkFailed(
            f"{name} needs {need / 1e9:.1f} GB in {target.parent} once {form}, and {free / 1e9:.1f} GB are free. "
            "Free some space, or set UNLEARNING_MODELS to a folder on another disk."
        )


def is_complete(folder: Path, sha256: str) -> bool:
    """Whether `folder` was prepared from the file with this checksum and none of its files is missing or changed since.

    A stamp of an older version has no times: there only the sizes are compared.
    """
    stamp = read_object(folder / STAMP)
    if stamp.get("format") != _FORMAT or stamp.get("sha256") != sha256:
        return False
    try:
        found = {name: (folder / name).stat() for name in stamp["files"]}
        times = stamp.get("modified", {})
        same_time = all(int(found[name].st_mtime) == second for name, second in times.items())
        return same_time and all(found[name].st_size == size for name, size in stamp["files"].items())
    except (OSError, KeyError, AttributeError):
        return False
