"""Which process works in a folder, and whether it still lives: written there, so that every other process can tell."""

from pathlib import Path
from typing import Any

import psutil

from unlearning_core.files import read_object, write_json

PROCESS_FILE = "process.json"
EXIT_FILE = "exit.json"


def record(folder: Path, pid: int) -> None:
    """Write that process `pid` works in `folder`."""
    write_json(folder / PROCESS_FILE, process_identity(pid))


def record_exit(folder: Path, pid: int, code: int) -> None:
    """Write with which code process `pid` ended, in a file of its own.

    Another process may take over the folder at this very moment: to write into `PROCESS_FILE` would undo its record.
    """
    write_json(folder / EXIT_FILE, {"pid": pid, "exit_code": code})


def exit_code(folder: Path, pid: int | None) -> int | None:
    """The code with which process `pid` ended; None where nobody saw it end, or another one was seen."""
    ended = read_object(folder / EXIT_FILE)
    return ended.get("exit_code") if pid is not None and ended.get("pid") == pid else None


def process_identity(pid: int) -> dict[str, Any]:
    """Pid and creation time of a process: together they tell it from a later one of the same number."""
    try:
        return {"pid": pid, "created": float(psutil.Process(pid).create_time())}
    except psutil.Error:
        return {"pid": pid, "created": None}


def is_alive(process: dict[str, Any]) -> bool:
    """Whether the process that `process_identity` described still runs; a zombie does not."""
    pid = process.get("pid")
    if type(pid) is not int or not 0 < pid < 1 << 31:  # a damaged file, or one of another machine
        return False
    try:
        there = psutil.Process(pid)
        return there.status() != psutil.STATUS_ZOMBIE and there.create_time() == process.get("created")
    except psutil.Error:
        return False


def is_working_in(folder: Path) -> bool:
    """Whether the process that was last recorded in `folder` still runs."""
    return is_alive(read_object(folder / PROCESS_FILE))
