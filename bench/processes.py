"""Measurements in processes of their own: what one returns, what it holds now and the most it ever held."""

import multiprocessing
import os
import resource
import sys
import threading
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


class AnonymousPeak:
    """Inside the `with`, the most anonymous memory held, looked at every hundredth of a second (Linux alone).

    Attributes:
        rise_mb: how far it rose above what was held at the beginning, in MB of 2^20 bytes; nan elsewhere than Linux.
    """

    rise_mb = float("nan")

    def __enter__(self) -> "AnonymousPeak":
        self._before = self._most = _anonymous_mb()
        self._over = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()
        return self

    def __exit__(self, *of_error: object) -> None:
        self._over.set()
        self._watcher.join()
        self.rise_mb = self._most - self._before

    def _watch(self) -> None:
        while not self._over.wait(0.01):
            self._most = max(self._most, _anonymous_mb())


def _anonymous_mb() -> float:
    if not _STATUS.exists():
        return float("nan")
    lines = _STATUS.read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon:")) / 2**10
