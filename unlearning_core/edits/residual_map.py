"""An affine map of the residual stream, as hooks and as stock weights.

    x -> x - left (right' (x - centre))         x: hidden state [d_model]; left, right: [d_model, k]

The stream is a sum of what the embedding and the layers write, so a map that is applied to what each of them writes is
applied to the sum: the linear part goes into the rows of the embedding and the output weights of the layers, the
constant into the embedding's rows, of which each position gets exactly one. It is how Arditi et al. 2024
(arXiv 2406.11717) write a directional ablation into the weights, here with a centre, and up to a depth that is chosen.
Beyond that depth the layers write what they wrote. A head that shares the embedding's rows gets unchanged ones.

Not every family can carry it: where what a layer writes passes a norm on its way into the stream (Gemma 2 and 3), or
the embedding does (Bloom), or experts write it, no weight takes the map; `bake` refuses them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from unlearning_core.activations.hooks import listening
from unlearning_core.errors import InputError
from unlearning_core.models.mapping import ModelMap
from unlearning_core.models.probing import parameter, projection_shape

_TOLERANCE = 1e-3
"""Largest difference of two logits, in units of their standard deviation, that counts as rounding in float32."""


@dataclass(frozen=True, eq=False)
class ResidualMap:
    """The map, and how far up it reaches.

    Attributes:
        left, right: the linear part takes `left right'` away.
        centre: the hidden state that stays where it is.
        last: the last hidden state that is mapped, 0 (the embedding) to n_layer (what the final norm reads).
    """

    left: Float[Tensor, "d_model k"]
    right: Float[Tensor, "d_model k"]
    centre: Float[Tensor, " d_model"]
    last: int

    def __call__(self, x: Float[Tensor, "*places d_model"]) -> Float[Tensor, "*places d_model"]:
        """The map."""
        return self.linear(x) + self.constant.to(x)

    def linear(self, x: Float[Tensor, "*places d_model"]) -> Float[Tensor, "*places d_model"]:
        """Its linear part."""
        return x - (x @ self.right.to(x)) @ self.left.to(x).T

    @property
    def constant(self) -> Float[Tensor, " d_model"]:
        """What is added to the linear part."""
        return self.left @ (self.right.T @ self.centre)


@contextmanager
def mapped(model_map: ModelMap, change: ResidualMap) -> Iterator[None]:
    """Inside the `with`, the model computes as if its hidden states up to `change.last` were mapped.

    The norms that read the stream below that depth see it mapped, and from there on it goes on mapped. The hooks hold
    for everyone who runs this model meanwhile: it is for a model of one's own.

    Raises:
        InputError: this model's hidden states are not read through norms.
    """
    layers, _ = model_map.require("residual")
    handles = []
    try:
        for layer in range(min(change.last, layers - 1) + (change.last == layers - 1)):
            for norm in model_map.readers("residual", layer):
                handles.append(norm.register_forward_pre_hook(partial(_mapped_input, change), with_kwargs=True))
        if change.last < layers - 1:
            block = model_map.blocks[change.last]
            handles.append(block.register_forward_pre_hook(partial(_mapped_input, change), with_kwargs=True))
        yield
    finally:
        for handle in handles:
            handle.remove()


def _mapped_input(change: ResidualMap, module: nn.Module, args: Any, kwargs: Any) -> Any:
    if args:
        return (change(args[0]), *args[1:]), kwargs
    name = next(iter(kwargs))
    return args, {**kwargs, name: change(kwargs[name])}


def bake(model: Any, change: ResidualMap, model_map: ModelMap) -> None:
    """Write the map into the weights of `model`, in place; it then computes as under `mapped`.

    Both are run on a few tokens and compared: a family that cannot carry the map is found by what it computes.

    Raises:
        InputError: this model cannot carry it; its weights are spoilt then.
    """
    model_map.require("residual")
    if model_map.experts:
        raise _refused(model_map, "experts write into its residual stream")
    dtype = model.dtype
    model.float()  # in half precision nothing could be compared
    ids = torch.arange(48, device=model.get_input_embeddings().weight.device)[None] * 7 % model.config.vocab_size
    with torch.no_grad():
        with mapped(model_map, change):
            expected = model(input_ids=ids, use_cache=False).logits
        scale = _embedding_scale(model, model_map)
        _write(model, change, model_map, scale)
        found = model(input_ids=ids, use_cache=False).logits
    apart = float((found - expected).abs().max() / expected.std())
    if not apart < _TOLERANCE:
        raise _refused(
            model_map, "what its layers write is changed on its way into the residual stream (by a norm, for example)"
        )
    model.to(dtype)


def _write(model: Any, change: ResidualMap, model_map: ModelMap, scale: float) -> None:
    rows = model.get_input_embeddings()
    head = model.get_output_embeddings()
    if head is not None and head.weight is rows.weight:
        head.weight = nn.Parameter(head.weight.detach().clone())
        model.config.tie_word_embeddings = False
    blocks = {id(module) for block in model_map.blocks for module in block.modules()}
    for module in model.modules():
        positions = isinstance(module, nn.Embedding) and module is not rows and id(module) not in blocks
        if positions and module.embedding_dim == rows.embedding_dim:
            module.weight.copy_(change.linear(module.weight))
    rows.weight.copy_(change.linear(rows.weight) + change.constant.to(rows.weight) / scale)
    for block in model_map.blocks[: change.last]:
        for path in (model_map.architecture.attn_out, model_map.architecture.mlp_out):
            _project_outputs(block.get_submodule(path), change)


def _project_outputs(module: nn.Module, change: ResidualMap) -> None:
    weight, bias = parameter(module, "weight"), getattr(module, "bias", None)
    shape = projection_shape(module)
    assert shape is not None
    transposed = not isinstance(module, nn.Linear)  # Conv1D keeps [inputs, outputs]
    weight.copy_(change.linear(weight) if transposed else change.linear(weight.T).T)
    if isinstance(bias, nn.Parameter):
        bias.copy_(change.linear(bias))


def _embedding_scale(model: Any, model_map: ModelMap) -> float:
    """What the embedding's rows are multiplied with on their way into the stream (Gemma: the root of d_model).

    Raises:
        InputError: they are not merely multiplied.
    """
    weight = model.get_input_embeddings().weight
    ids = torch.tensor([[3], [5]], device=weight.device)
    states: list[Tensor] = []
    with listening(model_map, "residual", lambda layer, state: states.append(state[:, 0]), only=0):
        model(input_ids=ids, use_cache=False)
    if states[0].shape[-1] != weight.shape[-1]:
        raise _refused(model_map, "its embedding passes a projection")
    # What both have in common, a position, drops out of the difference.
    rows, found = weight[3] - weight[5], states[0][0] - states[0][1]
    scale = float(rows @ found / (rows @ rows))
    if not torch.allclose(rows * scale, found, atol=1e-3 * float(found.abs().max()), rtol=1e-3):
        raise _refused(model_map, "its embedding passes a norm")
    return scale


def _refused(model_map: ModelMap, why: str) -> InputError:
    return InputError(
        f"A change of the residual stream cannot be written into the weights of this "
        f"{model_map.architecture.model_type} model: {why}. Choose another method."
    )
