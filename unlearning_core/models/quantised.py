"""A model whose linear maps are kept in 8 or 4 bits, by bitsandbytes, to be ranked with and previewed.

8 bits: rows of int8 with a scale each, inputs rounded likewise ("LLM.int8()", Dettmers et al. 2022). 4 bits: NF4 in
blocks of 64 ("QLoRA", Dettmers et al. 2023). A weight of 0 and an input of 0 stay 0 in both, so a cut is exact there
too. Embedding, output head, norms and the experts that a router chooses from, which transformers keeps in one weight a
layer, stay in the number format of the rest.

Such weights cannot be written in place: an edit is made from file to file (edits/export.py), in the files' own numbers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal

from unlearning_core.errors import InputError

if TYPE_CHECKING:
    import torch
    from torch import nn

    from unlearning_core.models.sources.weight_files import FileTensor

Quantize = Literal["8bit", "4bit"]

_BYTES = {"8bit": 1.0, "4bit": 0.5 + 4 / 64}
"""Of a weight, with its scales: one of 4 bytes a row, or a block of 64."""

_EXPERT = re.compile(r"\.experts\.\d+\.")
"""In the name of a matrix that a file has by itself and a layer of the model in one weight with others."""


def quantising(how: Quantize, dtype: str) -> dict[str, Any]:
    """What `from_pretrained` is told so that linear maps are kept in so many bits, all else as `dtype`.

    Raises:
        InputError: bitsandbytes is not installed.
    """
    if find_spec("bitsandbytes") is None:
        raise InputError(
            f"base_model.quantize is {how!r}, which needs bitsandbytes, and that is not installed. Run: pip install "
            "bitsandbytes. Or leave it out and choose dtype bfloat16."
        )
    import torch
    from transformers import BitsAndBytesConfig

    if how == "8bit":
        return {"quantization_config": BitsAndBytesConfig(load_in_8bit=True)}
    compute = getattr(torch, dtype)
    told = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=compute)
    return {"quantization_config": told}


def bytes_quantised(tensors: Iterable[FileTensor], how: Quantize, whole_bytes: int) -> int:
    """Memory of the weights: matrices of the blocks in so many bits; experts and all else in `whole_bytes` a number."""
    found = 0.0
    for one in tensors:
        size = 1
        for side in one.shape:
            size *= side
        matrix = len(one.shape) == 2 and re.search(r"\.\d+\.", one.name) and not _EXPERT.search(one.name)
        found += size * (_BYTES[how] if matrix else whole_bytes)
    return round(found)


def is_quantised(model: nn.Module) -> bool:
    """Whether linear maps of the model are kept in 8 or 4 bits."""
    return getattr(model, "quantization_method", None) is not None


def packed(source: str, model: nn.Module, how: Quantize) -> nn.Module:
    """`model`, which was asked for in so many bits.

    Raises:
        InputError: none of its linear maps is: bitsandbytes passes over those of a class of their own (Falcon).
    """
    if not any(map(is_quantised_map, model.modules())):
        raise InputError(
            f"base_model.quantize is {how!r}, but bitsandbytes packs no linear map of {source} "
            f"({type(model).__name__}), which would be as large as without. Leave it out, or choose dtype bfloat16."
        )
    return model


def keep_differentiable(model: nn.Module) -> None:
    """Keep bitsandbytes from packing weights of 4 bits anew for the processor at the first pass without gradients.

    What is packed so (processors with avx512_bf16) has no way back: every later gradient through it would be 0.
    """
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            setattr(module, "support_avx512bf16_for_cpu", False)  # noqa: B010  # a Module's own attribute


def is_quantised_map(module: nn.Module) -> bool:
    """Whether this is a linear map that bitsandbytes keeps in 8 or 4 bits."""
    return type(module).__name__ in ("Linear8bitLt", "Linear4bit") and type(module).__module__.startswith(
        "bitsandbytes."
    )


def dequantised(module: Any) -> torch.Tensor:
    """The weight that such a linear map stands for, `[outputs, inputs]`."""
    import bitsandbytes.functional as bits

    weight = module.weight
    if type(module).__name__ == "Linear4bit":
        found: torch.Tensor = bits.dequantize_4bit(weight.data, weight.quant_state)
        return found.detach()
    # From its first pass on the layer keeps the scales elsewhere.
    scales = module.state.SCB if weight.SCB is None else weight.SCB
    return bits.int8_vectorwise_dequant(weight.data, scales)
