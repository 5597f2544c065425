"""The number format of the maths of a pass, where it is not that of the weights."""

from __future__ import annotations

import contextlib
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Literal

from unlearning_core.models.devices import available, compute_dtype
from unlearning_core.models.placement import input_device, is_spread
from unlearning_core.models.quantised import is_quantised

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Precision = Literal["auto", "float32", "bfloat16"]


def computing(model: PreTrainedModel, precision: Precision = "auto") -> AbstractContextManager[None]:
    """Inside the `with`, matrix products of a float32 model are made in bfloat16, all else in float32.

    With "auto" that is where the hardware multiplies in bfloat16, the model is large enough for it to pay, and its
    weights fit into memory once more in half the bytes: each is cast once, when it is first read, and the copies are
    kept until the `with` ends. Open it anew for passes with gradients and for those without: a copy made without them
    cannot be used with them.

    A model in another format than float32 computes in its own.
    """
    import torch

    # Weights that come and go are cast each time, and their copies are never found again.
    if model.dtype != torch.float32 or precision == "float32" or is_spread(model) or is_quantised(model):
        return contextlib.nullcontext()
    device, parameters = input_device(model), model.num_parameters()
    if compute_dtype(precision, device.type, parameters) == torch.float32:
        return contextlib.nullcontext()
    if precision == "auto" and available(str(device)) < 2 * 2 * parameters:
        return contextlib.nullcontext()
    return torch.autocast(device.type, torch.bfloat16)
