"""The weights of a saved model folder, read tensor by tensor: the model is built without its weights."""

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.core_model_loading import revert_weight_conversion

from unlearning_core.compat import building_a_model
from unlearning_core.errors import InputError


class SavedWeights:
    """A folder written by `save_pretrained`, its safetensors in one file or several.

    Attributes:
        config: the model's configuration.
        where: the file that each tensor is in.
    """

    def __init__(self, folder: Path) -> None:
        """Raises InputError where it is not a readable model folder."""
        self._folder = folder
        if not (folder / "config.json").is_file():
            raise InputError(
                f"{folder} has no config.json: it is not a model folder. Give the folder the model was saved in."
            )
        try:
            self.config: Any = AutoConfig.from_pretrained(folder, local_files_only=True)
        except (OSError, ValueError, KeyError) as error:
            raise InputError(f"{folder / 'config.json'} cannot be read ({error}). Save the model again.") from error
        self.where = _tensor_files(folder)

    @cached_property
    def model(self) -> Any:
        """The model with its parameters on the meta device: shapes and names, no values."""
        with building_a_model(), torch.device("meta"):
            return AutoModelForCausalLM.from_config(self.config)

    def read(self, parameter: nn.Parameter) -> Tensor:
        """What the files hold for a parameter of `model`.

        Raises:
            InputError: they cannot be read, or hold another shape or nothing.
        """
        keys = self.keys(parameter)
        if self.apart(parameter, keys):
            return torch.stack([self._tensor(key, parameter.shape[1:]) for key in keys])
        return self._tensor(keys[0], parameter.shape)

    def keys(self, parameter: nn.Parameter) -> list[str]:
        """The tensors of the files that hold a parameter of `model`: one, or of fused experts one each, in order.

        Raises:
            InputError: the files do not hold it.
        """
        name = self._names[id(parameter)]
        if name in self.where:
            return [name]
        # Some weights are saved under another name (GPT-NeoX's head), and of most families each expert of a fused one
        # as a tensor of its own.
        saved = list(revert_weight_conversion(self.model, {name: parameter}))
        if len(saved) > 1:
            return [self._key(expert) for expert in saved]
        renamed = next(iter(saved), name)
        return [self._key(renamed if renamed in self.where else name)]

    def apart(self, parameter: nn.Parameter, keys: Sequence[str]) -> bool:
        """Whether each expert of the parameter is a tensor of its own in the files; of a mixture there may be one."""
        if len(keys) > 1 or parameter.dim() != 3:
            return len(keys) > 1
        with safe_open(self.where[keys[0]], framework="pt") as opened:
            return len(opened.get_slice(keys[0]).get_shape()) == 2

    def all_keys(self, parameter: nn.Parameter) -> list[list[str]]:
        """`keys`, and the same of each other name that a tied parameter is saved under as well."""
        names = [name for name, one in self.model.named_parameters(remove_duplicate=False) if one is parameter]
        copies = [[name] for name in names[1:] if name in self.where]
        return [self.keys(parameter), *copies]

    def tensor(self, key: str) -> Tensor:
        """One tensor of the files, by its name there."""
        with safe_open(self.where[key], framework="pt") as opened:
            found: Tensor = opened.get_tensor(key)
        return found

    def _key(self, name: str) -> str:
        # Some published files leave out the prefix of the model's body ("h.0" for "transformer.h.0").
        key = name if name in self.where else name.removeprefix(f"{self.model.base_model_prefix}.")
        if key not in self.where:
            raise InputError(
                f"The weights in {self._folder} have no tensor {name}. Save the model again with save_pretrained."
            )
        return key

    @cached_property
    def _names(self) -> dict[int, str]:
        return {id(parameter): name for name, parameter in self.model.named_parameters()}

    def _tensor(self, key: str, shape: torch.Size) -> Tensor:
        tensor = self.tensor(key)
        if tensor.shape != shape:
            raise InputError(
                f"The tensor {key} in {self._folder} has the shape {list(tensor.shape)}, its config.json says "
                f"{list(shape)}. Save the model again with save_pretrained."
            )
        return tensor


def _tensor_files(folder: Path) -> dict[str, Path]:
    """The file that each tensor is in."""
    index = folder / "model.safetensors.index.json"
    try:
        files = {*json.loads(index.read_text())["weight_map"].values()} if index.is_file() else {"model.safetensors"}
        where: dict[str, Path] = {}
        for file in sorted(files):
            with safe_open(folder / file, framework="pt") as opened:
                where |= dict.fromkeys(opened.keys(), folder / file)
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise InputError(
            f"The weights in {folder} cannot be read ({error}): expected model.safetensors, or its shards with "
            "model.safetensors.index.json. Save the model again with save_pretrained."
        ) from error
    return where
