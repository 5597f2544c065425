"""Small jobs that a test can kill: no torch, done in a moment."""

import atexit
import gc
import os
import time
from pathlib import Path
from typing import Any

from unlearning_core.errors import InputError, Stopped
from unlearning_core.jobs.device_queue import queued_for
from unlearning_core.jobs.worker import JobContext
from unlearning_core.progress import Progress, silent


def count(values: dict[str, Any], context: JobContext) -> dict[str, Any]:
    """Tell `to` numbers, and append this process's pid to the file `seen` with each; end once `held` is gone."""
    for number in range(1, values["to"] + 1):
        with Path(values["seen"]).open("a", encoding="utf-8") as file:
            file.write(f"{os.getpid()}\n")
        context.progress(Progress("counting", number, values["to"], "numbers"))
        time.sleep(values.get("pause", 0.0))
    while "held" in values and Path(values["held"]).exists():
        time.sleep(0.01)
    return {"counted": values["to"]}


def sleep(values: dict[str, Any], context: JobContext) -> None:
    """Say once that it has begun, and nothing for ten minutes."""
    context.progress(Progress("sleeping", 0, 1))
    time.sleep(600)


def count_on_the_device(values: dict[str, Any], context: JobContext) -> dict[str, Any]:
    """`count` once the device is free."""
    with queued_for("cpu", context.log, silent, context.should_stop):
        return count(values, context)


def fail(values: dict[str, Any], context: JobContext) -> None:
    """By a person's mistake, or by something else."""
    raise InputError("width is 3; use 4.") if values["mistake"] else ValueError("no such luck")


def tell_at_the_end(values: dict[str, Any], context: JobContext) -> None:
    """Write how many objects the interpreter passes over when it ends."""
    atexit.register(lambda: Path(values["told"]).write_text(str(gc.get_freeze_count())))
    raise Stopped("as asked")
