"""Random cut: as many neurons as the run's cut has, of the same site and with the same protections, drawn by the seed.

A ranking that beats no cut of the same size has found nothing. No token rows are reset: this is the control of the
neurons' cut, of those picked by hand too.
"""

from dataclasses import replace
from functools import partial
from typing import Any

from unlearning_core.edits.control_cuts import shuffled_cut
from unlearning_core.edits.cut_settings import CutSettings
from unlearning_core.edits.mask import Mask
from unlearning_core.edits.recipe import Recipe
from unlearning_core.edits.token_rows import RowSettings
from unlearning_core.methods import prune
from unlearning_core.methods.method import MethodInput, Summary


def inputs(parameters: prune.Parameters, seed: int) -> Any:
    """The settings of the cut, and the seed that draws."""
    unnamed = {"token_rows"} | prune.without_effect(parameters)
    return {"parameters": parameters.model_dump(exclude=unnamed), "seed": seed}


def make(given: MethodInput, parameters: prune.Parameters) -> Summary:
    """Shuffle the ranking among the neurons that are not protected from it, then cut it as `prune` does."""
    folder = given.recipe()
    earlier = Recipe.load(folder) if folder is not None else None

    def recipe(mask: Mask, cut: CutSettings, rows: None) -> Recipe:
        # What follows keeps as it is what the recipe names, so an earlier edit stands in it too.
        whole = mask if earlier is None else mask & earlier.mask
        made = given.new_recipe(whole, replace(cut, picked_neurons=()), earlier and earlier.rows)
        return replace(made, ranking={**made.ranking, "ranker": "random", "ranker_parameters": {"seed": given.seed}})

    cut = replace(parameters.cut, token_rows=RowSettings())
    return prune.make_cut(replace(given, new_recipe=recipe), cut, partial(shuffled_cut, cut, given.seed))
