"""The stages of the path in their order: label, rank, prune, retrain, and a measurement of each model as it comes."""

from unlearning_core.runs.stages.distance import FOLDER as DISTANCES
from unlearning_core.runs.stages.distance import distance_inputs, distance_step, has_never_knew
from unlearning_core.runs.stages.label import label_inputs, label_sentences
from unlearning_core.runs.stages.measure import measure_inputs, measure_step, report, report_inputs
from unlearning_core.runs.stages.prune import FOUND, prune, prune_inputs, searches
from unlearning_core.runs.stages.rank import OUTPUTS as RANKED
from unlearning_core.runs.stages.rank import rank_inputs, rank_neurons
from unlearning_core.runs.stages.retrain import filter_inputs, filter_text, push, retrain, retrain_inputs
from unlearning_core.runs.stages.search import search_cut, search_inputs
from unlearning_core.runs.stages.stage import Stage
from unlearning_core.runs.context import RunContext


def _retrains(context: RunContext) -> bool:
    return context.config.retraining.enabled


def _retrains_and_compares(context: RunContext) -> bool:
    return _retrains(context) and has_never_knew(context)


STAGES: tuple[Stage, ...] = (
    Stage(
        "label", "labelling sentences", (), ("data/train.jsonl", "data/held_out.jsonl", "data/concept.json"),
        label_inputs, label_sentences,
    ),
    Stage(
        "rank", "ranking neurons", ("label",), RANKED, rank_inputs, rank_neurons, collective=True,
    ),
    Stage(
        "measure base", "measuring the base model", ("label",), ("measurements/base.parquet", "measurements/base.json"),
        measure_inputs, measure_step("base"),
    ),
    Stage(
        "distance base", "comparing the base model with the never-knew model", (), (f"{DISTANCES}/base",),
        distance_inputs, distance_step("base"), applies=has_never_knew,
    ),
    Stage(
        "search", "searching the smallest cut", ("label", "rank"), (FOUND,), search_inputs, search_cut,
        applies=searches,
    ),
    Stage(
        "prune", "pruning", ("rank",), ("recipe", "models/pruned"),
        prune_inputs, prune,
    ),
    Stage(
        "distance pruned", "comparing the pruned model with the never-knew model", ("prune",),
        (f"{DISTANCES}/pruned",), distance_inputs, distance_step("pruned"), applies=has_never_knew,
    ),
    Stage(
        "measure pruned", "measuring the pruned model", ("label", "prune"),
        ("measurements/pruned.parquet", "measurements/pruned.json"), measure_inputs, measure_step("pruned"),
    ),
    Stage(
        "filter", "filtering the training text", ("label",), ("data/training",), filter_inputs,
        filter_text, applies=_retrains,
    ),
    Stage(
        "retrain", "retraining", ("prune", "filter"), ("models/retrained",), retrain_inputs,
        retrain, collective=True, applies=_retrains,
    ),
    Stage(
        "distance retrained", "comparing the retrained model with the never-knew model", ("retrain",),
        (f"{DISTANCES}/retrained",), distance_inputs, distance_step("retrained"), applies=_retrains_and_compares,
    ),
    Stage(
        "measure retrained", "measuring the retrained model", ("label", "retrain"),
        ("measurements/retrained.parquet", "measurements/retrained.json"), measure_inputs, measure_step("retrained"),
        applies=_retrains,
    ),
    Stage(
        "report", "writing the report",
        (
            "measure base", "measure pruned", "measure retrained",
            "distance base", "distance pruned", "distance retrained",
        ),
        ("metrics.json", "generations.json"), report_inputs, report,
    ),
    Stage(
        "push", "pushing to the Hub", ("retrain",), (), lambda context: context.config.push_to_hub, push,
        applies=lambda context: context.config.push_to_hub is not None,
    ),
)  # fmt: skip
