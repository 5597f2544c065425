"""Recipes that a person named: kept in the run folder, and loaded again on any run whose ranking they fit."""

import re
from pathlib import Path

import pandas as pd

from unlearning_core.edits.cut_settings import CutSettings
from unlearning_core.edits.mask import Shapes
from unlearning_core.edits.recipe import RECIPE_FILE, Recipe
from unlearning_core.edits.token_rows import RowSettings
from unlearning_core.errors import InputError
from unlearning_core.reading import check_form
from unlearning_core.runs.forms import Ranked
from unlearning_core.runs.listing import list_runs
from unlearning_core.runs.run import Run

_NAME = re.compile(r"\w[\w .-]{0,58}[\w.-]|\w")


def save_named(run: Run, name: str, recipe: Recipe) -> Path:
    """Keep `recipe` under `name` in the run folder, in place of an older one of that name; returns its folder.

    Raises:
        InputError: the name cannot be that of a folder.
    """
    name = name.strip()
    if not _NAME.fullmatch(name):
        raise InputError(
            f"The recipe's name is {name!r}; write 1 to 60 letters, digits, spaces, dots or dashes, a letter or digit "
            "first."
        )
    folder = run.recipes_folder / name
    recipe.save(folder)
    return folder


def named(root: Path) -> list[Path]:
    """The folders of all named recipes of the runs under `root`, newest first."""
    files = [file for run in list_runs(root) for file in run.recipes_folder.glob(f"*/{RECIPE_FILE}")]
    return [file.parent for file in sorted(files, key=lambda file: file.stat().st_mtime, reverse=True)]


def settings_of(recipe: Recipe) -> CutSettings:
    """The cut that the recipe was made with.

    Raises:
        InputError: its ranking does not say of the cut what it must.
    """
    try:
        check_form(recipe.ranking, Ranked)
    except ValueError as error:
        raise InputError(f"The recipe's ranking is damaged: {error}. Save the recipe again.") from error
    layers, neurons = (recipe.ranking.get(key, ()) for key in ("protected_layers", "excluded_neurons"))
    excluded, picked = (
        tuple((str(site), int(layer), int(index)) for site, layer, index in some)
        for some in (neurons, recipe.ranking.get("picked_neurons", ()))
    )
    own = tuple(sorted((int(layer), float(share)) for layer, share in recipe.ranking.get("layer_ratios", {}).items()))
    asked = recipe.ranking.get("token_rows")
    rows = RowSettings(**asked | {"kept": tuple(asked["kept"])}) if asked else RowSettings()
    return CutSettings(recipe.ratio, recipe.per_layer, tuple(layers), excluded, rows, picked, own)


def load_named(folder: Path, ranking: pd.DataFrame, shapes: Shapes) -> CutSettings:
    """The settings of a recipe, made sure to cut the very neurons that it names.

    Raises:
        InputError: it is damaged, of another model, or was made with a ranking that puts other neurons first.
    """
    recipe = Recipe.load(folder, shapes)
    settings = settings_of(recipe)
    if settings.mask(ranking, shapes) != recipe.mask:
        how = ", ".join(str(recipe.ranking[key]) for key in ("ranker", "site", "alignment") if key in recipe.ranking)
        words = ", ".join(list(recipe.ranking.get("words", []))[:3])
        raise InputError(
            f"The recipe {folder.name!r} was made with another ranking ({how}; concept: {words}), so the same settings "
            "cut other neurons here. Rank the neurons that way first, or open the run it was made in."
        )
    return settings
