"""Export of a cut: the same edit as `hooks.applied`, written into the weights, and the check that it is still there."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int64, Shaped
from torch import Tensor, nn
from transformers import AutoModelForCausalLM

from unlearning_core.compat import building_a_model
from unlearning_core.edits.hooks import check_mask, inputs_kept
from unlearning_core.edits.mask import Mask
from unlearning_core.edits.row_weights import row_edits
from unlearning_core.edits.saved_weights import SavedWeights
from unlearning_core.edits.token_rows import TokenRows
from unlearning_core.errors import InputError
from unlearning_core.models.architectures import TABLE
from unlearning_core.models.experts import ExpertNeurons
from unlearning_core.models.mapping import ModelMap, Part, map_model
from unlearning_core.models.quantised import is_quantised

_log = logging.getLogger(__name__)
Neuron = tuple[str, int, int]


@dataclass(frozen=True, eq=False)
class Cut:
    """The entries of one parameter that silence the cut neurons of one layer.

    Attributes:
        site: the site of the neurons.
        layer: their layer.
        parameter: the weight (or a norm's bias) that is written.
        axis: the axis of `parameter` that runs over neurons.
        positions: entries along `axis`.
        neurons: the neuron each position belongs to (a head has head_dim of them).
        value: what is written: 0, or minus the gain offset for a norm's gain.
        experts: of a weight that holds all experts, the entry along its first axis that each position is of.
    """

    site: str
    layer: int
    parameter: nn.Parameter
    axis: int
    positions: Int64[Tensor, " entries"]
    neurons: Int64[np.ndarray, " entries"]
    value: float
    experts: Int64[Tensor, " entries"] | None = None

    def write(self) -> None:
        """Silence the neurons in place; cheap enough for every optimizer step."""
        self.silence(self.parameter)

    def silence(self, tensor: Shaped[Tensor, "..."]) -> None:
        """Silence the neurons in `tensor`, of the parameter's shape."""
        with torch.no_grad():
            if self.experts is None:
                tensor.index_fill_(self.axis, self.positions.to(tensor.device), self.value)
            else:
                tensor[self._entries(tensor.device)] = self.value

    def silence_expert(self, expert: int, tensor: Shaped[Tensor, "..."]) -> None:
        """Silence the neurons of one expert in its own part of a weight that holds all experts."""
        assert self.experts is not None
        tensor.index_fill_(self.axis - 1, self.positions[self.experts == expert].to(tensor.device), self.value)

    def paste(self, tensor: Shaped[Tensor, "..."]) -> None:
        """Give the entries the values that they have in `tensor`, of the parameter's shape."""
        with torch.no_grad():
            if self.experts is None:
                positions = self.positions.to(self.parameter.device)
                values = tensor.detach().to(self.parameter).index_select(self.axis, positions)
                self.parameter.index_copy_(self.axis, positions, values)
            else:
                entries = self._entries(self.parameter.device)
                self.parameter[entries] = tensor.detach().to(self.parameter)[entries]

    def _entries(self, device: torch.device) -> tuple[Tensor | slice, ...]:
        """Index of the entries in a weight that holds all experts; selects [entries, outputs]."""
        assert self.experts is not None
        experts, positions = self.experts.to(device), self.positions.to(device)
        return (experts, positions) if self.axis == 1 else (experts, slice(None), positions)

    def alive(self, tensor: Shaped[Tensor, "..."]) -> Int64[np.ndarray, " neurons"]:
        """The neurons (sorted, unique) whose entries in `tensor`, of the parameter's shape, are not silent."""
        if self.experts is None:
            entries = tensor.index_select(self.axis, self.positions.to(tensor.device)).movedim(self.axis, 0)
        else:
            entries = tensor[self._entries(tensor.device)]
        changed = (entries != self.value).reshape(len(self.positions), -1).any(dim=1)
        return np.unique(self.neurons[changed.cpu().numpy()])


def cuts(model_map: ModelMap, mask: Mask) -> list[Cut]:
    """Where the mask is written in the weights: compute once, `write()` as often as needed.

    Raises:
        InputError: the mask is not of this model, or the model cannot offer one of its sites.
    """
    check_mask(mask, model_map)
    found = []
    for site, kept in mask.kept.items():
        for layer in np.flatnonzero(~kept.all(axis=1)):
            for part in model_map.parts(site, int(layer)):
                own = kept[layer] if site == "head" else kept[layer, part.neurons]
                positions = np.flatnonzero(~inputs_kept(own, site, model_map))
                neurons = positions // model_map.head_dim if site == "head" else positions + part.neurons.start
                if len(positions):
                    found += _of_part(part, site, int(layer), positions, neurons, model_map.gain_offset)
    return found


def _of_part(
    part: Part, site: str, layer: int, positions: np.ndarray, neurons: np.ndarray, gain_offset: float
) -> list[Cut]:
    weight, axis, value = part.weight, part.inputs_axis, 0.0
    experts = None
    if isinstance(part.module, ExpertNeurons):
        experts, positions = np.divmod(positions, part.module.width)
    if site == "residual":
        axis, value = 0, -gain_offset

    def there(numbers: np.ndarray) -> Tensor:
        return torch.from_numpy(numbers) if weight.is_meta else torch.from_numpy(numbers).to(weight.device)

    where = there(positions)
    of_experts = None if experts is None else there(experts)
    found = [Cut(site, layer, weight, axis, where, neurons, value, of_experts)]
    bias = getattr(part.module, "bias", None)
    if site == "residual" and isinstance(bias, nn.Parameter):
        # A norm's bias would leak a constant through a zeroed gain.
        found.append(Cut(site, layer, bias, 0, where, neurons, 0.0))
    return found


def bake(model: nn.Module, mask: Mask | None, model_map: ModelMap | None = None, rows: TokenRows | None = None) -> None:
    """Write both edits into the weights of `model`, in place; it then computes as under `applied` with the same.

    Raises:
        InputError: the mask or the rows are not of this model, the model cannot offer one of the mask's sites, or its
            weights are quantised.
    """
    if is_quantised(model):
        raise InputError(
            "The weights of this model are kept in 8 or 4 bits (base_model.quantize), in which no edit is written. "
            "Load it without, or write the edit from file to file (unlearning_core.edits.export)."
        )
    # Whatever may be refused is refused before anything is written.
    edits = row_edits(model, rows) if rows is not None else []
    for cut in cuts(model_map or map_model(model), mask) if mask is not None else []:
        cut.write()
    for edit in edits:
        edit.write()
    if mask is not None:
        _log.info("Wrote %d of %d neurons of the mask as zeros into the weights", mask.cut, mask.total)
    if rows is not None:
        _log.info("Moved the rows of %d tokens by %g towards one that means nothing", len(rows.ids), rows.strength)


def survivors(model_or_folder: nn.Module | str | Path, mask: Mask, model_map: ModelMap | None = None) -> list[Neuron]:
    """The (site, layer, index) that `mask` cuts but whose weights are not silent, sorted; empty if the cut holds.

    A folder is read tensor by tensor from its safetensors files, one or several; the model is not loaded, except that
    of a family outside the table of architectures with a residual mask, whose norms have to be watched.

    Args:
        model_or_folder: a model in memory, or a folder written by `save_pretrained`.
        mask: of that model.
        model_map: of the model in memory, if it is at hand already.

    Raises:
        InputError: the mask is not of this model, or the folder is not a readable model folder.
    """
    if isinstance(model_or_folder, nn.Module):
        return _alive(cuts(model_map or map_model(model_or_folder), mask), lambda cut: cut.parameter.detach())
    saved = SavedWeights(Path(model_or_folder))
    if saved.config.model_type not in TABLE and "residual" in mask.kept:
        with building_a_model():
            whole = AutoModelForCausalLM.from_pretrained(model_or_folder, local_files_only=True)
        return survivors(whole, mask)
    return _alive(cuts(map_model(saved.model), mask), lambda cut: saved.read(cut.parameter))


def _alive(places: list[Cut], tensor: Callable[[Cut], Tensor]) -> list[Neuron]:
    return sorted({(cut.site, cut.layer, int(index)) for cut in places for index in cut.alive(tensor(cut))})
