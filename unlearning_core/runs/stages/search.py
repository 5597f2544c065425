"""Search: the smallest cut that forgets what the config asks for within its budget, in place of a fixed prune ratio."""

from pathlib import Path
from typing import Any

from unlearning_core.errors import InputError
from unlearning_core.files import write_json
from unlearning_core.runs.context import RunContext
from unlearning_core.runs.cuts import by_hand, cut_settings
from unlearning_core.runs.stages.stage import Summary
from unlearning_core.runs.token_rows import row_inputs

OUTPUT = "search.json"


def searches(context: RunContext) -> bool:
    """Whether the config asks for the smallest cut that reaches a target."""
    return context.config.search.forget is not None


def search_inputs(context: RunContext) -> Any:
    keys = {"per_layer", "protected_layers", "excluded_neurons"}
    return {
        "search": context.config.search.model_dump(),
        "cut": context.config.neural_probing.model_dump(include=keys),
        "dtype": context.config.base_model.dtype,
        **({"token_rows": rows} if (rows := row_inputs(context, cut_settings(context.config).token_rows)) else {}),
        **by_hand(cut_settings(context.config)),
    }


def search_cut(context: RunContext, folder: Path) -> Summary:
    """Find the cut; where none reaches the target, the one within the budget that forgets most is taken.

    Raises:
        InputError: no cut within the budget forgets anything.
    """
    from unlearning_core.evaluation.search import Target
    from unlearning_core.runs.search import RunSearch

    asked = context.config.search
    assert asked.forget is not None
    search = RunSearch(context.run, cut_settings(context.config), asked.sentences)
    found = search.compute(Target(asked.forget, asked.retain), context.progress, base=context.ranked_base())
    if not found.works:
        raise InputError(
            f"{found.sentence} Allow more with search.retain, choose another ranker, site or alignment, or leave "
            "search.forget out and give neural_probing.prune_ratio."
        )
    write_json(folder / OUTPUT, found.to_dict())
    return {
        "reached": found.smallest is not None,
        "neurons": found.chosen.neurons,
        "sentence": found.sentence,
    }
