"""Which device a model runs on, in which number format, and whether it fits: asked before its weights are read.

Running out of memory kills a process without a word.
"""

import re
from pathlib import Path
from typing import TYPE_CHECKING

from unlearning_core.errors import InputError

if TYPE_CHECKING:
    import torch

DTYPES = ("auto", "float32", "bfloat16", "float16")
WORTH_CASTING = 5_000_000
"""Parameters from which casting to bfloat16 pays on a processor that multiplies in it; below, float32 is faster."""

_CGROUP = Path("/sys/fs/cgroup")


def choose_device(device: str = "auto") -> str:
    """`auto`: CUDA when there is one, else Apple's MPS, else the CPU.

    Raises:
        InputError: the name is not known, or this machine has no such device.
    """
    import torch

    here = devices_here()
    if device == "auto":
        return next((name for name in ("cuda", "mps") if name in here), "cpu")
    if not re.fullmatch(r"cpu|mps|cuda(:\d+)?", device):
        raise InputError(f"device {device!r} is not known. Choose one of: auto, cpu, cuda, cuda:0, mps.")
    kind, _, number = device.partition(":")
    if kind not in here or (number and int(number) >= torch.cuda.device_count()):
        raise InputError(f"device {device!r} is not on this machine. Choose one of: auto, {', '.join(here)}.")
    return device


def devices_here() -> tuple[str, ...]:
    """The devices of this machine, as `choose_device` takes them."""
    import torch

    cards = torch.cuda.device_count() if torch.cuda.is_available() else 0
    cuda = ("cuda", *(f"cuda:{number}" for number in range(cards))) if cards else ()
    mps = ("mps",) if torch.backends.mps.is_available() else ()
    return ("cpu", *cuda, *mps)


def choose_dtype(dtype: str = "auto", device: str = "cpu") -> str:
    """`auto`: bfloat16 on CUDA (float16 where the card lacks it), float32 elsewhere.

    Raises:
        InputError: the name is not known.
    """
    import torch

    if dtype not in DTYPES:
        raise InputError(f"dtype {dtype!r} is not known. Choose one of: {', '.join(DTYPES)}.")
    if dtype != "auto":
        return dtype
    if device.startswith("cuda"):
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float16"
    return "float32"


def compute_dtype(asked: str, device: str, parameters: int) -> "torch.dtype":
    """The dtype of the maths inside a training step; the weights themselves stay float32 while they learn.

    bfloat16 where the hardware multiplies in it (CUDA from Ampere on; processors with avx512_bf16 or AMX) and the
    model is large enough for it to pay, else float32. Weights kept in bfloat16 would lose most small updates: 5e-5 is
    far below the 2^-8 relative step of a bfloat16 weight.

    Raises:
        InputError: bfloat16 was asked for on a device that has none.
    """
    import torch

    if asked == "float32":
        return torch.float32
    able = has_bfloat16(device)
    if asked == "bfloat16":
        if not able and device != "cpu":
            raise InputError(f"dtype is 'bfloat16', but the device {device} cannot compute in it; use 'float32'.")
        return torch.bfloat16
    return torch.bfloat16 if able and (device != "cpu" or parameters >= WORTH_CASTING) else torch.float32


def has_bfloat16(device: str) -> bool:
    """Whether `device` ("cpu", "cuda", "mps") multiplies in bfloat16 in hardware."""
    import torch

    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device == "cpu":
        abilities = torch.cpu.get_capabilities()
        return bool(abilities.get("avx512_bf16") or abilities.get("amx_bf16"))
    return False


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
    """Refuse the model `name`, which takes `need` bytes in this `form` ("as float32"), where it cannot fit.

    Raises:
        InputError: fewer bytes are available; says how many, and what to choose instead.
    """
    free = available(device)
    if need > free:
        raise InputError(
            f"{name} needs {need / 1e9:.1f} GB {form} and {free / 1e9:.1f} GB of memory are free on {device}. "
            "Choose a smaller model or the number format bfloat16 (dtype), or close what else is running."
        )


def bytes_needed(parameters: int, dtype: str) -> int:
    """Memory of the weights; `auto` is counted as float32, what a machine without a graphics card takes."""
    return parameters * (4 if dtype in ("auto", "float32") else 2)


def fits(parameters: int, dtype: str) -> bool:
    """Whether the weights fit in the memory that is free now."""
    return bytes_needed(parameters, dtype) <= available("cpu")
