"""Prune: the top of the ranking is cut and the concept's token rows are moved, in a copy of the model, with the recipe.

What is cut is how the model computes the concept; what is reset is the word itself (edits/token_rows.py).
"""

from functools import partial
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from unlearning_core.config.schema import TokenRowsSection
from unlearning_core.edits.cut_settings import CutSettings
from unlearning_core.edits.token_rows import RowSettings, TokenRows
from unlearning_core.errors import WorkFailed
from unlearning_core.files import write_file
from unlearning_core.methods.method import MethodInput, Summary

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

    @property
    def cut(self) -> CutSettings:
        """The same as the settings of a cut."""
        return CutSettings(
            self.prune_ratio,
            self.per_layer,
            tuple(self.protected_layers),
            tuple(self.excluded_neurons),
            row_settings(self.token_rows),
        )


def row_settings(section: TokenRowsSection) -> RowSettings:
    """What the config asks of token rows, as the edit's settings."""
    return RowSettings(section.strength, section.share, tuple(section.kept), section.broad_text)


def inputs(parameters: Parameters, seed: int) -> Any:
    """An edit depends on nothing that is drawn; token rows that are left alone are not named."""
    return parameters.model_dump(exclude=set() if parameters.token_rows.strength else {"token_rows"})


def make(given: MethodInput, parameters: Parameters) -> Summary:
    """Write the recipe, bake mask and rows into a copy of the model and check the saved file.

    Raises:
        InputError: a protected layer or an excluded neuron is not of this model, or it has no rows to reset.
        WorkFailed: a neuron is not zero in the saved file, or a row not what it was set to.
    """
    from unlearning_core.edits.row_weights import held_rows, rows_undone
    from unlearning_core.edits.standalone import write_standalone
    from unlearning_core.edits.weights import bake, survivors

    loaded, ranking = given.load(), given.ranking()
    cut = parameters.cut
    mask = cut.mask(ranking, loaded.map.shapes)
    rows, said = _token_rows(given, cut.token_rows, loaded)
    given.new_recipe(mask, cut, rows).save(given.folder / "recipe")
    write_standalone(given.folder / "recipe", loaded.model, mask, loaded.map)
    bake(loaded.model, mask, loaded.map, rows)
    edits = held_rows(loaded.model, rows) if rows is not None else []
    given.save(loaded)
    del loaded
    left = survivors(given.model_folder, mask)
    if left:
        raise WorkFailed(f"{len(left)} cut neurons are not zero in the saved model: {left[:3]}. Run it again.")
    if edits and (back := rows_undone(given.model_folder, edits)):
        raise WorkFailed(f"The rows of {len(back)} tokens are not reset in the saved model: {back[:3]}. Run it again.")
    return {"cut": mask.cut, "of": len(ranking), "layers": mask.neurons()["layer"].nunique(), **said}


def _token_rows(given: MethodInput, settings: RowSettings, loaded: Any) -> tuple[TokenRows | None, Summary]:
    """The rows to move and what is said of them; the list of tokens goes beside the recipe."""
    from unlearning_core.edits.row_weights import make_token_rows

    if not settings.strength:
        return None, {}
    found = given.concept_tokens(loaded.tokenizer, settings)
    write_file(given.folder / "recipe" / TOKENS, partial(found.table.to_parquet, index=False))
    sentence = found.sentence
    if len(found.ids) and settings.strength < 1:
        sentence += f" Strength {settings.strength:g}: they are moved so far of the way only."
    said = {"token_rows": len(found.ids), "covered": round(found.covered, 4), "tokens": sentence}
    if not len(found.ids):
        return None, said
    return make_token_rows(loaded.model, found.ids, found.unseen, settings.strength), said
