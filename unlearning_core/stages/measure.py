"""Measure: held-out text and test prompts for each model, and the report that puts them side by side."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import pandas as pd

from unlearning_core.files import write_file, write_json
from unlearning_core.stages.distance import FOLDER as DISTANCES
from unlearning_core.stages.distance import has_never_knew
from unlearning_core.stages.rank import rank_inputs
from unlearning_core.stages.stage import Summary
from unlearning_core.work import STEPS, Work


def measure_step(step: str) -> Callable[[Work], Summary]:
    """The stage that measures one model and lets it continue the test prompts."""

    def run(work: Work) -> Summary:
        from unlearning_core.evaluation.generation import generate
        from unlearning_core.evaluation.metrics import measure

        loaded, folder = work.model(step), work.run.folder / "measurements"
        measurement = measure(loaded, work.sentences("held_out").items, progress=work.progress)
        settings = work.config.generation
        generations = generate(
            loaded,
            work.config.test_prompts,
            samples=settings.samples,
            temperature=settings.temperature,
            top_p=settings.top_p,
            max_new_tokens=settings.max_new_tokens,
            greedy=settings.temperature == 0,
            seed=settings.seed,
            progress=work.progress,
        )
        write_file(folder / f"{step}.parquet", lambda path: measurement.sentences.to_parquet(path, index=False))
        write_json(folder / f"{step}.json", [generation.to_dict() for generation in generations])
        return {"concept_nll": round(measurement.concept_nll, 4), "retain_nll": round(measurement.retain_nll, 4)}

    return run


def measure_inputs(work: Work) -> Any:
    return {
        "prompts": work.config.test_prompts,
        "generation": work.config.generation.model_dump(),
        "model": rank_inputs(work)["model"],
        "dtype": work.config.base_model.dtype,
    }


def report_inputs(work: Work) -> Any:
    return {"concept": asdict(work.concept), "steps": _steps(work), "never_knew": has_never_knew(work)}


def _steps(work: Work) -> list[str]:
    return [step for step in STEPS if step != "retrained" or work.config.retraining.enabled]


def report(work: Work) -> Summary:
    """Put the measurements of all steps side by side: metrics.json and generations.json."""
    from unlearning_core.evaluation.concept_words import concept_words_per_100
    from unlearning_core.evaluation.metrics import Measurement
    from unlearning_core.evaluation.never_knew import Distance
    from unlearning_core.evaluation.report import metrics_table

    folder, steps = work.run.folder / "measurements", _steps(work)
    measurements, written, words = {}, {}, {}
    for step in steps:
        measurements[step] = Measurement.from_sentences(pd.read_parquet(folder / f"{step}.parquet"))
        written[step] = work.read(f"measurements/{step}.json")
        words[step] = concept_words_per_100([generation["text"] for generation in written[step]], work.matcher)
    there = steps if has_never_knew(work) else []
    distances = {step: Distance.load(work.run.folder / DISTANCES / step) for step in there}
    metrics = metrics_table(measurements, words, distances)
    write_json(work.run.folder / "generations.json", written)
    write_json(work.run.folder / "metrics.json", metrics)
    return {step: metrics[step].get("forget_delta") for step in steps if step != "base"}
