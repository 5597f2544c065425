"""Measure: held-out text and test prompts for each model, and the report that puts them side by side."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import pandas as pd

from unlearning_core.files import write_file, write_json
from unlearning_core.runs.stages.distance import FOLDER as DISTANCES
from unlearning_core.runs.stages.distance import has_never_knew
from unlearning_core.runs.stages.rank import rank_inputs
from unlearning_core.runs.stages.stage import Summary
from unlearning_core.runs.context import STEPS, RunContext


def measure_step(step: str) -> Callable[[RunContext], Summary]:
    """The stage that measures one model and lets it continue the test prompts."""

    def run(context: RunContext) -> Summary:
        from unlearning_core.evaluation.generation import generate
        from unlearning_core.evaluation.likelihood import measure

        loaded, folder = context.model(step), context.run.folder / "measurements"
        measurement = measure(loaded, context.sentences("held_out").items, progress=context.progress)
        settings = context.config.generation
        generations = generate(
            loaded,
            context.config.test_prompts,
            samples=settings.samples,
            temperature=settings.temperature,
            top_p=settings.top_p,
            max_new_tokens=settings.max_new_tokens,
            greedy=settings.temperature == 0,
            seed=settings.seed,
            progress=context.progress,
        )
        write_file(folder / f"{step}.parquet", lambda path: measurement.sentences.to_parquet(path, index=False))
        write_json(folder / f"{step}.json", [generation.to_dict() for generation in generations])
        return {"concept_nll": round(measurement.concept_nll, 4), "retain_nll": round(measurement.retain_nll, 4)}

    return run


def measure_inputs(context: RunContext) -> Any:
    return {
        "prompts": context.config.test_prompts,
        "generation": context.config.generation.model_dump(),
        "model": rank_inputs(context)["model"],
        "dtype": context.config.base_model.dtype,
    }


def report_inputs(context: RunContext) -> Any:
    return {"concept": asdict(context.concept), "steps": _steps(context), "never_knew": has_never_knew(context)}


def _steps(context: RunContext) -> list[str]:
    return [step for step in STEPS if step != "retrained" or context.config.retraining.enabled]


def report(context: RunContext) -> Summary:
    """Put the measurements of all steps side by side: metrics.json and generations.json."""
    from unlearning_core.evaluation.concept_words import concept_words_per_100
    from unlearning_core.evaluation.likelihood import Measurement
    from unlearning_core.evaluation.never_knew import Distance
    from unlearning_core.evaluation.table import metrics_table

    folder, steps = context.run.folder / "measurements", _steps(context)
    measurements, written, words = {}, {}, {}
    for step in steps:
        measurements[step] = Measurement.from_sentences(pd.read_parquet(folder / f"{step}.parquet"))
        written[step] = context.read(f"measurements/{step}.json")
        words[step] = concept_words_per_100([generation["text"] for generation in written[step]], context.matcher)
    there = steps if has_never_knew(context) else []
    distances = {step: Distance.load(context.run.folder / DISTANCES / step) for step in there}
    metrics = metrics_table(measurements, words, distances)
    write_json(context.run.folder / "generations.json", written)
    write_json(context.run.folder / "metrics.json", metrics)
    return {step: metrics[step].get("forget_delta") for step in steps if step != "base"}
