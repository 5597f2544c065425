"""Does cutting everything that was found silence the branch it was found in? Measured on the model itself.

A map is a guess from names and shapes until this has been seen: a block may have a second MLP, experts beside a shared
one, an adapter, or norms that only some branches read. Three token sequences go through the model side by side, twice:

1. With every head and MLP neuron of every layer at 0, a block can no longer do anything with its input. Write `x` for
   what it reads, `y` for what it writes. Then `y - x` is a constant (output biases), so it is the same for two inputs
   that differ at every position. And two sequences that differ in their first token alone agree at the last one,
   because no head is left that could carry anything from token to token.
2. With the output of every norm of the residual site at 0, no branch knows the hidden state: `y - x` is the same again.

Where a block scales or normalises the stream itself (post-norms, layer scalars) `y - x` is no constant though all
branches are silent. There `x` is replaced by what the same block makes of `x` when all its matrices are zero: the
block without any branch, its adapters and gates included. (A function without matrices has no neurons to find.)

The output bias of an expert comes and goes with the routing; it belongs to no neuron and is taken off first.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from unlearning_core.models.experts import ExpertNeurons, experts_read, routed_bias

if TYPE_CHECKING:
    from unlearning_core.models.mapping import ModelMap, Part

TOKENS = 4
"""Positions of each sequence."""

ROUNDINGS = 8
"""How many roundings, in the precision of the model, one number of two equal results may be apart."""

MEAN_ROUNDINGS = 0.5
"""And all of them in the mean, as root mean square: a weak branch is in no number alone larger than rounding."""


REGISTERING = threading.Lock()
"""Held while hooks are set or removed: torch numbers them with a plain counter, and two threads that register at once
could get one number for two hooks."""


@dataclass
class _Block:
    """One block in one pass: how it was called and what it wrote."""

    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)
    output: Tensor | None = None

    @property
    def input(self) -> Tensor:
        return next(given for given in (*self.args, *self.kwargs.values()) if isinstance(given, Tensor))


def not_silenced(model: Any, model_map: "ModelMap", branches: Sequence[list[list["Part"]]]) -> dict[str, str]:
    """Why sites of `model_map` do not hold what they claim to hold, by site; empty where all do.

    Two short passes; a model without weights (the meta device) cannot be measured and is believed.

    Args:
        model: the causal language model.
        model_map: the sites to measure.
        branches: the parts of the heads and of the MLP, a list a layer each; those too that are no site because they
            cannot be cut in the weights.
    """
    if any(parameter.is_meta for parameter in model.parameters()):
        return {}
    parts = [part for layers in branches for layer in layers for part in layer]
    whys = {}
    if {"mlp", "head"} & set(model_map.shapes):
        # A plain MLP among mixtures of experts has no parts here: it is kept silent as a whole.
        name = model_map.architecture.mlp_out.split(".")[0]
        pairs = zip(model_map.blocks, branches[1], strict=True)
        blocks = _run(model, model_map, parts, [block.get_submodule(name) for block, own in pairs if not own])
        mixing = _first(model_map, blocks, _hears_others)
        whole = all(layer for layer in branches[1])
        if mixing is not None:
            why = f"with all neurons found in it at 0, layer {mixing} still carries something from token to token"
            whys = dict.fromkeys(("mlp", "head"), f"{why}, so an attention of it is not known")
        elif whole and (left := _first(model_map, blocks, _keeps_a_branch)) is not None:
            whys["mlp"] = (
                f"with all neurons found in it at 0, layer {left} still writes something that depends on what it "
                "reads, so a part of its MLP (an adapter, a second MLP, experts of a mixture of experts) is not known"
            )
    if "residual" in model_map.shapes:
        layers = model_map.shapes["residual"][0]
        norms = [norm for layer in range(layers) for norm in model_map.readers("residual", layer)]
        blocks = _run(model, model_map, [], norms)
        if (left := _first(model_map, blocks, _keeps_a_branch)) is not None:
            whys["residual"] = (
                f"with the norms found in it at 0, layer {left} still writes something that depends on the hidden "
                "state, so it is read past those norms"
            )
    return {site: why for site, why in whys.items() if site in model_map.shapes}


def _first(model_map: "ModelMap", blocks: list[_Block], fails: Callable[[nn.Module, _Block], bool]) -> int | None:
    """The first layer that `fails`."""
    pairs = zip(model_map.blocks, blocks, strict=True)
    return next((number for number, (module, block) in enumerate(pairs) if fails(module, block)), None)


def _hears_others(module: nn.Module, block: _Block) -> bool:
    """Whether the last position of a sequence differs from that of one with another first token."""
    output = _written(block)
    return not _same(output[0, -1], output[2, -1], output[0, -1].abs() + output[2, -1].abs(), block.input.dtype)


def _keeps_a_branch(module: nn.Module, block: _Block) -> bool:
    """Whether what the block adds differs between two sequences that differ at every position."""
    written = _written(block)

    def constant(without: Tensor) -> bool:
        added = written - without
        size = (written.abs() + without.abs() + added.abs())[:2].sum(0)
        return _same(added[0], added[1], size, block.input.dtype)

    if constant(block.input.float()):
        return False
    nothing = {
        name: torch.zeros_like(weight)
        for name, weight in module.named_parameters()
        if weight.dim() > 1 and weight.is_floating_point()
    }
    with torch.no_grad():
        bare = torch.func.functional_call(module, nothing, block.args, block.kwargs)
    return not constant((_state(bare)).float())


def _state(output: Any) -> Tensor:
    """The hidden state in what a block returns; some families return more beside it."""
    found: Tensor = output[0] if isinstance(output, (tuple, list)) else output
    return found


def _written(block: _Block) -> Float[Tensor, "sequences positions d_model"]:
    assert block.output is not None, "the body of the model did not run this block"
    return block.output.float()


def _same(one: Tensor, other: Tensor, size: Tensor, dtype: torch.dtype) -> bool:
    """Equal up to rounding of numbers of this size. Numbers that are not finite tell nothing: others look for them."""
    apart, rounding = (one - other).abs(), torch.finfo(dtype).eps * size
    far = bool((apart > ROUNDINGS * rounding).any())
    return not far and not bool(apart.norm() > MEAN_ROUNDINGS * rounding.norm())


def _run(model: Any, model_map: "ModelMap", parts: list["Part"], silent: list[nn.Module]) -> list[_Block]:
    """One pass of the three sequences with the neurons of `parts` and what the `silent` modules write at 0."""
    blocks = [_Block() for _ in model_map.blocks]
    embedding = model.get_input_embeddings().weight
    # Spread over the vocabulary: neighbours in it (unused tokens, say) may share a row.
    ids = torch.linspace(1, 2 * len(embedding) / 3, 2 * TOKENS).long().view(2, TOKENS)
    other_start = torch.cat([ids[1, :1], ids[0, 1:]])
    ids = torch.cat([ids, other_start[None]]).to(embedding.device)
    with _evaluating(model), _silenced(model_map.blocks, blocks, parts, silent), experts_read(), torch.no_grad():
        model_map.body(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False)
    return blocks


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """Nothing is dropped at random inside the `with`; a module in training is in training again after it."""
    training = [module for module in model.modules() if module.training]
    try:
        for module in training:
            module.training = False
        yield
    finally:
        for module in training:
            module.training = True


@contextmanager
def _silenced(
    modules: list[nn.Module], blocks: list[_Block], parts: list["Part"], silent: list[nn.Module]
) -> Iterator[None]:
    """Zero parts and silent modules and record the blocks, in this thread only: others may run the same model."""
    here = threading.get_ident()

    def own(hook: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *args: hook(*args) if threading.get_ident() == here else None

    def called(block: _Block) -> Callable[..., Any]:
        def note(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            block.args, block.kwargs = args, kwargs

        return own(note)

    def wrote(block: _Block) -> Callable[..., Any]:
        def note(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
            block.output = _state(output)

        return own(note)

    def no_input(module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        return (torch.zeros_like(args[0]), *args[1:])

    def no_output(module: nn.Module, args: tuple[Any, ...], output: Tensor) -> Tensor:
        return torch.zeros_like(output)

    def no_bias(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Tensor) -> Tensor:
        _, chosen, weights = (*args, *kwargs.values())
        written = routed_bias(module, chosen, weights)
        return output if written is None else output - written

    handles = []
    try:
        with REGISTERING:
            for module, block in zip(modules, blocks, strict=True):
                handles.append(module.register_forward_pre_hook(called(block), with_kwargs=True))
                handles.append(module.register_forward_hook(wrote(block)))
            for part in parts:
                handles.append(part.module.register_forward_pre_hook(own(no_input)))
                if isinstance(part.module, ExpertNeurons):
                    handles.append(part.projection.register_forward_hook(own(no_bias), with_kwargs=True))
            handles += [module.register_forward_hook(own(no_output)) for module in silent]
        yield
    finally:
        with REGISTERING:
            for handle in handles:
                handle.remove()
