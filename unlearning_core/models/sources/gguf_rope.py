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

SCALING = ("rope.scaling.type", "rope.scaling.factor", "rope.scale_linear")
"""The keys, without the family, that stretch positions; the last is the older name of a linear factor."""


def rope_table(config: Any, layers: str = "full_attention") -> dict[str, Any] | None:
    """The rotary settings of a configuration, of `layers` where kinds of layers have their own; None without any."""
    found = getattr(config, "rope_parameters", None)
    if not isinstance(found, dict):
        return None
    inner = found.get(layers)
    if isinstance(inner, dict):
        return inner
    return found if layers == "full_attention" else None


def with_rope(config: Any, layers: str = "full_attention", /, **settings: Any) -> None:
    """Write rotary settings where `rope_table` finds them."""
    found = config.rope_parameters
    if isinstance(found.get(layers), dict):
        config.rope_parameters = {**found, layers: {**found[layers], **settings}}
    else:
        config.rope_parameters = {**found, **settings}


def _factor(header: GgufHeader) -> float:
    """By how much positions are stretched; 1 where they are not."""
    if header.of_family("rope.scaling.type") == "none":
        return 1.0
    return header.real("rope.scaling.factor") or header.real("rope.scale_linear") or 1.0


def is_scaled(header: GgufHeader) -> bool:
    """Whether the keys of the file stretch its positions."""
    return _factor(header) != 1.0


def check_scaling(path: Path, header: GgufHeader) -> None:
    """Refuse a stretching of positions that is not known here.

    Raises:
        InputError: names its type.
    """
    # Without a type llama.cpp takes the factor as linear.
    kind, factor = header.of_family("rope.scaling.type") or "linear", _factor(header)
    if factor != 1.0 and (kind != "linear" or FACTORS in header.tensors):
        beside = f" beside its table {FACTORS}" if kind == "linear" else ""
        raise InputError(
            f"{path} scales its positions by {kind} (factor {factor:g}){beside}, which is lost when the file is "
            "dequantised, and the model would not be the same. Choose its safetensors folder."
        )


def rope_settings(path: Path, header: GgufHeader, config: Any) -> dict[str, Any] | None:
    """What `rope_parameters` of the configuration has to say beside the base; None where nothing is scaled.

    Args:
        path: the file, whose table of factors is read where it has one.
        config: as transformers made it of the file.

    Raises:
        InputError: the file scales its positions in a way that is not known here.
    """
    check_scaling(path, header)
    if FACTORS in header.tensors:
        return _llama3(path, config)
    return {"rope_type": "linear", "factor": _factor(header)} if is_scaled(header) else None


def _llama3(path: Path, config: Any) -> dict[str, Any] | None:
    import gguf

    table = next(tensor for tensor in gguf.GGUFReader(path).tensors if tensor.name == FACTORS)
    factors = np.asarray(gguf.dequantize(table.data, table.tensor_type), np.float64).ravel()
    if np.allclose(factors, 1.0):
        return None
    table_of_config = rope_table(config)
    base = float(table_of_config["rope_theta"]) if table_of_config else 0.0
    factor = float(factors.max())
    if not base or not np.allclose(factors, llama3_factors(base, factors.size, factor), rtol=1e-3):
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
