"""Prune: the top of the ranking is cut and the concept's token rows are moved, in a copy of the model, with the recipe.

What is cut is how the model computes the concept; what is reset is the word itself (edits/token_rows.py).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from unlearning_core.config.schema import NeuralProbingSection, TokenRowsSection
from unlearning_core.edits.cut_settings import CutSettings
from unlearning_core.edits.mask import Mask, Shapes
from unlearning_core.edits.token_rows import RowSettings, TokenRows
from unlearning_core.errors import WorkFailed
from unlearning_core.files import write_file
from unlearning_core.methods.method import MethodInput, Summary

if TYPE_CHECKING:
    import pandas as pd

TOKENS = "tokens.parquet"
"""Beside the recipe, where token rows were asked for: the list of `activations/concept_tokens.py`."""


class Parameters(BaseModel):
    """How the ranking is cut; they stand in the config's section neural_probing."""

    model_config = ConfigDict(extra="forbid")

    prune_ratio: float = Field(0.003, ge=0, le=1, description="fraction of the ranked neurons that is cut")
    per_layer: bool = Field(False, description="cut the same fraction of every layer instead of the overall top")
    protected_layers: list[int] = Field(default_factory=list, description="layers of which nothing is cut")
    excluded_neurons: list[tuple[str, int, int]] = Field(
        default_factory=list, description="site, layer, index of neurons that no cut touches"
    )
    token_rows: TokenRowsSection = Field(default_factory=TokenRowsSection, description="which token rows are reset")
    picked_neurons: list[tuple[str, int, int]] = Field(
        default_factory=list, description="site, layer, index of neurons that are cut at any ratio"
    )
    layer_ratios: dict[int, float] = Field(default_factory=dict, description="shares of layers of their own")

    @property
    def cut(self) -> CutSettings:
        """The same as the settings of a cut."""
        return settings_of_cut(self)


def settings_of_cut(asked: Parameters | NeuralProbingSection) -> CutSettings:
    """What a section of the config asks of a cut, as the edit's settings."""
    return CutSettings(
        asked.prune_ratio,
        asked.per_layer,
        tuple(asked.protected_layers),
        tuple(asked.excluded_neurons),
        row_settings(asked.token_rows),
        tuple(asked.picked_neurons),
        tuple(sorted(asked.layer_ratios.items())),
    )


def row_settings(section: TokenRowsSection) -> RowSettings:
    """What the config asks of token rows, as the edit's settings."""
    return RowSettings(section.strength, section.share, tuple(section.kept), section.broad_text)


def inputs(parameters: Parameters, seed: int) -> Any:
    """An edit depends on nothing that is drawn; a setting that changes nothing is not named."""
    return parameters.model_dump(exclude=without_effect(parameters))


def without_effect(parameters: Parameters) -> set[str]:
    """Those settings that change nothing: token rows that are left alone, an empty list of neurons or of layers."""
    rows = set() if parameters.token_rows.strength else {"token_rows"}
    return rows | {name for name in ("picked_neurons", "layer_ratios") if not getattr(parameters, name)}


def make(given: MethodInput, parameters: Parameters) -> Summary:
    """Cut what the settings say.

    Raises:
        InputError: a layer or a neuron that the settings name is not of this model, or it has no rows to reset.
        WorkFailed: a neuron is not zero in the saved file, or a row not what it was set to.
    """
    cut = parameters.cut
    by_hand = {"by_hand": len(set(cut.picked_neurons))} if cut.picked_neurons else {}
    return make_cut(given, cut, cut.mask) | by_hand


def make_cut(given: MethodInput, cut: CutSettings, mask_of: Callable[[pd.DataFrame, Shapes], Mask]) -> Summary:
    """Write the recipe, bake mask and rows into a copy of the model and check the saved file; raises as `make`.

    Of a model that is spread over memory and disk, or kept in fewer bits, the copy is made from file to file.

    Args:
        mask_of: gives the neurons that are kept, from the run's ranking and the model's shapes.
    """
    from unlearning_core.edits.export import export_edit
    from unlearning_core.edits.row_weights import held_rows, rows_undone
    from unlearning_core.edits.saved_weights import SavedWeights
    from unlearning_core.edits.standalone import write_standalone
    from unlearning_core.edits.weights import bake, survivors
    from unlearning_core.models.mapping import map_model
    from unlearning_core.models.placement import is_spread
    from unlearning_core.models.quantised import is_quantised

    loaded, ranking = given.load_ranked(), given.ranking()
    mask = mask_of(ranking, loaded.map.shapes)
    recipe, edits = given.folder / "recipe", []
    if is_spread(loaded.model) or is_quantised(loaded.model):
        files = SavedWeights(source := given.saved())
        rows, said = _token_rows(given, cut.token_rows, files.model, loaded.tokenizer, files.read)
        given.new_recipe(mask, cut, rows).save(recipe)
        write_standalone(recipe, files.model, mask, map_model(files.model), files.read)
        export_edit(source, given.model_folder, mask, rows, progress=given.progress)
    else:
        rows, said = _token_rows(given, cut.token_rows, loaded.model, loaded.tokenizer)
        given.new_recipe(mask, cut, rows).save(recipe)
        write_standalone(recipe, loaded.model, mask, loaded.map)
        bake(loaded.model, mask, loaded.map, rows)
        edits = held_rows(loaded.model, rows) if rows is not None else []
        given.save(loaded)
    del loaded
    left = survivors(given.model_folder, mask)
    if left:
        raise WorkFailed(f"{len(left)} cut neurons are not zero in the saved model: {left[:3]}. Run it again.")
    if edits and (back := rows_undone(given.model_folder, edits)):
        raise WorkFailed(f"The rows of {len(back)} tokens are not reset in the saved model: {back[:3]}. Run it again.")
    own = {"own_layers": len(cut.layer_ratios)} if cut.layer_ratios else {}
    return {"cut": mask.cut, "of": mask.total, "layers": mask.neurons()["layer"].nunique(), **own, **said}


def _token_rows(
    given: MethodInput, settings: RowSettings, model: Any, tokenizer: Any, read: Callable[[Any], Any] | None = None
) -> tuple[TokenRows | None, Summary]:
    """The rows to move and what is said of them; the list of tokens goes beside the recipe.

    Args:
        read: the numbers of a parameter of `model` where it has none itself.
    """
    from unlearning_core.edits.row_weights import make_token_rows

    if not settings.strength:
        return None, {}
    found = given.concept_tokens(tokenizer, settings)
    write_file(given.folder / "recipe" / TOKENS, partial(found.table.to_parquet, index=False))
    sentence = found.sentence
    if len(found.ids) and settings.strength < 1:
        sentence += f" Strength {settings.strength:g}: they are moved so far of the way only."
    said = {"token_rows": len(found.ids), "covered": round(found.covered, 4), "tokens": sentence}
    if not len(found.ids):
        return None, said
    how = {} if read is None else {"read": read}
    return make_token_rows(model, found.ids, found.unseen, settings.strength, **how), said
