"""Preview of a cut: hooks that multiply by the mask, for the code inside the `with` and for nobody else.

The mask travels in a context variable, not on the module. Hooks sit on modules that everyone shares, but each does
something only where its own token is in the current context, so two threads can use one cached model with two masks.
A new thread starts with an empty context: run it through `contextvars.copy_context().run` to take the mask along.
"""

import contextlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Shaped
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from unlearning_core.edits.mask import Mask
from unlearning_core.errors import InputError
from unlearning_core.models.experts import ExpertNeurons, experts_read
from unlearning_core.models.mapping import ModelMap, map_model
from unlearning_core.models.silencing import REGISTERING

_active: ContextVar[frozenset[object]] = ContextVar("active_masks", default=frozenset())


@contextmanager
def applied(model: nn.Module, mask: Mask, model_map: ModelMap | None = None) -> Iterator[None]:
    """Inside the `with`, `model` computes as if the cut neurons of `mask` were gone; nothing is copied or changed.

    mlp and head: the output projection's input is multiplied by the mask (in a mixture of experts that of every
    expert's). residual: the output of the norms that read the hidden state is. Nested masks all hold. On exit and on an
    exception every hook is removed.

    Args:
        model: the causal language model.
        mask: of this model; absent sites are untouched.
        model_map: `map_model(model)` if it is at hand already.

    Raises:
        InputError: the mask is not of this model, or the model cannot offer one of its sites.
    """
    model_map = model_map or map_model(model)
    check_mask(mask, model_map)
    factors = {
        (site, int(layer)): torch.from_numpy(kept[layer].copy())
        for site, kept in mask.kept.items()
        for layer in np.flatnonzero(~kept.all(axis=1))
    }
    with multiplied(model_map, factors):
        yield


@contextmanager
def multiplied(
    model_map: ModelMap, factors: Mapping[tuple[str, int], Shaped[Tensor, "*texts width"]]
) -> Iterator[None]:
    """A cut with a dial: what the neurons hold is multiplied where `applied` cuts them, 1 leaves and 0 cuts them.

    Args:
        model_map: of the model that is run inside the `with`.
        factors: by (site, layer), [width], or [texts, 1, width] for each text its own; gradients flow to them.
    """
    token = object()
    handles: list[RemovableHandle] = []
    try:
        with REGISTERING:
            for (site, layer), factor in factors.items():
                handles += _register(model_map, site, layer, factor, token)
        _active.set(_active.get() | {token})
        with experts_read() if any(site == "mlp" for site, _ in factors) else contextlib.nullcontext():
            yield
    finally:
        _active.set(_active.get() - {token})
        with REGISTERING:
            for handle in handles:
                handle.remove()


def check_mask(mask: Mask, model_map: ModelMap) -> None:
    """Make sure that `mask` is of this model.

    Raises:
        InputError: the model cannot offer a site of the mask, or the site has another shape.
    """
    for site, shape in mask.shapes.items():
        expected = model_map.require(site)
        if shape != expected:
            raise InputError(
                f"The mask has {shape[0]} layers of {shape[1]} at site {site!r}, this "
                f"{model_map.architecture.model_type} model has {expected[0]} of {expected[1]}: the mask belongs to "
                "another model. Rank this model's neurons."
            )


def inputs_kept(kept: Bool[np.ndarray, " width"], site: str, model_map: ModelMap) -> Bool[np.ndarray, " inputs"]:
    """The row of a mask as one flag an input of its reader: a head covers `head_dim` inputs."""
    return np.repeat(kept, model_map.head_dim) if site == "head" else kept


def _register(model_map: ModelMap, site: str, layer: int, factor: Tensor, token: object) -> list[RemovableHandle]:
    if site == "head":
        factor = factor.repeat_interleave(model_map.head_dim, dim=-1)
    handles = []
    for part in model_map.parts(site, layer):
        own = factor if site == "head" else factor[..., part.neurons]
        multiply = partial(_multiply, own.to(next(part.projection.parameters())), token)
        register = part.module.register_forward_hook if site == "residual" else part.module.register_forward_pre_hook
        handles.append(register(multiply))
    return handles


def _multiply(factor: Tensor, token: object, module: nn.Module, args: tuple[Any, ...], *output: Tensor) -> Any:
    """Multiplies a module's output or, before it has one, its first input."""
    if token not in _active.get():
        return None
    if output:
        return output[0] * factor.to(output[0])
    if isinstance(module, ExpertNeurons):
        inner, routing = args
        return module.multiplied(inner, routing, factor.to(inner)), routing
    if factor.dim() > args[0].dim():  # a shared expert may be given all texts one after the other
        by_text = args[0].unflatten(0, (factor.shape[0], -1)) * factor.to(args[0])
        return (by_text.flatten(0, 1), *args[1:])
    return (args[0] * factor.to(args[0]), *args[1:])
