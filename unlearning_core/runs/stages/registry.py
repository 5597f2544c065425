"""The stages of a run in their order: label, rank, then each method with a measurement of the model that it makes."""

from unlearning_core.config.schema import ExperimentConfig
from unlearning_core.methods.method import Method
from unlearning_core.methods.registry import methods_of, states_of
from unlearning_core.runs.stages.distance import distance_inputs, distance_state, has_never_knew
from unlearning_core.runs.stages.filter import filter_inputs, filter_text
from unlearning_core.runs.stages.label import label_inputs, label_sentences
from unlearning_core.runs.stages.measure import measure_inputs, measure_state, report, report_inputs
from unlearning_core.runs.stages.method import apply_method, method_inputs
from unlearning_core.runs.stages.proof import QUESTIONS, asks, questions_stage
from unlearning_core.runs.stages.push import push
from unlearning_core.runs.stages.rank import OUTPUTS as RANKED
from unlearning_core.runs.stages.rank import rank_inputs, rank_neurons
from unlearning_core.runs.stages.search import OUTPUT as FOUND
from unlearning_core.runs.stages.search import search_cut, search_inputs, searches
from unlearning_core.runs.stages.stage import Stage

__all__ = ["Stage", "stage_called", "stages_of"]


def stages_of(config: ExperimentConfig) -> tuple[Stage, ...]:
    """The stages of a run with these settings; some of them may not apply to it."""
    methods = [method for method, _ in methods_of(config)]
    needed = {name for method in methods for name in method.needs}
    found = [
        Stage(
            "label", "labelling sentences", (), ("data/train.jsonl", "data/held_out.jsonl", "data/concept.json"),
            label_inputs, label_sentences,
        ),
        Stage(
            "rank", "ranking neurons", ("label",), RANKED, rank_inputs, rank_neurons, collective=True,
            applies=lambda context: "rank" in needed,
        ),
        _measure("base", ("label",)),
        *_questions("base", (), config),
        _distance("base", ()),
        Stage(
            "search", "searching for the smallest cut", ("label", "rank"), (FOUND,), search_inputs, search_cut,
            applies=searches,
        ),
    ]  # fmt: skip
    before: tuple[str, ...] = ()
    for method in methods:
        if "filter" in method.needs and not any(stage.name == "filter" for stage in found):
            found.append(
                Stage(
                    "filter", "filtering the training text", ("label",), ("data/training",), filter_inputs, filter_text
                )
            )
        found += _of_method(method, before, config)
        before = (method.name,)
    steps = ("measure", "distance", QUESTIONS) if asks(config) else ("measure", "distance")
    measured = tuple(f"{step} {state}" for step in steps for state in states_of(config))
    found.append(
        Stage("report", "writing the report", measured, ("metrics.json", "generations.json"), report_inputs, report)
    )
    found.append(
        Stage(
            "push", "pushing to the Hub", before, ("pushed.json",), lambda context: context.config.push_to_hub, push,
            applies=lambda context: context.config.push_to_hub is not None,
        )
    )  # fmt: skip
    return tuple(found)


def stage_called(name: str, config: ExperimentConfig) -> Stage:
    """The stage of that name."""
    return next(stage for stage in stages_of(config) if stage.name == name)


def _of_method(method: Method, before: tuple[str, ...], config: ExperimentConfig) -> list[Stage]:
    """The method itself, and what is measured of the model that it makes."""
    return [
        Stage(
            method.name, method.title.lower(), (*before, *method.needs), method.outputs, method_inputs(method),
            apply_method(method), collective=method.collective,
        ),
        _distance(method.state, (method.name,)),
        _measure(method.state, ("label", method.name)),
        *_questions(method.state, (method.name,), config),
    ]  # fmt: skip


def _questions(state: str, made: tuple[str, ...], config: ExperimentConfig) -> list[Stage]:
    return [questions_stage(state, made, config)] if asks(config) else []


def _measure(state: str, needs: tuple[str, ...]) -> Stage:
    outputs = (f"measurements/{state}.parquet", f"measurements/{state}.json")
    title = f"measuring the {state} model"
    return Stage(f"measure {state}", title, needs, outputs, measure_inputs, measure_state(state))


def _distance(state: str, needs: tuple[str, ...]) -> Stage:
    title = f"comparing the {state} model with the never-knew model"
    return Stage(
        f"distance {state}", title, needs, (f"distances/{state}",), distance_inputs, distance_state(state),
        applies=has_never_knew,
    )  # fmt: skip
