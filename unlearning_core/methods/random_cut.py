"""Random cut: as many neurons as the run's cut has, of the same site and with the same protections, drawn by the seed.

A ranking that beats no cut of the same size has found nothing. No token rows are reset: this is the control of the
neurons' cut.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from unlearning_core.config.schema import TokenRowsSection
from unlearning_core.edits.cut_settings import CutSettings
from unlearning_core.edits.mask import Mask
from unlearning_core.edits.recipe import Recipe
from unlearning_core.methods import prune
from unlearning_core.methods.method import MethodInput, Summary


def inputs(parameters: prune.Parameters, seed: int) -> Any:
    """The settings of the cut, and the seed that draws."""
    return {"parameters": parameters.model_dump(exclude={"token_rows"}), "seed": seed}


def make(given: MethodInput, parameters: prune.Parameters) -> Summary:
    """Shuffle the ranking among the neurons that are not protected from it, then cut it as `prune` does."""
    ranking = given.ranking().copy()
    order = np.random.default_rng(given.seed).permutation(len(ranking))
    if "protected" in ranking.columns:
        # Neurons that write the attention sink stay last, as in the ranking: without them no model writes a sentence.
        protected = ranking["protected"].to_numpy()
        order = np.argsort(np.argsort(order + len(ranking) * protected))
    ranking["rank"] = order

    folder = given.recipe()
    earlier = Recipe.load(folder) if folder is not None else None

    def recipe(mask: Mask, cut: CutSettings, rows: None) -> Recipe:
        # What follows keeps as it is what the recipe names, so an earlier edit stands in it too.
        made = given.new_recipe(mask if earlier is None else mask & earlier.mask, cut, earlier and earlier.rows)
        return replace(made, ranking={**made.ranking, "ranker": "random", "ranker_parameters": {"seed": given.seed}})

    without_rows = parameters.model_copy(update={"token_rows": TokenRowsSection()})
    return prune.make(replace(given, ranking=lambda: ranking, new_recipe=recipe), without_rows)
