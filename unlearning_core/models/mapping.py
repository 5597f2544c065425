"""Where the neurons of one loaded model are: the modules that read them, their shapes, what leaves them."""

import logging
import math
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from unlearning_core.errors import InputError
from unlearning_core.models.architectures import TABLE, Architecture, row_to_add
from unlearning_core.models.experts import ExpertLayout, ExpertNeurons, expert_shape, is_experts, open_experts
from unlearning_core.models.placement import at_hand
from unlearning_core.models.probing import parameter, probe, projection_shape
from unlearning_core.models.silencing import not_silenced

SITES = ("mlp", "head", "residual")
"""The three kinds of neuron, in the order they are always listed."""

_log = logging.getLogger(__name__)
_probed: "weakref.WeakKeyDictionary[nn.Module, Architecture]" = weakref.WeakKeyDictionary()


@dataclass(frozen=True, eq=False)
class Part:
    """Neurons of one layer that one module reads: all of a plain layer, or those of one kind of expert.

    Attributes:
        module: where hooks see them: its input (of a norm: its output), or the `ExpertNeurons` that they pass.
        projection: the module whose weight they leave through: `module` itself, or the experts it belongs to.
        neurons: which of the layer's neurons they are.
    """

    module: nn.Module
    projection: nn.Module
    neurons: slice

    @property
    def weight(self) -> nn.Parameter:
        """The weight they leave through: [outputs, inputs], [inputs, outputs] or, of experts, with an axis more."""
        found = parameter(self.projection, "down_proj" if isinstance(self.module, ExpertNeurons) else "weight")
        assert isinstance(found, nn.Parameter)
        return found

    @property
    def inputs_axis(self) -> int:
        """The axis of `weight` that runs over the neurons of a layer or of an expert."""
        if isinstance(self.module, ExpertNeurons):
            return 1 if self.projection.is_transposed else 2
        return 0 if isinstance(self.module, Conv1D) else 1

    def column(self, index: int) -> Float[Tensor, " d_model"]:
        """What one unit of neuron `index` of this part adds to the output of `projection`."""
        with at_hand(self.projection):
            weight, axis = self.weight.detach(), self.inputs_axis
        if isinstance(self.module, ExpertNeurons):
            expert, index = divmod(index, self.module.width)
            weight, axis = weight[expert], axis - 1
        return weight.select(axis, index)

    def column_norms(self) -> Float64[Tensor, " inputs"]:
        """L2 norm of the column of each input."""
        outputs_axis = (3 if isinstance(self.module, ExpertNeurons) else 1) - self.inputs_axis
        with at_hand(self.projection):
            return _norms(self.weight.detach(), outputs_axis).flatten()


_NORM_VALUES = 2**17
"""Weights squared at once: 1 MB in float64, which stays in a processor's cache; a reduction over all rows of a matrix
at once took a hundred times as long."""


