"""Prune: the recipe, and the mask baked into a saved copy of the model."""

from unlearning_core.errors import WorkFailed
from unlearning_core.files import new_folder
from unlearning_core.runs import digest
from unlearning_core.stages.rank import rank_inputs
from unlearning_core.stages.stage import Summary
from unlearning_core.work import Work


def prune(work: Work) -> Summary:
    """Write the recipe, bake the mask into a copy of the base model and check the saved file."""
    from unlearning_core.models.sources import fingerprint
    from unlearning_core.pruning.mask import Mask
    from unlearning_core.pruning.recipe import Recipe
    from unlearning_core.pruning.weights import bake, survivors

    probing, base = work.config.neural_probing, work.config.base_model
    loaded = work.model("base")
    mask = Mask.from_ranking(work.ranking, loaded.map.shapes, probing.prune_ratio, per_layer=probing.per_layer)
    recipe = Recipe(
        mask=mask,
        model=base.base_model_path,
        revision=base.revision,
        fingerprint=fingerprint(base.base_model_path, base.revision),
        ranking=probing.model_dump(
            include={"site", "alignment", "aggregation", "ranker", "ranker_parameters", "protect_massive"}
        )
        | {"words": list(work.concept.words), "digest": digest(rank_inputs(work))},
        ratio=probing.prune_ratio,
        per_layer=probing.per_layer,
    )
    recipe.save(work.run.folder / "recipe")
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
