"""Prune: the top of the ranking is cut; the mask goes into a copy of the model, with the recipe that repeats it."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from unlearning_core.edits.cut_settings import CutSettings
from unlearning_core.errors import WorkFailed
from unlearning_core.methods.method import MethodInput, Summary


class Parameters(BaseModel):
    """How the ranking is cut; they stand in the config's section neural_probing."""

    model_config = ConfigDict(extra="forbid")

    prune_ratio: float = Field(0.003, ge=0, le=1, description="fraction of the ranked neurons that is cut")
    per_layer: bool = Field(False, description="cut the same fraction of every layer instead of the overall top")
    protected_layers: list[int] = Field(default_factory=list, description="layers of which nothing is cut")
    excluded_neurons: list[tuple[str, int, int]] = Field(
        default_factory=list, description="site, layer, index of neurons that no cut touches"
    )

    @property
    def cut(self) -> CutSettings:
        """The same as the settings of a cut."""
        return CutSettings(self.prune_ratio, self.per_layer, tuple(self.protected_layers), tuple(self.excluded_neurons))


def inputs(parameters: Parameters, seed: int) -> Any:
    """A cut depends on nothing that is drawn."""
    return parameters.model_dump()


def make(given: MethodInput, parameters: Parameters) -> Summary:
    """Write the recipe, bake the mask into a copy of the model and check the saved file.

    Raises:
        InputError: a protected layer or an excluded neuron is not of this model.
        WorkFailed: a neuron is not zero in the saved file.
    """
    from unlearning_core.edits.weights import bake, survivors

    loaded, ranking = given.load(), given.ranking()
    mask = parameters.cut.mask(ranking, loaded.map.shapes)
    given.new_recipe(mask, parameters.cut).save(given.folder / "recipe")
    bake(loaded.model, mask, loaded.map)
    given.save(loaded)
    del loaded
    left = survivors(given.model_folder, mask)
    if left:
        raise WorkFailed(f"{len(left)} cut neurons are not zero in the saved model: {left[:3]}. Run it again.")
    return {"cut": mask.cut, "of": len(ranking), "layers": mask.neurons()["layer"].nunique()}
