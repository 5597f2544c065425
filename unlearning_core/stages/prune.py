"""Prune: the recipe, and the mask baked into a saved copy of the model."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from unlearning_core.errors import WorkFailed
from unlearning_core.files import new_folder
from unlearning_core.runs import digest
from unlearning_core.stages.rank import rank_inputs
from unlearning_core.stages.stage import Summary
from unlearning_core.work import Work

if TYPE_CHECKING:
    from unlearning_core.config import ExperimentConfig
    from unlearning_core.pruning.mask import Mask
    from unlearning_core.pruning.recipe import Recipe
    from unlearning_core.pruning.settings import CutSettings

CUT_KEYS = {"prune_ratio", "per_layer", "protected_layers", "excluded_neurons"}
"""Keys of neural_probing that say how the ranking is cut."""

FOUND = "search.json"
"""What the search stage leaves, where the config asks for a target in place of a ratio."""


def searches(work: Work) -> bool:
    """Whether the config asks for the smallest cut that reaches a target."""
    return work.config.search.forget is not None


def prune_inputs(work: Work) -> Any:
    inputs = work.config.neural_probing.model_dump(include=CUT_KEYS)
    # Only where there is one: runs with a fixed ratio stay up to date.
    return inputs | {"found": kept_cut(work).ratio} if searches(work) else inputs


def cut_settings(config: "ExperimentConfig") -> "CutSettings":
    """The cut that the config asks for."""
    from unlearning_core.pruning.settings import CutSettings

    probing = config.neural_probing
    return CutSettings(
        probing.prune_ratio, probing.per_layer, tuple(probing.protected_layers), tuple(probing.excluded_neurons)
    )


def kept_cut(work: Work) -> "CutSettings":
    """The cut that the run makes: what the config asks for, or what the search found for it."""
    asked = cut_settings(work.config)
    found = work.read(FOUND) if searches(work) else None
    return asked if found is None else replace(asked, ratio=found["chosen"]["ratio"])


def recipe_of(work: Work, settings: "CutSettings", mask: "Mask") -> "Recipe":
    """What makes `mask`, which `settings` give on the run's ranking, again."""
    from unlearning_core.models.sources import fingerprint
    from unlearning_core.pruning.recipe import Recipe

    probing, base = work.config.neural_probing, work.config.base_model
    ranked = {"site", "alignment", "aggregation", "ranker", "ranker_parameters", "protect_massive"}
    return Recipe(
        mask=mask,
        model=base.base_model_path,
        revision=base.revision,
        fingerprint=fingerprint(base.base_model_path, base.revision),
        ranking=probing.model_dump(include=ranked)
        | {"protected_layers": list(settings.protected_layers)}
        | {"excluded_neurons": [list(neuron) for neuron in settings.excluded_neurons]}
        | {"words": list(work.concept.words), "digest": digest(rank_inputs(work))},
        ratio=settings.ratio,
        per_layer=settings.per_layer,
    )


def prune(work: Work) -> Summary:
    """Write the recipe, bake the mask into a copy of the base model and check the saved file."""
    from unlearning_core.pruning.weights import bake, survivors

    loaded, settings = work.model("base"), kept_cut(work)
    mask = settings.mask(work.ranking, loaded.map.shapes)
    recipe_of(work, settings, mask).save(work.run.folder / "recipe")
    folder = work.model_folder("pruned")
    # The base in memory may be the dashboard's, shared by every visitor: only a copy of our own is baked.
    work.forget_models()
    copy = work.model("base")
    bake(copy.model, mask, copy.map)
    with new_folder(folder) as temporary:
        copy.model.save_pretrained(temporary)
        copy.tokenizer.save_pretrained(temporary)
    work.forget_models()
    left = survivors(folder, mask)
    if left:
        raise WorkFailed(f"{len(left)} cut neurons are not zero in {folder}: {left[:3]}. Delete it and run again.")
    return {"cut": mask.cut, "of": len(work.ranking), "layers": mask.neurons()["layer"].nunique()}
