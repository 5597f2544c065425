"""Read a site's neurons while a model runs, without touching what anybody else does with the same model."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from unlearning_core.models.experts import ExpertNeurons, experts_read
from unlearning_core.models.mapping import ModelMap, Part

Listener = Callable[[int, Float[Tensor, "*positions inputs"]], None]
"""Called with (layer, what the neurons of that layer hold)."""

_listening: ContextVar[object] = ContextVar("listening", default=None)


@contextmanager
def listening(
    model_map: ModelMap,
    site: str,
    listener: Listener,
    *,
    final_normed: bool = False,
    only: int | Sequence[int] | None = None,
) -> Iterator[None]:
    """While open, runs of the model in this context call `listener` for each layer of `site`, or `only` some, in order.

    The hooks stay silent for anyone else who runs the same model meanwhile (a cached model is shared), and are removed
    at the end, also after an exception.

    mlp: the down projection's input; in a mixture of experts that of all experts side by side, 0 where the router did
    not send the token, `[texts, positions, width]` as elsewhere. head: the attention output projection's input, all
    heads side by side. residual: hidden states 0 (the embedding) to n_layer (what the final norm reads, or with
    `final_normed` what it writes, which is the last hidden state that transformers and NeuroX report).
    """
    token = object()
    handles: list[Any] = []
    gathered: dict[int, Tensor] = {}
    shape: list[int] = []

    def tell(layer: int, value: Tensor) -> None:
        if _listening.get() is token:
            listener(layer, value)

    def before(layer: int, module: nn.Module, args: Any, kwargs: Any) -> None:
        tell(layer, args[0] if args else next(iter(kwargs.values())))

    def after(layer: int, module: nn.Module, args: Any, output: Tensor) -> None:
        tell(layer, output)

    def texts(module: nn.Module, args: Any, kwargs: Any) -> None:
        if _listening.get() is token:
            shape[:] = (args[0] if args else kwargs["hidden_states"]).shape[:-1]
            gathered.clear()

    def gather(layer: int, parts: list[Part], number: int, module: nn.Module, args: Any) -> None:
        """Tell the layer when the last of its parts is there; they may come in any order."""
        if _listening.get() is not token:
            return
        value = module.dense(*args) if isinstance(module, ExpertNeurons) else args[0]
        gathered[number] = value.reshape(*shape, -1)
        if len(gathered) == len(parts):
            whole = torch.cat([gathered.pop(place) for place in range(len(parts))], -1)
            listener(layer, whole)

    previous = _listening.set(token)
    try:
        layers, _ = model_map.require(site)
        for layer in range(layers) if only is None else (only,) if isinstance(only, int) else sorted(only):
            if site == "mlp" and model_map.experts:
                handles.append(model_map.blocks[layer].register_forward_pre_hook(texts, with_kwargs=True))
                for number, part in enumerate(parts := model_map.parts(site, layer)):
                    handles.append(part.module.register_forward_pre_hook(partial(gather, layer, parts, number)))
                continue
            block = site == "residual" and layer < len(model_map.blocks)
            module = model_map.blocks[layer] if block else model_map.readers(site, layer)[0]
            if final_normed and site == "residual" and not block:
                handles.append(module.register_forward_hook(partial(after, layer)))
            else:
                handles.append(module.register_forward_pre_hook(partial(before, layer), with_kwargs=True))
        with experts_read() if site == "mlp" else contextlib.nullcontext():
            yield
    finally:
        for handle in handles:
            handle.remove()
        _listening.reset(previous)