def _norms(weight: Float[Tensor, "*experts rows columns"], axis: int) -> Float64[Tensor, "*experts kept"]:
    """L2 norms along an axis of each matrix, in float64, without a copy of the whole."""
    if weight.ndim > 2:
        return torch.stack([_norms(expert, axis - 1) for expert in weight])
    step = max(1, _NORM_VALUES // weight.shape[1])
    squares = [part.cpu().to(torch.float64, copy=True).square_().sum(dim=axis) for part in weight.split(step)]
    return (torch.stack(squares).sum(dim=0) if axis == 0 else torch.cat(squares)).sqrt()


@dataclass(frozen=True, eq=False)
class ModelMap:
    """Made by `map_model`; holds references to the model's modules, copies no weight.

    Attributes:
        architecture: the row of module names that was used.
        shapes: (layers, width) a site: mlp (n_layer, d_mlp), head (n_layer, n_head), residual (n_layer + 1, d_model).
            A site that this model cannot offer is absent; `require` says why.
        blocks: the n_layer block modules.
        body: the model without its language model head, called as
            `body(input_ids=, attention_mask=, use_cache=False).last_hidden_state`.
        final_norm: the norm that the language model head reads, or None.
        head_dim: inputs of the attention output projection that belong to one head.
        experts: in a mixture of experts, how the neurons of the site mlp are numbered; None elsewhere.
        missing: why each absent site is absent.
    """

    architecture: Architecture
    shapes: dict[str, tuple[int, int]]
    blocks: list[nn.Module]
    body: nn.Module
    final_norm: nn.Module | None
    head_dim: int
    experts: ExpertLayout | None = None
    missing: dict[str, str] = field(default_factory=dict)

    @property
    def gain_offset(self) -> float:
        """A norm multiplies by `gain_offset + weight`."""
        return self.architecture.gain_offset

    def hidden_state_at(self, depth: float) -> int:
        """The hidden state at that share of the layers: 1, what the first block leaves, to n_layer."""
        return max(1, round(depth * len(self.blocks)))

    def require(self, site: str) -> tuple[int, int]:
        """The (layers, width) of `site`.

        Raises:
            InputError: the site is unknown or this model has none; says why.
        """
        if site in self.shapes:
            return self.shapes[site]
        if site in self.missing:
            raise InputError(
                f"The site {site!r} cannot be used with this {self.architecture.model_type} model: "
                f"{self.missing[site]}. Choose one of: {', '.join(self.shapes) or 'none'}."
            )
        raise InputError(f"The site {site!r} is not known. Choose one of: {', '.join(SITES)}.")

    def parts(self, site: str, layer: int) -> list[Part]:
        """The modules that read the neurons of one layer, and which of them each reads.

        mlp: the down projection; in a mixture of experts all experts together, then the shared one. head: the
        attention output projection. residual: the norms of block `layer` that read hidden state `layer` (each reads
        all of it); for the last layer the final norm.

        Raises:
            InputError: this model does not have the site.
        """
        layers, width = self.require(site)
        if not 0 <= layer < layers:
            raise InputError(f"Layer {layer} is outside 0 to {layers - 1} of the site {site!r}.")
        if site == "mlp":
            return mlp_parts(self.blocks[layer], self.architecture)
        if site == "head":
            modules = [self.blocks[layer].get_submodule(self.architecture.attn_out)]
        elif layer == len(self.blocks):
            modules = [self.final_norm] if self.final_norm is not None else []
        else:
            modules = _present(self.blocks[layer], self.architecture.norms)
        return [Part(module, module, slice(0, width)) for module in modules]

    def readers(self, site: str, layer: int) -> list[nn.Module]:
        """The modules of `parts`, as hooks need them; raises as that does."""
        return [part.module for part in self.parts(site, layer)]

    def outgoing(self, layer: int, index: int) -> Float[Tensor, " d_model"]:
        """What one unit of an MLP neuron adds to what the MLP writes.

        In a mixture of experts this is before the routing weight, a number between 0 and 1 that is each token's own.

        Raises:
            InputError: this model does not have the site mlp.
        """
        (part,) = (part for part in self.parts("mlp", layer) if part.neurons.start <= index < part.neurons.stop)
        return part.column(index - part.neurons.start)

    def outgoing_norm(self, site: str) -> Float64[np.ndarray, "layers width"]:
        """L2 norm of the weights that leave each neuron.

        mlp: of the neuron's column of the down projection; head: Frobenius norm of the head's columns of the output
        projection; residual: ones, because a dimension leaves through every later map.

        Raises:
            InputError: this model does not have the site.
        """
        layers, width = self.require(site)
        if site == "residual":
            return np.ones((layers, width))
        norms = np.empty((layers, width))
        for layer in range(layers):
            squares = torch.cat([part.column_norms() for part in self.parts(site, layer)]).square()
            norms[layer] = squares.reshape(width, -1).sum(dim=1).sqrt().numpy()
        return norms


def mlp_parts(block: nn.Module, row: Architecture) -> list[Part]:
    """The parts of a block's MLP, experts opened.

    Raises:
        AttributeError: the block is not laid out as the row says.
    """
    parts, start = [], 0
    for path in filter(None, (row.mlp_out, row.shared_out)):
        projection = block.get_submodule(path)
        if is_experts(projection):
            module: nn.Module = open_experts(projection)
            size = math.prod(expert_shape(projection))
        else:
            module, size = projection, (projection_shape(projection) or (0, 0))[0]
        parts.append(Part(module, projection, slice(start, start + size)))
        start += size
    return parts


def map_model(model: Any) -> ModelMap:
    """Find the neurons of a causal language model, by the table of architectures or, for others, by probing.

    Raises:
        InputError: the family is neither listed nor recognised (names the row to add), or the model is not laid out
            as its row says.
    """
    config = model.config.get_text_config()
    row = TABLE.get(config.model_type) or _probed.get(model)
    if row is None:
        with _running(model):
            row = _probed[model] = probe(model, config)
        _log.info("Model family %s is not in the table; recognised as %s", config.model_type, row)
    try:
        blocks = list(model.get_submodule(row.blocks))
        heads = [[_whole(block.get_submodule(row.attn_out))] for block in blocks]
        mlps = [_mlp_of(block, row) for block in blocks]
    except AttributeError as error:
        raise InputError(
            f"The model {type(model).__name__} is not laid out as the row {row.model_type!r} says ({error}). "
            f"It must be a causal language model; load it with its head, or correct {row_to_add(row.model_type)}."
        ) from error
    final_norm, n_head = _submodule(model, row.final_norm), int(config.num_attention_heads)
    whys = {
        "mlp": _no_projection(mlps, config),
        "head": _no_projection(heads, config),
        "residual": _no_residual(row, blocks, final_norm, config),
    }
    shapes = {
        "mlp": (len(blocks), mlps[0][-1].neurons.stop if mlps[0] else 0),
        "head": (len(blocks), n_head),
        "residual": (len(blocks) + 1, int(config.hidden_size)),
    }
    found = ModelMap(
        architecture=row,
        shapes={site: shape for site, shape in shapes.items() if whys[site] is None},
        blocks=blocks,
        body=model.base_model,
        final_norm=final_norm,
        head_dim=heads[0][0].neurons.stop // n_head,
        experts=None if whys["mlp"] else _layout(mlps[0]),
        missing={site: why for site, why in whys.items() if why is not None},
    )
    with _running(model):
        measured = not_silenced(model, found, [heads, mlps])
    shapes = {site: shape for site, shape in found.shapes.items() if site not in measured}
    return replace(found, shapes=shapes, missing=found.missing | measured)


@contextmanager
def _running(model: Any) -> Iterator[None]:
    """Say what it means that the model fails at a few tokens: its configuration or number format does not suit it."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, TypeError, ValueError, AttributeError, IndexError, AssertionError) as error:
        raise InputError(
            f"The model {type(model).__name__} cannot read a few tokens ({str(error).splitlines()[0][:200]}). "
            "Choose dtype float32 if it was another; else take the config.json that the model was published with."
        ) from error


def _whole(module: nn.Module) -> Part:
    """The part of a module that reads all that its layer has of a site."""
    return Part(module, module, slice(0, (projection_shape(module) or (0, 0))[0]))


def _mlp_of(block: nn.Module, row: Architecture) -> list[Part]:
    """The parts of a block's MLP; none where this block of a mixture of experts has a plain MLP.

    Raises:
        AttributeError: the block is not laid out as the row says.
    """
    try:
        return mlp_parts(block, row)
    except AttributeError:
        if row.mlp_out.endswith("experts"):
            return []
        raise


def _layout(parts: list[Part]) -> ExpertLayout | None:
    neurons = parts[0].module
    if not isinstance(neurons, ExpertNeurons):
        return None
    return ExpertLayout(neurons.experts, neurons.width, parts[-1].neurons.stop - parts[0].neurons.stop)


def _submodule(module: nn.Module, path: str) -> nn.Module | None:
    """The module at `path`, or None where it is absent or switched off (OPT keeps None for a norm it does not use)."""
    try:
        found = module.get_submodule(path) if path else None
    except AttributeError:
        return None
    return found if isinstance(found, nn.Module) else None


def _present(block: nn.Module, paths: tuple[str, ...]) -> list[nn.Module]:
    return [norm for path in paths if (norm := _submodule(block, path)) is not None]


def _no_projection(layers: list[list[Part]], config: Any) -> str | None:
    """Why the projections of a site's layers cannot be cut with an exact weight form, or None if they can."""
    if getattr(config, "slow_but_exact", False) and getattr(config, "pretraining_tp", 1) > 1:
        return "with slow_but_exact it reads the projection's weight in slices; set slow_but_exact to false"
    if plain := [str(number) for number, parts in enumerate(layers) if not parts]:
        return (
            "it is a mixture of experts in which not every layer has experts (plain MLPs in layer "
            f"{', '.join(plain)}), so its layers differ in width, and a ranking needs the same width in all"
        )
    for part in (part for parts in layers for part in parts):
        shape, module = projection_shape(part.projection), part.projection
        if is_experts(module):
            if not parameter(module, "down_proj").is_floating_point():
                return "the experts of this mixture of experts are quantised; load the model with full weights"
        elif shape is None or not parameter(module, "weight").is_floating_point() or not _is_linear(module):
            return f"its projection {type(module).__name__} is quantised; load the model with full weights"
    if len({parts[-1].neurons.stop for parts in layers}) > 1:
        return "its layers differ in width"
    return None


def _is_linear(module: nn.Module) -> bool:
    """Whether the map is `x W + b` and nothing else; a quantising layer rounds the input or the weight on the way."""
    weight, bias = parameter(module, "weight"), getattr(module, "bias", None)
    if type(module).forward in (nn.Linear.forward, Conv1D.forward) or weight.is_meta:
        return True
    x = torch.linspace(-1.0, 1.0, weight.shape[1], device=weight.device, dtype=weight.dtype)[None]
    with torch.no_grad():
        expected = nn.functional.linear(x, weight, bias)
        return bool(torch.allclose(module(x), expected, rtol=1e-2, atol=1e-3))


def _no_residual(row: Architecture, blocks: list[nn.Module], final_norm: nn.Module | None, config: Any) -> str | None:
    """Why no hidden state can be cut at the norms that read it, or None if it can."""
    if getattr(config, "do_layer_norm_before", True) is False:
        return "it normalises after each layer (do_layer_norm_before is false), so no norm reads the hidden state"
    if getattr(config, "apply_residual_connection_post_layernorm", False):
        return "the hidden state itself passes through the norms (apply_residual_connection_post_layernorm is true)"
    readers = [_present(block, row.norms) for block in blocks]
    if final_norm is None or not all(readers):
        return "its layers read the hidden state without a norm in between"
    for norm in (*(norm for norms in readers for norm in norms), final_norm):
        if getattr(norm, "weight", None) is None:
            return f"its norm {type(norm).__name__} has no gain to set to zero"
    return None
