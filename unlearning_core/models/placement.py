"""Where a model's parts lie and compute, also where accelerate spreads them over devices, memory and disk.

A part that is kept in memory or on disk has no weights of its own (they are on torch's meta device) until it is run:
a hook of accelerate brings them to the device that computes it, and drops them after.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import nn


def device_of(module: nn.Module) -> torch.device:
    """The device that a module computes on."""
    import torch

    device = next(module.parameters()).device
    if device.type != "meta":
        return device
    hook = next((one._hf_hook for one in module.modules() if hasattr(one, "_hf_hook")), None)
    where = getattr(hook, "execution_device", None)
    return device if where is None else torch.device(where)


def input_device(model: nn.Module) -> torch.device:
    """The device on which token ids are read."""
    return device_of(model.get_input_embeddings())  # type: ignore[operator]


def is_spread(model: nn.Module) -> bool:
    """Whether parts of the model are kept elsewhere until they are run, so that no weight can be written in place."""
    return any(parameter.is_meta for parameter in model.parameters())


def spread_over(most_memory: Mapping[int | str, int] | None = None) -> dict[str, Any]:
    """What `from_pretrained` is told so that accelerate places a model: as much as fits on the cards, then in memory.

    What fits nowhere stays on disk: in the model's own safetensors where these can be read in place, else in a
    folder that goes when this process ends.

    Args:
        most_memory: bytes by card number and "cpu"; by default what is free.
    """
    offload = tempfile.mkdtemp(prefix="offloaded-")
    atexit.register(shutil.rmtree, offload, ignore_errors=True)
    limits = {} if most_memory is None else {"max_memory": dict(most_memory)}
    return {"device_map": "auto", "offload_folder": offload, **limits}


@contextmanager
def at_hand(module: nn.Module) -> Iterator[None]:
    """Inside the `with`, the module's own weights are there to be read; what is changed in them is lost."""
    from accelerate.utils import align_module_device

    with align_module_device(module):
        yield
