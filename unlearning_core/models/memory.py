"""Whether a model fits, asked before its weights are read: running out of memory kills a process without a word."""

from pathlib import Path

from unlearning_core.errors import InputError
from unlearning_core.models.devices import bytes_each

_CGROUP = Path("/sys/fs/cgroup")


def available(device: str) -> int:
    """Bytes free for a model on `device`; in a container no more than what its limit leaves."""
    if device.startswith("cuda"):
        import torch

        return int(torch.cuda.mem_get_info(device)[0])
    import psutil

    return min([int(psutil.virtual_memory().available), *_within_limit()])


def _within_limit() -> list[int]:
    """What a container's limit leaves, or nothing where there is no limit; cached files count as free."""
    try:
        limit = int((_CGROUP / "memory.max").read_text())
        used = int((_CGROUP / "memory.current").read_text())
        counters = dict(line.split() for line in (_CGROUP / "memory.stat").read_text().splitlines())
        return [limit - used + int(counters.get("inactive_file", 0))]
    except (OSError, ValueError):
        # "max" is no number: no limit.
        return []


def check_fits(name: str, need: int, device: str, form: str) -> None:
    """Refuse a model that cannot fit.

    Args:
        name: the model, for the sentence.
        need: bytes.
        form: what takes that much ("as float32").

    Raises:
        InputError: fewer bytes are available; says how many, and what to choose instead.
    """
    free = available(device)
    if need > free:
        raise InputError(
            f"{name} needs {need / 1e9:.1f} GB {form} and {free / 1e9:.1f} GB of memory are free on {device}. "
            "Choose a smaller model or dtype bfloat16, or close what else is running."
        )


def bytes_needed(parameters: int, dtype: str = "auto") -> int:
    """Memory of the weights; `auto` is counted as float32, what a machine without a graphics card takes."""
    return parameters * bytes_each("float32" if dtype == "auto" else dtype)


def fits(parameters: int, dtype: str = "auto", device: str = "cpu") -> bool:
    """Whether the weights fit in what is free on `device` now."""
    return bytes_needed(parameters, dtype) <= available(device)
