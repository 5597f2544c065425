"""A recipe that needs no workbench: the entries it writes, by the model's own parameter names, and a script."""

import shutil
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

from unlearning_core.edits import apply_recipe
from unlearning_core.edits.mask import Mask
from unlearning_core.edits.weights import cuts
from unlearning_core.files import write_file
from unlearning_core.models.mapping import ModelMap

ENTRIES_FILE = "entries.safetensors"


def write_standalone(
    folder: Path,
    model: nn.Module,
    mask: Mask,
    model_map: ModelMap,
    read: Callable[[nn.Parameter], torch.Tensor] = torch.Tensor.detach,
) -> None:
    """Write `entries.safetensors` and `apply_recipe.py` beside the recipe of `mask` in `folder`.

    A tensor is called `parameter|axes|value|shape|size`, is int32 and has a line for each of the axes: at these places
    of that parameter stands that value. Its shape and its size, the mean absolute value that the model has there now,
    tell the model that the recipe is for from others. Tied parameters go by their first name.

    Args:
        folder: of the recipe.
        model: the model before the edit, or one without weights (the meta device).
        mask: of this model.
        model_map: of this model.
        read: the numbers of one of its parameters.

    Raises:
        InputError: the mask is not of this model, or the model cannot offer one of its sites.
    """
    names = {parameter: name for name, parameter in model.named_parameters()}
    entries: dict[str, torch.Tensor] = {}
    for cut in cuts(model_map, mask):
        # All experts of a layer may lie in one weight, by its first axis.
        axes = (cut.axis,) if cut.experts is None else (0, cut.axis)
        lines = [cut.positions] if cut.experts is None else [cut.experts, cut.positions]
        size = float(read(cut.parameter).float().abs().mean())
        key = f"{names[cut.parameter]}|{','.join(map(str, axes))}|{cut.value:g}|{list(cut.parameter.shape)}|{size:.6g}"
        places = torch.stack([line.cpu().to(torch.int32) for line in lines])
        entries[key] = torch.cat([entries[key], places], dim=1) if key in entries else places
    write_file(folder / ENTRIES_FILE, lambda path: save_file(entries, path))
    write_file(folder / "apply_recipe.py", lambda path: shutil.copyfile(apply_recipe.__file__, path))
