"""The cut of a run: what its settings ask for or a search found, and the recipe that repeats it."""

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from unlearning_core.config.schema import ExperimentConfig
from unlearning_core.edits.cut_settings import CutSettings
from unlearning_core.methods.prune import settings_of_cut
from unlearning_core.runs.context import RunContext
from unlearning_core.runs.stages.rank import rank_inputs
from unlearning_core.runs.store import digest

if TYPE_CHECKING:
    import pandas as pd

    from unlearning_core.edits.mask import Mask
    from unlearning_core.edits.recipe import Recipe
    from unlearning_core.edits.token_rows import TokenRows


def cut_settings(config: ExperimentConfig) -> CutSettings:
    """The cut that the config asks for."""
    return settings_of_cut(config.neural_probing)


def found_ratio(context: RunContext) -> float | None:
    """The ratio that a search found, where the config asks for one and it has been made."""
    found = context.run.search() if context.config.search.forget is not None else None
    return found["chosen"]["ratio"] if found else None


def kept_cut(context: RunContext) -> CutSettings:
    """The cut that the run makes: what the config asks for, or what the search found for it."""
    asked, ratio = cut_settings(context.config), found_ratio(context)
    return asked if ratio is None else replace(asked, ratio=ratio)


def new_recipe(context: RunContext, settings: CutSettings, mask: "Mask", rows: "TokenRows | None" = None) -> "Recipe":
    """What makes `mask` and `rows`, which `settings` give on the run's ranking and model, again."""
    from unlearning_core.edits.recipe import Recipe

    probing, base = context.config.neural_probing, context.config.base_model
    ranked = {"site", "alignment", "aggregation", "ranker", "ranker_parameters", "protect_massive"}
    return Recipe(
        mask=mask,
        model=base.base_model_path,
        revision=base.revision,
        fingerprint=context.base_fingerprint,
        ranking=probing.model_dump(include=ranked)
        | {"protected_layers": list(settings.protected_layers)}
        | {"excluded_neurons": [list(neuron) for neuron in settings.excluded_neurons]}
        | ({"token_rows": asdict(settings.token_rows)} if settings.token_rows.strength else {})
        | by_hand(settings)
        | numbering(context.run.ranking())
        | {"words": list(context.concept.words), "digest": digest(rank_inputs(context))},
        ratio=settings.ratio,
        per_layer=settings.per_layer,
        rows=rows,
    )


def by_hand(settings: CutSettings) -> dict[str, Any]:
    """Neurons picked by hand and layers' own shares, JSON-able; no key where there are none.

    So a recipe says it, and so results are told apart: those from before there were such settings stay valid.
    """
    picked = [list(neuron) for neuron in settings.picked_neurons]
    own = {str(layer): share for layer, share in settings.layer_ratios}
    return ({"picked_neurons": picked} if picked else {}) | ({"layer_ratios": own} if own else {})


def numbering(ranking: "pd.DataFrame") -> dict[str, dict[str, int]]:
    """How the neurons of a mixture of experts are numbered, for those who read a recipe; empty for other models.

    Neuron `i` of expert `e` has the index `e * width + i`; those of the shared expert follow.
    """
    if "expert" not in ranking.columns:
        return {}
    sizes = ranking.loc[ranking["layer"] == 0, "expert"].value_counts()
    routed = sizes.drop("shared", errors="ignore")
    return {"experts": {"count": len(routed), "width": int(routed.max()), "shared": int(sizes.get("shared", 0))}}
