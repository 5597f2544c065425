"""Checkpoints that can be trusted: one without its marker, written last, was cut short and does not count."""

import hashlib
import json
import logging
import shutil
from pathlib import Path
from typing import Any

from unlearning_core.files import read_object, write_json

_log = logging.getLogger(__name__)
MARKER = "complete.json"


def mark(checkpoint: Path, identity: str, step: int) -> None:
    """Declare `checkpoint` complete, as one of the training `identity`."""
    write_json(checkpoint / MARKER, {"identity": identity, "step": step})


def last_complete(folder: Path, identity: str) -> tuple[Path, int] | None:
    """The checkpoint to go on from and its step: the furthest complete one of the training `identity`."""
    markers = {checkpoint: read_object(checkpoint / MARKER) for checkpoint in folder.glob("checkpoint-*")}
    steps = {checkpoint: marker["step"] for checkpoint, marker in markers.items() if marker.get("identity") == identity}
    return max(steps.items(), key=lambda found: found[1], default=None)


def discard_others(folder: Path, identity: str) -> int:
    """Delete what was cut short and what belongs to another training; returns how many were of another training."""
    others = 0
    for checkpoint in folder.glob("checkpoint-*"):
        marker = read_object(checkpoint / MARKER)
        if marker.get("identity") != identity:
            others += bool(marker)
            why = "another training" if marker else "cut short"
            _log.info("Discarding the checkpoint %s: %s", checkpoint.name, why)
            shutil.rmtree(checkpoint, ignore_errors=True)
    return others


def fingerprint(value: Any) -> str:
    """sha256 of a JSON-able `value`, such as all that decides the weights of every step."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
