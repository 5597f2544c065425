"""Checkpoints that can be trusted: one without its marker, written last, was cut short and does not count."""

import errno
import hashlib
import json
import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from unlearning_core.errors import WorkFailed
from unlearning_core.files import disk_errors, write_json
from unlearning_core.jobs.events import read_json

_log = logging.getLogger(__name__)
MARKER = "complete.json"


def mark(checkpoint: Path, identity: str, step: int) -> None:
    """Declare `checkpoint` complete, as one of the training `identity`."""
    write_json(checkpoint / MARKER, {"identity": identity, "step": step})


def last_complete(folder: Path, identity: str) -> tuple[Path, int] | None:
    """The checkpoint to go on from and its step: the furthest complete one of the training `identity`."""
    found = []
    for checkpoint in folder.glob("checkpoint-*"):
        marker = read_json(checkpoint / MARKER)
        if marker.get("identity") == identity:
            found.append((int(marker["step"]), checkpoint))
    if not found:
        return None
    step, checkpoint = max(found)
    return checkpoint, step


def discard_others(folder: Path, identity: str) -> int:
    """Delete what was cut short and what belongs to another training; returns how many were of another training."""
    others = 0
    for checkpoint in folder.glob("checkpoint-*"):
        marker = read_json(checkpoint / MARKER)
        if marker.get("identity") != identity:
            others += bool(marker)
            _log.info(
                "Discarding the checkpoint %s: %s", checkpoint.name, "another training" if marker else "cut short"
            )
            shutil.rmtree(checkpoint, ignore_errors=True)
    return others


def fingerprint(*parts: Any) -> str:
    """sha256 of JSON-able `parts`: all that decides the weights of every step."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


@contextmanager
def full_disk(target: Path) -> Iterator[None]:
    """`files.disk_errors`, also for the errors that torch and safetensors raise in place of an OSError.

    Raises:
        WorkFailed: no space is left where `target` is written.
    """
    try:
        with disk_errors(target):
            yield
    except Exception as error:
        if isinstance(error, WorkFailed) or not _is_full(error):
            raise
        raise WorkFailed(
            f"The disk is full: {target} could not be written, and nothing half-written was left there. "
            "Free some space and start the retraining again: it goes on from its last checkpoint."
        ) from error


_SIGNS = ("No space left", "File too large", "Disk quota exceeded", "inline_container", "iostream error")


def _is_full(error: BaseException) -> bool:
    """Whether a write failed for want of space.

    safetensors says `No space left on device (os error 28)`; torch only that its stream or the place in the file is
    not what it was (`inline_container.cc ... unexpected pos`, `PytorchStreamWriter failed writing file`).
    """
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return any(sign in str(error) for sign in _SIGNS)
