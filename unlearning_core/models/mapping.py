"""Where the neurons of one loaded model are: the modules that read them, their shapes, what leaves them."""

import logging
import weakref
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64
from torch import nn
from transformers.pytorch_utils import Conv1D

from unlearning_core.errors import InputError
from unlearning_core.models.architectures import TABLE, Architecture, row_to_add
from unlearning_core.models.probing import parameter, probe, projection_shape

SITES = ("mlp", "head", "residual")
"""The three kinds of neuron, in the order they are always listed."""

_log = logging.getLogger(__name__)
_probed: "weakref.WeakKeyDictionary[nn.Module, Architecture]" = weakref.WeakKeyDictionary()


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
        missing: why each absent site is absent.
    """

    architecture: Architecture
    shapes: dict[str, tuple[int, int]]
    blocks: list[nn.Module]
    body: nn.Module
    final_norm: nn.Module | None
    head_dim: int
    missing: dict[str, str] = field(default_factory=dict)

    @property
    def gain_offset(self) -> float:
        """A norm multiplies by `gain_offset + weight`."""
        return self.architecture.gain_offset

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

    def readers(self, site: str, layer: int) -> list[nn.Module]:
        """The modules that read the neurons of one layer.

        mlp: the down projection. head: the attention output projection. residual: the norms of block `layer` that read
        hidden state `layer`; for the last layer the final norm.

        Raises:
            InputError: this model does not have the site.
        """
        layers, _ = self.require(site)
        if not 0 <= layer < layers:
            raise InputError(f"Layer {layer} is outside 0 to {layers - 1} of the site {site!r}.")
        if site == "mlp":
            return [self.blocks[layer].get_submodule(self.architecture.mlp_out)]
        if site == "head":
            return [self.blocks[layer].get_submodule(self.architecture.attn_out)]
        if layer == len(self.blocks):
            return [self.final_norm] if self.final_norm is not None else []
        return _present(self.blocks[layer], self.architecture.norms)

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
            (module,) = self.readers(site, layer)
            weight = parameter(module, "weight").detach().cpu()
            inputs_axis = 0 if isinstance(module, Conv1D) else 1
            squares = torch.linalg.vector_norm(weight.float(), dim=1 - inputs_axis, dtype=torch.float64).square()
            norms[layer] = squares.reshape(width, -1).sum(dim=1).sqrt().numpy()
        return norms


def map_model(model: Any) -> ModelMap:
    """Find the neurons of a causal language model, by the table of architectures or, for others, by probing.

    Raises:
        InputError: the family is neither listed nor recognised (names the row to add), or the model is not laid out
            as its row says.
    """
    config = model.config.get_text_config()
    row = TABLE.get(config.model_type) or _probed.get(model)
    if row is None:
        row = _probed[model] = probe(model, config)
        _log.info("Model family %s is not in the table; recognised as %s", config.model_type, row)
    try:
        blocks = list(model.get_submodule(row.blocks))
        projections = {
            site: [block.get_submodule(path) for block in blocks]
            for site, path in (("mlp", row.mlp_out), ("head", row.attn_out))
        }
    except AttributeError as error:
        raise InputError(
            f"The model {type(model).__name__} is not laid out as the row {row.model_type!r} says ({error}). "
            f"It must be a causal language model; load it with its head, or mend {row_to_add(row.model_type)}."
        ) from error
    final_norm = _submodule(model, row.final_norm)
    heads = int(config.num_attention_heads)
    missing = {site: why for site in ("mlp", "head") if (why := _no_projection(projections[site], config))}
    if why := _no_residual(row, blocks, final_norm, config):
        missing["residual"] = why
    inputs = {site: (projection_shape(modules[0]) or (0, 0))[0] for site, modules in projections.items()}
    shapes = {
        "mlp": (len(blocks), inputs["mlp"]),
        "head": (len(blocks), heads),
        "residual": (len(blocks) + 1, int(config.hidden_size)),
    }
    return ModelMap(
        architecture=row,
        shapes={site: shape for site, shape in shapes.items() if site not in missing},
        blocks=blocks,
        body=model.base_model,
        final_norm=final_norm,
        head_dim=inputs["head"] // heads,
        missing=missing,
    )


def _submodule(module: nn.Module, path: str) -> nn.Module | None:
    """The module at `path`, or None where it is absent or switched off (OPT keeps None for a norm it does not use)."""
    try:
        found = module.get_submodule(path) if path else None
    except AttributeError:
        return None
    return found if isinstance(found, nn.Module) else None


def _present(block: nn.Module, paths: tuple[str, ...]) -> list[nn.Module]:
    return [norm for path in paths if (norm := _submodule(block, path)) is not None]


def _no_projection(modules: list[nn.Module], config: Any) -> str | None:
    """Why these projections cannot be cut with an exact weight form, or None if they can."""
    if getattr(config, "slow_but_exact", False) and getattr(config, "pretraining_tp", 1) > 1:
        return "with slow_but_exact it reads the projection's weight in slices; set slow_but_exact to false"
    for module in modules:
        shape = projection_shape(module)
        if shape is None or not parameter(module, "weight").is_floating_point() or not _is_linear(module):
            return f"its projection {type(module).__name__} is quantised; load the model with full weights"
        if shape != projection_shape(modules[0]):
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
