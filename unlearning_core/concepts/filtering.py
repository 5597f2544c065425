"""Text without the concept, to let a pruned model recover on: a train and a validation set, filtered by the matcher.

A text that holds a concept word is dropped whole, however long it is (as the seed system does): what is left over from
a cut text would no longer be text. Cut stories into sentences first where that drops too much.
"""

import hashlib
import logging
from dataclasses import asdict, dataclass
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from unlearning_core.concepts import dataset_sources
from unlearning_core.concepts.matcher import RULES_VERSION, Matcher
from unlearning_core.concepts.split_filter import BATCH, FilteredSplit, Source
from unlearning_core.concepts.texts import clean_text, file_texts
from unlearning_core.concepts.words import Concept
from unlearning_core.errors import InputError
from unlearning_core.files import new_folder, write_json
from unlearning_core.progress import ProgressCallback, silent

log = logging.getLogger(__name__)

VALIDATION_SPLITS = ("validation", "valid", "val", "dev")
"""Names under which a source may hold its validation set; "test" is left alone."""


@dataclass(frozen=True)
class FilterSettings:
    """What besides the words and the source decides the result.

    Attributes:
        column: column of the text; None for the one that its name tells.
        validation_share: share of the texts held out when the source has no validation split.
        seed: decides which texts these are.
        limit: at most so many texts of each split.
    """

    column: str | None = None
    validation_share: float = 0.1
    seed: int = 0
    limit: int | None = None

    def __post_init__(self) -> None:
        if not 0 < self.validation_share < 1:
            raise InputError(f"validation_share is {self.validation_share}; expected above 0 and below 1, such as 0.1.")
        if self.limit is not None and self.limit < 2:
            raise InputError(
                f"limit is {self.limit}; at least 2 texts are needed, one to train on and one to validate."
            )


def filter_dataset(
    source: str | Path,
    concept: Concept,
    output_dir: str | Path,
    settings: FilterSettings | None = None,
    *,
    progress: ProgressCallback = silent,
) -> dict[str, Any]:
    """Write DIR/train, DIR/validation (`save_to_disk`, all columns, the text as "text") and DIR/report.json.

    The folder appears whole or not at all. A source without a validation split gets one split off by text, so that
    equal texts are on the same side.

    Args:
        source: as in `texts.read_texts`; both splits are read when it has them.
        output_dir: new, empty, or an earlier result of this function, which is replaced.

    Returns:
        The report: {"train": {"kept", "dropped", "total", "blank"}, "validation": the same, "words": dropped texts by
        concept word, "forms": matches by word and form, "examples": [{"split", "word", "found", "text"}] with the
        match between double asterisks, "settings", "fingerprint"}. `total` leaves the blank texts out.

    Raises:
        InputError: the source cannot be read, nothing is left of a split, or `output_dir` holds something else.
    """
    settings = settings or FilterSettings()
    target = Path(output_dir)
    _check_target(target)
    log.info("filtering %s of %d concept words into %s", source, len(concept.words), target)
    fingerprint = source_fingerprint(str(source))
    train, validation = _open_splits(source, settings)
    matcher = Matcher(concept)
    training, held_out = FilteredSplit("train", matcher, progress), FilteredSplit("validation", matcher, progress)
    with new_folder(target) as folder, TemporaryDirectory(dir=folder, ignore_cleanup_errors=True) as scratch:
        training.run(train, Path(scratch))
        if validation is None:
            held_out = training.split_off(settings.validation_share, settings.seed)
        else:
            held_out.run(validation, Path(scratch))
        for part in (training, held_out):
            part.save(folder)
        report = {
            "train": training.counts(),
            "validation": held_out.counts(),
            "words": {word: training.words[word] + held_out.words[word] for word in concept.words},
            "forms": matcher.forms(),
            "examples": [example for part in (training, held_out) for _, example in part.examples],
            "settings": {"source": str(source), "validation_split_off": validation is None, **asdict(settings)},
            "fingerprint": {"source": fingerprint, **concept_fingerprint(concept)},
        }
        write_json(folder / "report.json", report)
    log.info("kept %s of %s", report["train"], source)
    return report


def source_fingerprint(source: str) -> str:
    """Of a file or folder the hash of its content, of a Hub dataset its commit (its name alone without the Hub)."""
    path = Path(source)
    if not path.exists():
        return f"hub:{source}@{_hub_commit(source.partition(':')[0])}"
    digest = hashlib.blake2b(digest_size=16)
    for file in [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file()):
        # Not by the name of the source, but a file of several by its place among them.
        in_root = file.parent == (path.parent if path.is_file() else path)
        digest.update(f"{file.suffix if in_root else file.relative_to(path)}\0".encode())
        with file.open("rb") as content:
            hashlib.file_digest(content, lambda: digest)
    return f"content:{digest.hexdigest()}"


def _hub_commit(name: str) -> str:
    from huggingface_hub import HfApi

    try:
        return str(HfApi().dataset_info(name, timeout=10).sha)
    except Exception:
        return "unknown"


def concept_fingerprint(concept: Concept) -> dict[str, Any]:
    """What decides which words match: the words in any order or case, the switches and the rules."""
    return {
        "words": sorted(word.casefold() for word in concept.words),
        "inflections": concept.inflections,
        "language": concept.language,
        "rules": f"{RULES_VERSION}, simplemma {version('simplemma')}",
    }


def _open_splits(source: str | Path, settings: FilterSettings) -> tuple[Source, Source | None]:
    path = Path(source)
    if path.is_file():
        return _file_source(path, settings), None
    dataset = dataset_sources.open_dataset(str(source))
    if not isinstance(dataset, dict):
        return _dataset_source(dataset, str(source), settings), None
    train = dataset_sources.choose_split(list(dataset), None, str(source))
    validation = next((name for name in VALIDATION_SPLITS if name in dataset and name != train), None)
    second = None if validation is None else _dataset_source(dataset[validation], str(source), settings)
    return _dataset_source(dataset[train], str(source), settings), second


def _file_source(path: Path, settings: FilterSettings) -> Source:
    import pyarrow

    texts = islice(filter(None, map(clean_text, file_texts(path, settings.column))), settings.limit)
    batches = iter(lambda: list(islice(texts, BATCH)), [])
    tables = (pyarrow.table({"text": pyarrow.array(batch, pyarrow.string())}) for batch in batches)
    return Source(tables, "text", settings.limit)


def _dataset_source(dataset: Any, name: str, settings: FilterSettings) -> Source:
    column = dataset_sources.choose_column(dataset_sources.column_names(dataset), settings.column, name)
    total = len(dataset) if hasattr(dataset, "__len__") else None
    if settings.limit is not None:
        total = settings.limit if total is None else min(total, settings.limit)
        dataset = dataset.take(total)
    if column != "text" and "text" in dataset_sources.column_names(dataset):
        dataset = dataset.remove_columns(["text"])
    return Source(dataset.with_format("arrow").iter(batch_size=BATCH), column, total)


def _check_target(target: Path) -> None:
    if target.is_file():
        raise InputError(f"{target} is a file. Name a folder to write the filtered dataset to.")
    ours = (target / "report.json").is_file() and (target / "train").is_dir()
    if target.is_dir() and any(target.iterdir()) and not ours:
        raise InputError(
            f"{target} already holds other files, which would be lost. Name a new or empty folder for the result."
        )
