"""Text filtered of the concept: an artifact of its own, shared by all runs with the same words, text and settings."""

from typing import Any

from unlearning_core.concepts.filtering import (
    FilterSettings,
    concept_fingerprint,
    filter_dataset,
    source_fingerprint,
)
from unlearning_core.concepts.reading import READER_VERSION
from unlearning_core.errors import Stopped
from unlearning_core.progress import Progress
from unlearning_core.runs.context import RunContext
from unlearning_core.runs.store import Artifact, digest

KIND = "filtered"


def named_texts(context: RunContext) -> list[str]:
    """The text that the config retrains on; empty for the run's own sentences without the concept."""
    section = context.config.retraining
    return [text for text in (section.train_dataset_path or section.dataset, section.val_dataset_path) if text]


def filtered(context: RunContext, source: str) -> Artifact:
    """`train`, `validation` and `report.json` of a text, made if they are not there; kept with the run.

    Raises:
        InputError: the text cannot be read, or nothing of it is left.
    """
    run, settings = context.run, _settings(context)

    def waiting() -> None:
        context.progress(Progress("waiting for another run that filters the same text", 0))

    place = context.source(source)
    with run.store.build(KIND, _key(context, place), then=lambda one: run.manifest.keep(one), waiting=waiting) as build:
        if build.artifact is None:
            filter_dataset(place, context.concept, build.folder, settings, progress=context.progress)
    assert build.artifact is not None
    return build.artifact


def known_reports(context: RunContext) -> list[dict[str, Any]] | None:
    """What the filter drops of each named text, where all of them were filtered with exactly these words, else None."""
    import json

    found = []
    for source in named_texts(context):
        artifact = context.run.store.get(KIND, _key(context, context.source(source)))
        if artifact is None:
            return None
        found.append(json.loads(artifact.path("report.json").read_text(encoding="utf-8")))
    return found


def make_reports(context: RunContext) -> list[dict[str, Any]]:
    """Filter the named texts, where the filter stage will find them too; returns what was dropped of each.

    Raises:
        InputError: a text cannot be read, or nothing of it is left.
    """
    for source in named_texts(context):
        filtered(context, source)
    reports = known_reports(context)
    if reports is None:
        raise Stopped("The text has changed while it was filtered. Filter it again.")
    return reports


def _settings(context: RunContext) -> FilterSettings:
    section = context.config.retraining
    reading = section.dataset_reading.model_dump()
    return FilterSettings(
        split=section.dataset_split, column=section.dataset_column, **reading, seed=context.config.seed
    )


def _key(context: RunContext, source: str) -> str:
    settings = _settings(context)
    return digest(
        {
            "concept": concept_fingerprint(context.concept),
            "source": source_fingerprint(source),
            "settings": {**vars(settings), "roles": list(settings.roles)},
            "reader": READER_VERSION,
        }
    )
