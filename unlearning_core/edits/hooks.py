"""Preview of an edit: hooks that cut neurons and move token rows, for the code inside the `with` and for nobody else.

The edit travels in a context variable, not on the module. Hooks sit on modules that everyone shares, but each does
something only where its own token is in the current context, so two threads can use one cached model with two edits.
A new thread starts with an empty context: run it through `contextvars.copy_context().run` to take the edit along.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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
from unlearning_core.edits.row_weights import RowEdit, only_rows, row_edits
from unlearning_core.edits.token_rows import TokenRows
from unlearning_core.errors import InputError
from unlearning_core.models.experts import ExpertNeurons, experts_read
from unlearning_core.models.mapping import ModelMap, map_model
from unlearning_core.models.silencing import REGISTERING

_active: ContextVar[frozenset[object]] = ContextVar("active_edits", default=frozenset())


@contextmanager
def applied(
    model: nn.Module, mask: Mask | None, model_map: ModelMap | None = None, rows: TokenRows | None = None
) -> Iterator[None]:
    """Inside the `with`, `model` computes as if it were baked with the same; nothing is copied or changed.

    mlp and head: the output projection's input is multiplied by the mask (in a mixture of experts that of every
    expert's). residual: the output of the norms that read the hidden state is. Token rows: the embedding hands out the
    moved rows, and the head's logits of these tokens are computed from them. Nested edits all hold, but of one token
    only the inner rows. On exit and on an exception every hook is removed.

    Args:
        model: the causal language model.
        mask: of this model; absent sites are untouched. None cuts nothing.
        model_map: `map_model(model)` if it is at hand already.
        rows: of this model; None moves none.

    Raises:
        InputError: the mask or the rows are not of this model, or the model cannot offer one of the mask's sites.
    """
    factors = {}
    if mask is not None:
        model_map = model_map or map_model(model)
        check_mask(mask, model_map)
        factors = {
            (site, int(layer)): torch.from_numpy(kept[layer].copy())
            for site, kept in mask.kept.items()
            for layer in np.flatnonzero(~kept.all(axis=1))
        }
    edits = row_edits(model, rows) if rows is not None else []
    with contextlib.ExitStack() as stack:
        if factors and model_map is not None:
            stack.enter_context(multiplied(model_map, factors))
        if edits:
            stack.enter_context(_hooked(partial(_register_rows, model, edits)))
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

    def register(token: object) -> Iterator[RemovableHandle]:
        for (site, layer), factor in factors.items():
            yield from _register(model_map, site, layer, factor, token)

    with _hooked(register), experts_read() if any(site == "mlp" for site, _ in factors) else contextlib.nullcontext():
        yield


@contextmanager
def _hooked(register: Callable[[object], Iterable[RemovableHandle]]) -> Iterator[None]:
    """Inside the `with` the hooks that `register` makes for its token are there, and do something in this context."""
    token = object()
    handles: list[RemovableHandle] = []
    try:
        with REGISTERING:
            for handle in register(token):
                handles.append(handle)  # one by one: those made before an error are removed too
        _active.set(_active.get() | {token})
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
        # Ready where it is needed; where accelerate brings the weights in, the hook sends it after them.
        home = next(part.projection.parameters())
        # A quantised weight is of whole numbers: factors stay what they are.
        own = own.to(home.dtype) if home.is_floating_point() else own
        multiply = partial(_multiply, own if home.is_meta else own.to(home.device), token)
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


def _register_rows(model: Any, edits: Sequence[RowEdit], token: object) -> Iterator[RemovableHandle]:
    """Hooks on the embedding and on the head; where these are one matrix its edit is for both."""
    by_end = {edit.end: edit for edit in edits}
    embedding, head = model.get_input_embeddings(), model.get_output_embeddings()
    own = by_end["embedding"]
    ids = own.ids.to(own.parameter.device)
    with torch.no_grad():
        # The module's own function of the rows: some scale them (Gemma), some norm them.
        handed_out = type(embedding).forward(only_rows(embedding, own), torch.arange(len(ids), device=ids.device))
    yield embedding.register_forward_hook(partial(_hand_out, ids, handed_out, token))
    small = only_rows(head, by_end.get("head", own))
    yield head.register_forward_hook(partial(_score, ids, small, token))


def _hand_out(
    ids: Tensor, rows: Tensor, token: object, module: nn.Module, args: tuple[Any, ...], output: Tensor
) -> Tensor | None:
    """The embedding's output with the moved rows where one of `ids` (sorted) is read."""
    if token not in _active.get():
        return None
    read = args[0].to(ids.device)
    place = torch.searchsorted(ids, read).clamp(max=len(ids) - 1)
    moved = (ids[place] == read)[..., None].to(output.device)
    return torch.where(moved, rows[place].to(output), output)


def _score(
    ids: Tensor, small: nn.Module, token: object, module: nn.Module, args: tuple[Any, ...], output: Tensor
) -> Tensor | None:
    """The head's output with the logits of `ids` that the moved rows give."""
    if token not in _active.get():
        return None
    logits = type(small).forward(small, args[0])  # not by a call: the copy shares the hooks
    return output.index_copy(-1, ids.to(output.device), logits.to(output))
