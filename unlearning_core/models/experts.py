"""The neurons of a mixture of experts, made readable and writable without changing what the model computes.

transformers keeps the experts of a layer in one module with fused weights (`gate_up_proj`, `down_proj`), so no
submodule reads an expert's neurons and no hook can reach them. `open_experts` gives such a module a submodule without
parameters, `ExpertNeurons`, and a forward pass that sends through it what each chosen expert's down projection reads.
That pass is taken only inside `experts_read()`, for the code of that context; everybody else runs the library's own
(`type(module).forward`, with its fast kernels), so a pass without hooks costs nothing more and a saved model, its
configuration and its weights are what they were.

Why not an implementation in transformers' own registry of experts functions: that is chosen in the configuration, which
everyone who runs the model shares, while a hook is one caller's.

A neuron of an expert holds 0 at a token that the router did not send there. The routing weight stands outside: it
multiplies what the expert writes, not what its neurons hold.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from types import MethodType
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

_read: ContextVar[bool] = ContextVar("experts_read", default=False)


@dataclass(frozen=True, eq=False)
class Routing:
    """Which token went to which expert, a pair each, sorted by expert.

    Attributes:
        token: the pair's token, all texts one after the other.
        expert: the pair's expert.
        tokens: tokens in all.
    """

    token: Int64[Tensor, " pairs"]
    expert: Int64[Tensor, " pairs"]
    tokens: int


class ExpertNeurons(nn.Module):
    """What the neurons of one layer's experts hold, on the way to the down projections; hooks go on this module.

    Neuron `i` of expert `e` is number `e * width + i` of the layer.

    Attributes:
        experts: how many experts the layer has.
        width: neurons of each.
    """

    def __init__(self, experts: int, width: int) -> None:
        super().__init__()
        self.experts, self.width = experts, width

    def forward(self, inner: Float[Tensor, "pairs width"], routing: Routing) -> Float[Tensor, "pairs width"]:
        """`inner` as it is, or as hooks have changed it."""
        return inner

    def dense(self, inner: Float[Tensor, "pairs width"], routing: Routing) -> Float[Tensor, "tokens neurons"]:
        """A row a token over the neurons of all experts, 0 where the token did not go."""
        rows = inner.new_zeros(routing.tokens * self.experts, self.width)
        place = routing.token * self.experts + routing.expert
        return rows.index_copy(0, place, inner).view(routing.tokens, -1)

    def multiplied(
        self, inner: Float[Tensor, "pairs width"], routing: Routing, factor: Float[Tensor, "*texts neurons"]
    ) -> Float[Tensor, "pairs width"]:
        """`inner` times the factor of its neuron, `[neurons]` or `[texts, 1, neurons]`; gradients flow to `factor`.

        Only the pairs are multiplied: the product over all tokens and experts would be many times as large.
        """
        texts = factor.shape[0] if factor.dim() == 3 else 1
        text = routing.token // (routing.tokens // texts)
        return inner * factor.reshape(texts * self.experts, self.width)[text * self.experts + routing.expert]


@contextmanager
def experts_read() -> Iterator[None]:
    """Inside the `with`, opened experts send what their neurons hold through their `ExpertNeurons`."""
    previous = _read.set(True)
    try:
        yield
    finally:
        _read.reset(previous)


def is_experts(module: nn.Module | None) -> bool:
    """Whether `module` is a transformers experts module whose layout is known (`use_experts_implementation`)."""
    down: Any = getattr(module, "down_proj", None)
    return isinstance(down, Tensor) and down.dim() == 3 and hasattr(module, "is_transposed")


def expert_shape(experts: Any) -> tuple[int, int]:
    """(experts, neurons of each) of an experts module."""
    count, *sides = experts.down_proj.shape
    return int(count), int(sides[0] if experts.is_transposed else sides[1])


def open_experts(experts: Any) -> ExpertNeurons:
    """The `ExpertNeurons` of an experts module, which gets one if it has none yet."""
    if "neurons" not in experts._modules:
        experts.neurons = ExpertNeurons(*expert_shape(experts))
        experts.forward = MethodType(_forward, experts)
    return experts.neurons


def _forward(self: Any, *args: Tensor, **kwargs: Tensor) -> Tensor:
    """The experts' forward pass, through `self.neurons` where somebody reads them.

    Families name its arguments differently but agree on their order: hidden states [tokens, d_model], the experts
    chosen for each token [tokens, chosen], their weights [tokens, chosen].
    """
    hidden_states, top_k_index, top_k_weights = (*args, *kwargs.values())
    # The library's grouped products need rows of a multiple of 16 bytes, which few small models in half precision have.
    aligned = all(side * hidden_states.element_size() % 16 == 0 for side in self.down_proj.shape[1:])
    if aligned and not _read.get():
        output: Tensor = type(self).forward(self, *args, **kwargs)
        return output
    chosen, order = top_k_index.reshape(-1).sort(stable=True)
    routing = Routing(order // top_k_index.shape[-1], chosen, len(hidden_states))
    sizes = torch.bincount(chosen, minlength=self.neurons.experts).tolist()
    up = "gate_up_proj" if self.has_gate else "up_proj"
    gate = self._apply_gate if self.has_gate else self.act_fn
    inner = self.neurons(gate(_projected(self, up, hidden_states[routing.token], sizes)), routing)
    written = _projected(self, "down_proj", inner, sizes)
    if self.has_post_expert_norm:
        written = self.post_expert_norm(written)
    written = written * top_k_weights.reshape(-1)[order, None]
    return torch.zeros_like(hidden_states).index_add(0, routing.token, written.to(hidden_states.dtype))


def _projected(experts: Any, name: str, inputs: Tensor, sizes: list[int]) -> Tensor:
    """`inputs` [pairs, ...], sorted by expert, each through its own expert's weight `name`."""
    weight, bias = getattr(experts, name), getattr(experts, f"{name}_bias") if experts.has_bias else None
    parts = [
        nn.functional.linear(
            part,
            weight[number].T if experts.is_transposed else weight[number],
            None if bias is None else bias[number],
        )
        for number, part in enumerate(inputs.split(sizes))
        if len(part)
    ]
    return torch.cat(parts)


def routed_bias(experts: Any, top_k_index: Tensor, top_k_weights: Tensor) -> Tensor | None:
    """What the experts' output biases write, [tokens, d_model]: it belongs to no neuron; None where there are none."""
    if not experts.has_bias:
        return None
    return (experts.down_proj_bias[top_k_index] * top_k_weights[..., None]).sum(-2)


@dataclass(frozen=True)
class ExpertLayout:
    """How the neurons of a layer are numbered: expert after expert, then those of the expert that every token goes to.

    Attributes:
        count: experts that the router chooses from.
        width: neurons of each.
        shared: neurons of the shared expert; 0 where there is none.
    """

    count: int
    width: int
    shared: int = 0

    def split(self, index: Int64[np.ndarray, " neurons"]) -> tuple[pd.Categorical, Int64[np.ndarray, " neurons"]]:
        """(expert, neuron of that expert) of the neurons at `index` of their layer; the shared one is "shared"."""
        routed = self.count * self.width
        names = [*map(str, range(self.count)), *(["shared"] if self.shared else [])]
        expert = np.minimum(index // self.width, self.count)
        neuron = np.where(index < routed, index % self.width, index - routed)
        return pd.Categorical.from_codes(expert, categories=names), neuron
