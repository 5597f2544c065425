"""Memory of this process: what it holds now and the most it ever held."""

import resource
import sys
from pathlib import Path

_STATUS = Path("/proc/self/status")


def peak_mb() -> float:
    """The most resident memory this process has held, in MB of 2^20 bytes, since it began or `reset_peak`."""
    if _STATUS.exists():
        # Unlike getrusage, this does not include what the parent held before the program was loaded.
        return _field("VmHWM")
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


def _field(name: str) -> float:
    for line in _STATUS.read_text(encoding="ascii").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) / 2**10
    raise RuntimeError(f"{_STATUS} has no {name}")
