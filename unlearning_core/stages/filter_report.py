"""What the filter would drop of a run's retraining text, and why: told before a model is pruned or trained."""

from typing import Any

from unlearning_core.concepts.filter_cache import filtered_cached
from unlearning_core.concepts.filtering import FilterSettings
from unlearning_core.concepts.fingerprints import concept_fingerprint
from unlearning_core.files import write_json
from unlearning_core.runs import digest
from unlearning_core.stages.retrain import CACHE, filter_inputs
from unlearning_core.work import Work

FILE = "data/filter-report.json"
"""In the run folder: {"of": what it was made from, "reports": [as `filter_dataset` returns it, one a source]}."""


def sources(work: Work) -> list[str]:
    """The text that the config retrains on; empty for the run's own sentences without the concept."""
    section = work.config.retraining
    return [text for text in (section.train_dataset_path or section.dataset, section.val_dataset_path) if text]


def known_report(work: Work) -> list[dict[str, Any]] | None:
    """The report that was made for exactly these words, texts and settings, else None."""
    kept = work.read(FILE)
    return kept["reports"] if kept and kept["of"] == _made_from(work) else None


def make_report(work: Work) -> list[dict[str, Any]]:
    """Filter the text, or find it filtered, where the filter stage will find it too; keep the report in the run.

    Raises:
        InputError: as `filter_dataset`: a text cannot be read, or nothing of it is left.
    """
    settings = FilterSettings(column=work.config.retraining.dataset_column, seed=work.config.seed)
    cache = work.run.folder.parent / CACHE
    reports = [
        filtered_cached(source, work.concept, cache, settings, progress=work.progress).report
        for source in sources(work)
    ]
    write_json(work.run.folder / FILE, {"of": _made_from(work), "reports": reports})
    return reports


def _made_from(work: Work) -> str:
    return digest([filter_inputs(work), concept_fingerprint(work.concept)])
