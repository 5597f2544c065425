"""Filtered datasets made once: found again by the content of words, data and settings, never by a name."""

import hashlib
import json
import logging
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from unlearning_core.concepts.filtering import FilterSettings, filter_dataset
from unlearning_core.concepts.fingerprints import concept_fingerprint, source_fingerprint
from unlearning_core.concepts.words import Concept
from unlearning_core.progress import ProgressCallback, silent

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FilteredDataset:
    """A filtered train and validation set on disk.

    Attributes:
        folder: holds `train`, `validation` and `report.json`.
        report: as `filter_dataset` returns it.
        reused: whether it was found rather than made.
    """

    folder: Path
    report: dict[str, Any]
    reused: bool

    @property
    def train(self) -> Path:
        """Folder of the training set, for `datasets.load_from_disk`."""
        return self.folder / "train"

    @property
    def validation(self) -> Path:
        """Folder of the validation set, for `datasets.load_from_disk`."""
        return self.folder / "validation"


def filtered_cached(
    source: str | Path,
    concept: Concept,
    cache_root: str | Path,
    settings: FilterSettings | None = None,
    *,
    progress: ProgressCallback = silent,
) -> FilteredDataset:
    """The source without the concept, from `cache_root` when the same words, data and settings were filtered before.

    Raises:
        InputError: as `filter_dataset`.
    """
    settings = settings or FilterSettings()
    folder = Path(cache_root) / cache_key(source, concept, settings)
    report = _finished(folder)
    if report is not None:
        log.info("the filtered dataset %s is used again for %s", folder, source)
        return FilteredDataset(folder, report, True)
    return FilteredDataset(folder, filter_dataset(source, concept, folder, settings, progress=progress), False)


def cache_key(source: str | Path, concept: Concept, settings: FilterSettings) -> str:
    """A folder name of 32 hexadecimal digits that the words, the data and the settings decide."""
    content = {
        "concept": concept_fingerprint(concept),
        "source": source_fingerprint(str(source)),
        "settings": asdict(settings),
    }
    return hashlib.blake2b(json.dumps(content, sort_keys=True).encode(), digest_size=16).hexdigest()


def _finished(folder: Path) -> dict[str, Any] | None:
    """The report of a folder that is all there, else None."""
    if not all((folder / name / "state.json").is_file() for name in ("train", "validation")):
        return None
    try:
        report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return report if isinstance(report, dict) else None
