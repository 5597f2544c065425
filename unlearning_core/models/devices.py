"""Which device a model runs on and in which number format: chosen well by default, checked when a person chooses."""

import re
from typing import TYPE_CHECKING

from unlearning_core.errors import InputError

if TYPE_CHECKING:
    import torch

DTYPES = ("auto", "float32", "bfloat16", "float16")
_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}


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


def torch_dtype(dtype: str) -> "torch.dtype":
    """The torch type of a chosen dtype."""
    import torch

    return {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}[dtype]


def bytes_each(dtype: str) -> int:
    """Bytes of one number of a chosen dtype."""
    return _BYTES[dtype]
