"""Finds where an unlisted family keeps its neurons, from the modules' shapes and one short forward pass."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from unlearning_core.errors import InputError
from unlearning_core.models.architectures import Architecture, row_to_add
from unlearning_core.models.experts import is_experts
from unlearning_core.models.quantised import is_quantised_map


def parameter(module: nn.Module, name: str) -> Tensor:
    """The parameter `name` of `module`, known to be there."""
    found = getattr(module, name)
    assert isinstance(found, Tensor)
    return found


def projection_shape(module: nn.Module) -> tuple[int, int] | None:
    """(inputs, outputs) of a Linear or Conv1D (whose weight is transposed), None for anything else."""
    weight = getattr(module, "weight", None)
    if not isinstance(weight, Tensor) or weight.dim() != 2:
        return None
    if isinstance(module, Conv1D):
        return weight.shape[0], weight.shape[1]
    if is_quantised_map(module):
        return module.in_features, module.out_features  # type: ignore[return-value]  # of a Linear
    return (weight.shape[1], weight.shape[0]) if isinstance(module, nn.Linear) else None


def probe(model: nn.Module, config: Any) -> Architecture:
    """Recognise a decoder: a list of blocks, each with one down projection, one attention output and pre-norms.

    On a model without weights (the meta device) the norms cannot be watched and are told by their place in the block.

    Args:
        model: the causal language model.
        config: its text configuration.

    Raises:
        InputError: a part could not be told; names the row to add to the table.
    """
    model_type = str(config.model_type)
    d_model = int(config.hidden_size)
    blocks_path, blocks = _find_blocks(model, int(config.num_hidden_layers), model_type)
    if _has_experts(blocks, config) and not any(map(is_experts, blocks.modules())):
        raise _unknown(model_type, "it is a mixture of experts, and its experts are not kept in a form that is known")
    found = [_find_projections(block, d_model, model_type) for block in blocks]
    # The first layers of a mixture of experts often have a plain MLP: the row is that of the layers with experts.
    mixed = (paths for paths, block in zip(found, blocks, strict=True) if is_experts(block.get_submodule(paths[1])))
    attn_out, mlp_out, *shared = next(mixed, found[0])
    if parameter(blocks[0].get_submodule(attn_out), "weight").is_meta:
        branches = {path.split(".")[0] for path in (attn_out, mlp_out)}
        norms = tuple(name for name in _norm_names(blocks[0], d_model) if name.split(".")[0] not in branches)
        outside = [name for name in _norm_names(model, d_model) if not name.startswith(f"{blocks_path}.")]
        final_norm = outside[-1] if outside else ""
    else:
        silenced = [block.get_submodule(path) for block, paths in zip(blocks, found, strict=True) for path in paths]
        norms, final_norm = _norms_by_watching(model, blocks, silenced, d_model)
    offset = _gain_offset(model.get_submodule(final_norm), model_type) if final_norm else 0.0
    return Architecture(model_type, blocks_path, mlp_out, attn_out, norms, final_norm, offset, *shared)


def _has_experts(blocks: nn.ModuleList, config: Any) -> bool:
    """Whether it is a mixture of experts: its configuration counts experts, and a module is named for them.

    Neither alone tells: some configurations count experts that are switched off.
    """
    counts = ("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts", "num_experts_per_tok")
    counted = any(isinstance(count := getattr(config, name, None), int) and count > 1 for name in counts)
    return counted and any("expert" in f"{name} {type(one).__name__}".lower() for name, one in blocks.named_modules())


def _unknown(model_type: str, why: str) -> InputError:
    return InputError(
        f"The model family {model_type!r} is not in the table of architectures and could not be recognised: {why}. "
        f"Choose a model of a listed family, or add the row {row_to_add(model_type)}."
    )


def _find_blocks(model: nn.Module, layers: int, model_type: str) -> tuple[str, nn.ModuleList]:
    found = [
        (name, module)
        for name, module in model.named_modules()
        if isinstance(module, nn.ModuleList)
        and len(module) == layers
        and len({type(block) for block in module}) == 1
        and any(projection_shape(part) for part in module[0].modules())
    ]
    # A list inside a block (heads, experts) may be as long as the list of blocks; the blocks are the outermost.
    outer = [one for one in found if not any(one[0].startswith(f"{other}.") for other, _ in found)]
    if len(outer) != 1:
        raise _unknown(model_type, f"{len(outer)} lists of {layers} equal blocks were found, one was expected")
    return outer[0]


def _find_projections(block: nn.Module, d_model: int, model_type: str) -> tuple[str, ...]:
    """Paths of the attention output and of the MLP's down projection: the maps to d_model of each branch.

    In a mixture of experts the second is the module of the experts, and a third the shared expert's down projection.
    """
    shapes = {name: shape for name, module in block.named_modules() if (shape := projection_shape(module))}

    def is_attention(name: str) -> bool:
        return any("att" in part.lower() for part in name.split("."))

    def is_query_or_alike(name: str) -> bool:
        last = name.rsplit(".", 1)[-1].lower()
        return last.startswith(("q", "k", "v", "gate", "up", "w_q", "w_k", "w_v"))

    to_stream = [name for name, (_, out) in shapes.items() if out == d_model and not is_query_or_alike(name)]
    attention = [name for name in to_stream if is_attention(name)]
    mlp = [name for name in to_stream if not is_attention(name)]
    # Where the MLP is wider than the stream, only the way back has its width as the input.
    wide = [name for name in mlp if shapes[name][0] != d_model]
    experts = [name for name, module in block.named_modules() if is_experts(module)]
    mlp = wide or mlp
    mlp, shared = (experts, mlp) if experts else (mlp, [])
    for what, names, fewest in (
        ("attention output projection", attention, 1),
        ("MLP down projection", mlp, 1),
        ("shared expert's down projection in this mixture of experts", shared, 0),
    ):
        if not fewest <= len(names) <= 1:
            raise _unknown(model_type, f"{len(names)} candidates for the {what} ({', '.join(names) or 'none'})")
    return attention[0], mlp[0], *shared


def _norm_names(module: nn.Module, d_model: int) -> list[str]:
    return [
        name
        for name, part in module.named_modules()
        if "norm" in type(part).__name__.lower() and getattr(getattr(part, "weight", None), "shape", None) == (d_model,)
    ]


def _norms_by_watching(
    model: nn.Module, blocks: nn.ModuleList, silenced: list[nn.Module], d_model: int
) -> tuple[tuple[str, ...], str]:
    """Silence what attention and MLP write: the stream then equals the block's input, and its readers are seen.

    A norm that reads a branch (a post-norm, a query norm) gets something else than the stream and is left out.
    """
    block = blocks[0]
    in_block = {block.get_submodule(name): name for name in _norm_names(block, d_model)}
    inside = {part for one in blocks for part in one.modules()}
    every = {model.get_submodule(name): name for name in _norm_names(model, d_model)}
    outside = {part: name for part, name in every.items() if part not in inside}
    seen: dict[nn.Module, Tensor] = {}
    with _watching([block, *in_block, *outside], silenced, seen), torch.no_grad():
        device = next(model.parameters()).device
        model(input_ids=torch.zeros(1, 3, dtype=torch.long, device=device), use_cache=False)
    stream = seen[block]
    readers = {part for part in (*in_block, *outside) if part in seen and _same(seen[part], stream)}
    final = [name for part, name in outside.items() if part in readers]
    return tuple(name for part, name in in_block.items() if part in readers), final[-1] if final else ""


def _same(one: Tensor, other: Tensor) -> bool:
    return one.numel() == other.numel() and bool(torch.allclose(one.flatten(), other.flatten().to(one.device)))


@contextmanager
def _watching(watched: list[nn.Module], silenced: list[nn.Module], seen: dict[nn.Module, Tensor]) -> Iterator[None]:
    """Record each watched module's first input and zero each silenced module's output, in this thread only."""
    here = threading.get_ident()

    def record(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if threading.get_ident() == here:
            seen.setdefault(module, args[0] if args else kwargs["hidden_states"])

    def silence(module: nn.Module, args: tuple[Any, ...], output: Tensor) -> Tensor | None:
        return torch.zeros_like(output) if threading.get_ident() == here else None

    handles = [module.register_forward_pre_hook(record, with_kwargs=True) for module in watched]
    handles += [module.register_forward_hook(silence) for module in silenced]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _gain_offset(norm: nn.Module, model_type: str) -> float:
    """0 where a zero weight silences the norm, 1 where minus one does (gemma multiplies by 1 + weight).

    Raises:
        InputError: neither does.
    """
    weight, bias = parameter(norm, "weight"), getattr(norm, "bias", None)
    if weight.is_meta:
        return 0.0
    x = torch.linspace(-1.0, 2.0, weight.numel(), device=weight.device, dtype=weight.dtype)[None, None]
    for offset in (0.0, 1.0):
        replaced = {"weight": torch.full_like(weight, -offset)}
        if isinstance(bias, Tensor):
            replaced["bias"] = torch.zeros_like(bias)
        with torch.no_grad():
            output = torch.func.functional_call(norm, replaced, (x,))
        if not output.any():
            return offset
    raise _unknown(model_type, f"its norm {type(norm).__name__} is silenced neither by a weight of 0 nor by one of -1")
