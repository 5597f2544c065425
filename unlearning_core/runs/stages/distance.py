"""Distance: how close a model is to one that never knew the concept, where the config names such a model."""

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from unlearning_core.config.schema import NeverKnewSection
from unlearning_core.methods.registry import NEVER_KNEW
from unlearning_core.runs.context import RunContext
from unlearning_core.runs.stages.rank import rank_inputs
from unlearning_core.runs.stages.stage import Summary

Item = TypeVar("Item")


def has_never_knew(context: RunContext) -> bool:
    """Whether there is a model to compare with."""
    return context.config.never_knew.model is not None


def distance_inputs(context: RunContext) -> Any:
    section = context.config.never_knew
    if section.model is None:
        return None
    return {
        "model": rank_inputs(context)["model"],
        "dtype": context.config.base_model.dtype,
        "never_knew": context.model_fingerprint(section.model, section.revision),
        "questions": context.text_fingerprint(section.questions),
        "texts": {name: context.text_fingerprint(source) for name, source in _sources(section).items()},
        "settings": section.model_dump(include={"questions_only", "texts_only", "max_questions", "max_texts"}),
        "seed": context.config.seed,
    }


def distance_state(state: str) -> Callable[[RunContext, Path], Summary]:
    """The stage that compares one model with the never-knew model."""

    def run(context: RunContext, folder: Path) -> Summary:
        from unlearning_core.concepts.texts import read_texts
        from unlearning_core.evaluation.never_knew import distance
        from unlearning_core.evaluation.registry import metrics_table
        from unlearning_core.evaluation.truth_ratio import read_questions

        section, seed = context.config.never_knew, context.config.seed
        questions = (
            read_questions(Path(context.source(section.questions)), section.questions_only) if section.questions else []
        )
        texts = {
            name: _some(list(read_texts(context.source(source), only=section.texts_only)), section.max_texts, seed)
            for name, source in _sources(section).items()
        }
        loaded = context.model(state)
        never_knew = context.model(NEVER_KNEW, beside=(state,))
        found = distance(
            never_knew, loaded, _some(questions, section.max_questions, seed), texts, progress=context.progress
        )
        found.save(folder / "distances" / state)
        values = metrics_table({"base": {"distance": found}})["base"]
        return {name: value for name, value in values.items() if not name.endswith("_stderr")}

    return run


def _sources(section: NeverKnewSection) -> dict[str, str]:
    """Where the texts of each kind come from."""
    sources = {"forget": section.forget_texts, "neighbour": section.neighbour_texts, "retain": section.retain_texts}
    return {name: source for name, source in sources.items() if source}


def _some(items: Sequence[Item], most: int, seed: int) -> list[Item]:
    """At most so many of the items, drawn by the seed, in their order."""
    chosen = random.Random(seed).sample(range(len(items)), min(most, len(items)))
    return [items[index] for index in sorted(chosen)]
