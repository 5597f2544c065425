"""Measure: held-out text and test prompts for each model, and the report that puts them side by side."""

from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from unlearning_core.evaluation.registry import METRICS, metrics_table
from unlearning_core.files import write_file, write_json
from unlearning_core.methods.registry import states_of
from unlearning_core.runs.context import RunContext
from unlearning_core.runs.stages.distance import has_never_knew
from unlearning_core.runs.stages.rank import rank_inputs
from unlearning_core.runs.stages.stage import Summary


def measure_state(state: str) -> Callable[[RunContext, Path], Summary]:
    """The stage that measures one model and lets it continue the test prompts."""

    def run(context: RunContext, folder: Path) -> Summary:
        from unlearning_core.evaluation.generation import generate
        from unlearning_core.evaluation.likelihood import measure

        loaded, target = context.model(state), folder / "measurements"
        measurement = measure(loaded, context.sentences("held_out").items, progress=context.progress)
        settings = context.config.generation
        generations = generate(
            loaded,
            context.test_prompts,
            samples=settings.samples,
            temperature=settings.temperature,
            top_p=settings.top_p,
            max_new_tokens=settings.max_new_tokens,
            seed=settings.seed,
            progress=context.progress,
        )
        write_file(target / f"{state}.parquet", lambda path: measurement.sentences.to_parquet(path, index=False))
        write_json(target / f"{state}.json", [asdict(generation) for generation in generations])
        return {f"{kind}_nll": round(measurement.nll(kind).value, 4) for kind in ("concept", "retain")}

    return run


def measure_inputs(context: RunContext) -> Any:
    return {
        "prompts": context.config.test_prompts,
        "generation": context.config.generation.model_dump(),
        "model": rank_inputs(context)["model"],
        "dtype": context.config.base_model.dtype,
    }


def report_inputs(context: RunContext) -> Any:
    # A metric is named once its version rises: reports of before there were versions stay what they are.
    risen = {name: metric.version for name, metric in METRICS.items() if metric.version > 1}
    return {
        "concept": asdict(context.concept),
        "steps": states_of(context.config),
        "never_knew": has_never_knew(context),
        **({"metrics": risen} if risen else {}),
    }


def metrics_of(context: RunContext, states: Iterable[str]) -> dict[str, dict[str, float | None]]:
    """What `metrics.json` holds, for those of the states that are measured."""
    inputs: dict[str, dict[str, Any]] = {}
    for state in states:
        if (measurement := context.run.measurement(state)) is not None:
            written = context.run.written(state)
            inputs[state] = {
                "measurement": measurement,
                "texts": None if written is None else [text["text"] for text in written],
                "matcher": context.matcher,
                "distance": context.run.distance(state),
                "questions": context.run.proof_frames("questions", state),
            }
    return metrics_table(inputs)


def report(context: RunContext, folder: Path) -> Summary:
    """Put the measurements of all states side by side: metrics.json and generations.json."""
    states = states_of(context.config)
    written = {state: context.run.written(state) for state in states}
    metrics = metrics_of(context, states)
    write_json(folder / "generations.json", written)
    write_json(folder / "metrics.json", metrics)
    return {state: metrics[state].get("forget_delta") for state in states if state != "base"}
