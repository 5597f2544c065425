"""The rotary settings of a GGUF file that transformers does not read: a long context is lost without a word."""

import math
from pathlib import Path
from typing import Any

import numpy as np

from unlearning_core.errors import InputError
from unlearning_core.models.sources.gguf import GgufHeader

FACTORS = "rope_freqs.weight"
"""What each rotary frequency is divided by: how llama.cpp keeps the scaling of Llama 3.1 and later."""

_LOW, _HIGH, _ORIGINAL = 1.0, 4.0, 8192
"""Llama 3.1's own settings, the only ones in use (https://github.com/meta-llama/llama-models, `apply_scaling`)."""

_READ = ("gpt-oss", "gpt_oss")
"""Families whose scaling transformers reads itself."""


def rope_settings(path: Path, header: GgufHeader, config: Any) -> dict[str, Any] | None:
    """What `rope_parameters` of the configuration has to say beside the base; None where nothing is scaled.

    Args:
        path: the file, whose table of factors is read where it has one.
        config: as transformers made it of the file.

    Raises:
        InputError: the file scales its positions in a way that is not known here.
    """
    if FACTORS in header.tensors:
        return _llama3(path, config)
    kind, factor = header.of_family("rope.scaling.type"), header.of_family("rope.scaling.factor")
    if kind in (None, "none") or factor in (None, 0.0, 1.0) or header.architecture in _READ:
        return None
    if kind == "linear":
        return {"rope_type": "linear", "factor": float(factor)}
    raise InputError(
        f"{path} scales its positions by {kind} (factor {factor:g}), which is lost when the file is dequantised, and "
        "the model would not be the same. Choose its safetensors folder."
    )


def _llama3(path: Path, config: Any) -> dict[str, Any] | None:
    import gguf

    table = next(tensor for tensor in gguf.GGUFReader(path).tensors if tensor.name == FACTORS)
    factors = np.asarray(gguf.dequantize(table.data, table.tensor_type), np.float64).ravel()
    if np.allclose(factors, 1.0):
        return None
    factor, base = float(factors.max()), float(config.rope_parameters["rope_theta"])
    if not np.allclose(factors, llama3_factors(base, factors.size, factor), rtol=1e-3):
        raise InputError(
            f"{path}: its table {FACTORS} is not one of Llama 3.1 or later, and no other is known here. Choose the "
            "model's safetensors folder."
        )
    return {
        "rope_type": "llama3",
        "factor": factor,
        "low_freq_factor": _LOW,
        "high_freq_factor": _HIGH,
        "original_max_position_embeddings": _ORIGINAL,
    }


def llama3_factors(base: float, count: int, factor: float) -> np.ndarray:
    """What Llama 3.1 divides its `count` rotary frequencies by, with `base` the theta of the rotary embedding."""
    waves = 2 * math.pi * base ** (np.arange(count) / count)
    share = np.clip((_ORIGINAL / waves - _LOW) / (_HIGH - _LOW), 0, 1)
    return np.asarray(1 / ((1 - share) / factor + share))
