"""Measurements in processes of their own: what one returns, what it holds now and the most it ever held."""

import multiprocessing
import os
import resource
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from unlearning_core.errors import WorkFailed

_STATUS = Path("/proc/self/status")


def in_own_process(name: str, measure: Callable[..., dict[str, Any]], *arguments: Any) -> dict[str, Any]:
    """What `measure` returns in a fresh process that prints nothing; raises WorkFailed with `name` where it fails."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), initializer=_silence) as pool:
        try:
            return pool.submit(measure, *arguments).result()
        except Exception as error:
            raise WorkFailed(f"{name} failed: {str(error)[-1000:]}") from error


def _silence() -> None:
    sys.stdout = sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115


def peak_mb() -> float:
    """The most resident memory this process has held, in MB of 2^20 bytes, since it began or `reset_peak`."""
    if _STATUS.exists():
        # Unlike getrusage, this does not include what the parent held before the program was loaded.
        lines = _STATUS.read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 2**10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def now_mb() -> float:
    """Resident memory of this process now, in MB of 2^20 bytes."""
    import psutil

    return float(psutil.Process().memory_info().rss / 2**20)


def reset_peak() -> bool:
    """Forget the peak so far; False where the system cannot."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return False
    return True
