"""Prune: the recipe, and the mask baked into a saved copy of the model."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from unlearning_core.errors import WorkFailed
from unlearning_core.files import new_folder
from unlearning_core.runs.run import digest
from unlearning_core.runs.stages.rank import rank_inputs
from unlearning_core.runs.stages.stage import Summary
from unlearning_core.runs.context import RunContext

if TYPE_CHECKING:
    from unlearning_core.config import ExperimentConfig
    from unlearning_core.edits.mask import Mask
    from unlearning_core.edits.recipe import Recipe
    from unlearning_core.edits.cut_settings import CutSettings

CUT_KEYS = {"prune_ratio", "per_layer", "protected_layers", "excluded_neurons"}
"""Keys of neural_probing that say how the ranking is cut."""

FOUND = "search.json"
"""What the search stage leaves, where the config asks for a target in place of a ratio."""


def searches(context: RunContext) -> bool:
    """Whether the config asks for the smallest cut that reaches a target."""
    return context.config.search.forget is not None


def prune_inputs(context: RunContext) -> Any:
    inputs = context.config.neural_probing.model_dump(include=CUT_KEYS)
    # Only where there is one: runs with a fixed ratio stay up to date.
    return inputs | {"found": kept_cut(context).ratio} if searches(context) else inputs


def cut_settings(config: "ExperimentConfig") -> "CutSettings":
    """The cut that the config asks for."""
    from unlearning_core.edits.cut_settings import CutSettings

    probing = config.neural_probing
    return CutSettings(
        probing.prune_ratio, probing.per_layer, tuple(probing.protected_layers), tuple(probing.excluded_neurons)
    )


def kept_cut(context: RunContext) -> "CutSettings":
    """The cut that the run makes: what the config asks for, or what the search found for it."""
    asked = cut_settings(context.config)
    found = context.read(FOUND) if searches(context) else None
    return asked if found is None else replace(asked, ratio=found["chosen"]["ratio"])


def recipe_of(context: RunContext, settings: "CutSettings", mask: "Mask") -> "Recipe":
    """What makes `mask`, which `settings` give on the run's ranking, again."""
    from unlearning_core.models.sources.resolve import fingerprint
    from unlearning_core.edits.recipe import Recipe

    probing, base = context.config.neural_probing, context.config.base_model
    ranked = {"site", "alignment", "aggregation", "ranker", "ranker_parameters", "protect_massive"}
    return Recipe(
        mask=mask,
        model=base.base_model_path,
        revision=base.revision,
        fingerprint=fingerprint(base.base_model_path, base.revision),
        ranking=probing.model_dump(include=ranked)
        | {"protected_layers": list(settings.protected_layers)}
        | {"excluded_neurons": [list(neuron) for neuron in settings.excluded_neurons]}
        | {"words": list(context.concept.words), "digest": digest(rank_inputs(context))},
        ratio=settings.ratio,
        per_layer=settings.per_layer,
    )


def prune(context: RunContext) -> Summary:
    """Write the recipe, bake the mask into a copy of the base model and check the saved file."""
    from unlearning_core.edits.weights import bake, survivors

    loaded, settings = context.model("base"), kept_cut(context)
    mask = settings.mask(context.ranking, loaded.map.shapes)
    recipe_of(context, settings, mask).save(context.run.folder / "recipe")
    folder = context.model_folder("pruned")
    # The base in memory may be the dashboard's, shared by every visitor: only a copy of our own is baked.
    context.forget_models()
    copy = context.model("base")
    bake(copy.model, mask, copy.map)
    with new_folder(folder) as temporary:
        copy.model.save_pretrained(temporary)
        copy.tokenizer.save_pretrained(temporary)
    context.forget_models()
    left = survivors(folder, mask)
    if left:
        raise WorkFailed(f"{len(left)} cut neurons are not zero in {folder}: {left[:3]}. Delete it and run again.")
    return {"cut": mask.cut, "of": len(context.ranking), "layers": mask.neurons()["layer"].nunique()}
