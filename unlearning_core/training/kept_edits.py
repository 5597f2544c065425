"""Edits that a training must not undo: written again after every optimizer step, and looked for in the saved file."""

from pathlib import Path
from typing import Any, Protocol

from unlearning_core.edits.mask import Mask
from unlearning_core.edits.recipe import Recipe
from unlearning_core.edits.weights import cuts, survivors
from unlearning_core.models.mapping import map_model


class KeptEdit(Protocol):
    """What was changed in the base and can be held while the model learns."""

    @property
    def size(self) -> int:
        """How many neurons (or other parts of the model) it changes."""

    def digest(self) -> str:
        """Identity of its content."""

    def write(self) -> None:
        """Make it hold again in the model in training; cheap enough for every step."""

    def undone(self, folder: Path) -> int:
        """How many of its parts do not hold in the model that is saved in `folder`."""


class CutNeurons:
    """The neurons that a mask cuts, held at zero (see `edits.weights`)."""

    def __init__(self, model: Any, mask: Mask) -> None:
        self._mask = mask
        self._cuts = cuts(map_model(model), mask)
        self.size = mask.cut

    @classmethod
    def of_recipe(cls, model: Any, folder: Path) -> "CutNeurons":
        """Those of a saved recipe; raises InputError where it is missing, damaged or made for another model."""
        return cls(model, Recipe.load(folder, map_model(model).shapes).mask)

    def digest(self) -> str:
        """Of the mask."""
        return self._mask.digest()

    def write(self) -> None:
        """Silence the neurons."""
        for cut in self._cuts:
            cut.write()

    def undone(self, folder: Path) -> int:
        """How many of them are not silent."""
        return len(survivors(folder, self._mask))
