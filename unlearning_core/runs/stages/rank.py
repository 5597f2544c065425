"""Rank: one pass over the training sentences, then the order of the neurons."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from unlearning_core import distributed
from unlearning_core.files import write_file, write_json
from unlearning_core.neurons.neuron import row_name
from unlearning_core.rankers.registry import get_ranker
from unlearning_core.runs.context import RunContext
from unlearning_core.runs.stages.stage import Summary

if TYPE_CHECKING:
    import pandas as pd

    from unlearning_core.activations.collect import Activations
    from unlearning_core.rankers.history import Step

HISTORY = "course.json"
"""How the training behind a ranking went, a list of its steps; empty for a method that trains nothing."""

OUTPUTS = ("ranking.parquet", "massive.parquet", "statistics.npz", HISTORY)
"""What a ranking leaves."""

WORK = "ranking"
"""Work folder of the run in which a method that takes long keeps how far it is."""

SAMPLED_ROWS = 4000
"""Activation rows kept for the rankers that need them, fewer where memory is short (activations/reservoir.py)."""


def rank_inputs(context: RunContext) -> Any:
    base = context.config.base_model
    keys = {"site", "alignment", "aggregation", "skip_first_position", "protect_massive", "ranker", "ranker_parameters"}
    probing = context.config.neural_probing
    # Without neighbours their share changes nothing.
    if probing.neighbours or probing.neighbour_corpus:
        keys.add("neighbour_share")
    # As short as can be: a parameter that is named with its default changes nothing.
    ranker = get_ranker(probing.ranker)
    checked = ranker.check(probing.ranker_parameters)
    given = checked.model_dump(mode="json", exclude_defaults=True)
    return {
        "model": context.base_fingerprint,
        "checked": base.model_dump(include={"model_type", "neurons_per_layer", "num_layers", "dtype"}),
        **({"quantize": base.quantize} if base.quantize is not None else {}),
        "settings": probing.model_dump(include=keys) | {"ranker_parameters": given},
        "seed": context.config.seed,
        "revision": ranker.version,
        # Earlier versions knew the shared expert's neurons alone, under other numbers.
        **({"experts": True} if context.base_has_experts else {}),
    }


def rank_neurons(context: RunContext, folder: Path) -> Summary:
    """The run's own ranking; what the base model is stays with the run, for its page and the terminal."""
    if distributed.is_main():
        context.run.write_note("model", context.ranked_base().info.to_dict())
    return rank_into(context, folder, context.run.work_folder(WORK))


def rank_into(context: RunContext, folder: Path, work: Path) -> Summary:
    """One pass over the training sentences, then the ranking; `OUTPUTS` are written to `folder`.

    In `work` a method that takes long keeps how far it is.

    Under a launcher all processes share the pass, and so they do those of `taylor` and `combined`. Any other method
    that runs the model itself does so in each of them, with the same result, of which the main process keeps its own.
    """
    from unlearning_core.activations.collect import collect
    from unlearning_core.activations.weighing import weigh_neighbours
    from unlearning_core.rankers.history import read_history
    from unlearning_core.rankers.ranking import rank
    from unlearning_core.rankers.ranking_input import RankingInput

    probing = context.config.neural_probing
    ranker = get_ranker(probing.ranker)
    loaded, items = context.ranked_base(), context.sentences("train").items
    activations = collect(
        loaded,
        items,
        site=probing.site,
        alignment=probing.alignment,
        aggregation=probing.aggregation,
        skip_first=probing.skip_first_position,
        rows=SAMPLED_ROWS if ranker.needs_rows else 0,
        seed=context.config.seed,
        progress=context.progress,
    )
    activations = weigh_neighbours(activations, loaded, items, probing.neighbour_share, context.progress)
    given = RankingInput(
        activations,
        outgoing_norm=loaded.map.outgoing_norm(probing.site),
        seed=context.config.seed,
        progress=context.progress,
        model=loaded,
        items=items,
        folder=work if distributed.is_main() else None,
        neighbour_share=probing.neighbour_share,
    )
    ranking = rank(given, ranker, probing.ranker_parameters, protect=probing.protect_massive)
    if distributed.is_main():
        write_ranking(folder, activations, ranking, read_history(work) if ranker.trains else [])
    return summarise(ranking, activations.tokens)


def write_ranking(folder: Path, activations: "Activations", ranking: "pd.DataFrame", history: "list[Step]") -> None:
    """Write `OUTPUTS`, each whole or not at all."""
    write_json(folder / HISTORY, history)
    write_file(folder / "ranking.parquet", lambda path: ranking.to_parquet(path, index=False))
    activations.statistics.save(folder / "statistics.npz")
    write_file(folder / "massive.parquet", lambda path: activations.massive.to_parquet(path, index=False))


def summarise(ranking: "pd.DataFrame", tokens: int) -> Summary:
    """The figures of a ranking, made from so many tokens."""
    top = ranking.nsmallest(3, "rank")
    return {
        "neurons": len(ranking),
        "tokens": tokens,
        "protected": int(ranking["protected"].sum()),
        # No comma within a name: the list is shown with commas between them.
        "top": [row_name(row).replace(",", "") for row in top.to_dict("records")],
    }
