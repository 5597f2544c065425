"""What the filter would drop of a run's retraining text, and why: told before a model is pruned or trained."""

from typing import Any

from unlearning_core.concepts.filter_cache import filtered_cached
from unlearning_core.concepts.filtering import FilterSettings
from unlearning_core.concepts.fingerprints import concept_fingerprint
from unlearning_core.files import write_json
from unlearning_core.runs.run import digest
from unlearning_core.runs.stages.retrain import CACHE, filter_inputs
from unlearning_core.runs.context import RunContext

FILE = "data/filter-report.json"
"""In the run folder: {"of": what it was made from, "reports": [as `filter_dataset` returns it, one a source]}."""


def sources(context: RunContext) -> list[str]:
    """The text that the config retrains on; empty for the run's own sentences without the concept."""
    section = context.config.retraining
    return [text for text in (section.train_dataset_path or section.dataset, section.val_dataset_path) if text]


def known_report(context: RunContext) -> list[dict[str, Any]] | None:
    """The report that was made for exactly these words, texts and settings, else None."""
    kept = context.read(FILE)
    return kept["reports"] if kept and kept["of"] == _made_from(context) else None


def make_report(context: RunContext) -> list[dict[str, Any]]:
    """Filter the text, or find it filtered, where the filter stage will find it too; keep the report in the run.

    Raises:
        InputError: as `filter_dataset`: a text cannot be read, or nothing of it is left.
    """
    settings = FilterSettings(column=context.config.retraining.dataset_column, seed=context.config.seed)
    cache = context.run.folder.parent / CACHE
    reports = [
        filtered_cached(source, context.concept, cache, settings, progress=context.progress).report
        for source in sources(context)
    ]
    write_json(context.run.folder / FILE, {"of": _made_from(context), "reports": reports})
    return reports


def _made_from(context: RunContext) -> str:
    return digest([filter_inputs(context), concept_fingerprint(context.concept)])
