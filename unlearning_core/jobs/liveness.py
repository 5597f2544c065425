"""Which process works on a retraining, and whether it still lives: written in the folder, so that anyone can tell."""

from pathlib import Path
from typing import Any

import psutil

from unlearning_core.files import write_json

PROCESS_FILE = "process.json"


def record(folder: Path, pid: int) -> None:
    """Write that process `pid` works in `folder`."""
    write_json(folder / PROCESS_FILE, identity(pid))


def identity(pid: int) -> dict[str, Any]:
    """What tells process `pid` from every other, also from a later one of the same number."""
    return {"pid": pid, "created": created(pid)}


def alive(process: dict[str, Any]) -> bool:
    """Whether the process that `record` wrote still runs; a zombie does not."""
    if process.get("exit_code") is not None:
        return False
    try:
        there = psutil.Process(process["pid"])
        return there.status() != psutil.STATUS_ZOMBIE and there.create_time() == process.get("created")
    except (psutil.Error, KeyError):
        return False


def created(pid: int) -> float | None:
    """When process `pid` was started: with the pid, its identity (pids are used again). None if it is gone."""
    try:
        return float(psutil.Process(pid).create_time())
    except psutil.Error:
        return None
