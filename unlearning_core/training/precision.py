"""Which number format a training step is computed in; the weights themselves stay float32 while they learn."""

import torch

from unlearning_core.errors import InputError

WORTH_CASTING = 5_000_000
"""Parameters from which casting to bfloat16 pays on a processor that multiplies in it; below, float32 is faster."""


def compute_dtype(asked: str, device: str, parameters: int) -> torch.dtype:
    """The dtype of the maths inside a step.

    bfloat16 where the hardware multiplies in it (CUDA from Ampere on; processors with avx512_bf16 or AMX) and the
    model is large enough for it to pay, else float32. Weights kept in bfloat16 would lose most small updates: 5e-5 is
    far below the 2^-8 relative step of a bfloat16 weight.

    Raises:
        InputError: bfloat16 was asked for on a device that has none.
    """
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
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device == "cpu":
        abilities = torch.cpu.get_capabilities()
        return bool(abilities.get("avx512_bf16") or abilities.get("amx_bf16"))
    return False
