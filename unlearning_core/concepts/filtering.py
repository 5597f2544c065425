"""Text without the concept, to let a pruned model recover on: a train and a validation set, filtered by the matcher.

A text that holds a concept word is dropped whole, however long it is (as the seed system does): what is left over from
a cut text would no longer be text. Cut stories into sentences first where that drops too much.
"""

import hashlib
import logging
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from unlearning_core.concepts import dataset_sources
from unlearning_core.concepts.matcher import RULES_VERSION, Matcher
from unlearning_core.concepts.reading import Reading, Understood
from unlearning_core.concepts.rows import TextOfRow
from unlearning_core.concepts.split_filter import BATCH, FilteredSplit, Source
from unlearning_core.concepts.texts import (
    TextStream,
    choose_text,
    dataset_texts,
    folder_texts,
    note_folder,
    readable,
    sentences_for_errors,
    source_texts,
)
from unlearning_core.concepts.words import Concept
from unlearning_core.errors import InputError
from unlearning_core.files import new_folder, write_json
from unlearning_core.progress import ProgressCallback, silent

log = logging.getLogger(__name__)

VALIDATION_SPLITS = ("validation", "valid", "val", "dev")
"""Names under which a source may hold its validation set; "test" is left alone."""


@dataclass(frozen=True, kw_only=True)
class FilterSettings(Reading):
    """How the source is to be read (`reading.Reading`), and what besides it and the words decides the result.

    Attributes:
        validation_share: share of the texts held out when the source has no validation split.
        seed: decides which texts these are.
        limit: at most so many texts of each split.
    """

    validation_share: float = 0.1
    seed: int = 0
    limit: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
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
    """Write DIR/train, DIR/validation (`save_to_disk`, the text as "text") and DIR/report.json.

    A saved or Hub dataset keeps its other columns where its text is a column; of files and conversations only the text
    is kept.

    The folder appears whole or not at all. A source without a validation split gets one split off by text, so that
    equal texts are on the same side.

    Args:
        source: as in `texts.read_texts`; a split for training and one for validation are read when it has them, and
            no split is named.
        output_dir: new, empty, or an earlier result of this function, which is replaced.

    Returns:
        The report: {"train": {"kept", "dropped", "total", "blank"}, "validation": the same, "words": dropped texts by
        concept word, "forms": matches by word and form, "examples": [{"split", "word", "found", "text"}] with the
        match between double asterisks, "understood": what the source was read as, "settings", "fingerprint"}. `total`
        leaves the blank texts out.

    Raises:
        InputError: the source cannot be read, nothing is left of a split, or `output_dir` holds something else.
    """
    settings = settings or FilterSettings()
    target = Path(output_dir)
    _check_target(target)
    log.info("filtering %s of %d concept words into %s", source, len(concept.words), target)
    understood = Understood(str(source))
    dataset_sources.check_name(str(source))
    with sentences_for_errors(str(source)):
        fingerprint = source_fingerprint(str(source))
        train, validation = _open_splits(source, settings, understood)
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
            "understood": understood.sentence(),
            "settings": {"source": str(source), "validation_split_off": validation is None}
            | {**asdict(settings), "roles": list(settings.roles)},
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


def _open_splits(source: str | Path, settings: FilterSettings, understood: Understood) -> tuple[Source, Source | None]:
    path, name = Path(source), str(source)
    if path.is_dir() and not dataset_sources.is_saved_dataset(path):
        files, left_out = dataset_sources.data_files(path)
        train, held_out = _split_names(list(files), settings, name)
        note_folder(understood, files, train, left_out)
        second = Understood(name)
        return (
            _text_source(folder_texts(files[train], settings, understood), understood, settings),
            _text_source(folder_texts(files[held_out], settings, second), second, settings) if held_out else None,
        )
    if not path.is_dir() and (path.exists() or path.is_symlink()):
        return _text_source(source_texts(source, settings, understood), understood, settings), None
    return _open_dataset(name, settings, understood)


def _open_dataset(name: str, settings: FilterSettings, understood: Understood) -> tuple[Source, Source | None]:
    settings.check_no_table("a dataset", encoding=False)
    dataset = dataset_sources.open_dataset(name)
    understood.format = "dataset"
    if not isinstance(dataset, dict):
        return _dataset_source(dataset, name, settings, understood), None
    train, held_out = _split_names(list(dataset), settings, name)
    understood.format += f", split {train}"
    second = _dataset_source(dataset[held_out], name, settings, Understood(name)) if held_out else None
    return _dataset_source(dataset[train], name, settings, understood), second


def _split_names(splits: list[str], settings: FilterSettings, name: str) -> tuple[str, str | None]:
    """The split to train on, and the one to validate on where there is one and the person named none."""
    train = dataset_sources.choose_split(splits, settings.split, name)
    named = settings.split is not None
    return train, None if named else next((one for one in VALIDATION_SPLITS if one in splits and one != train), None)


def _text_source(texts: Iterator[str], understood: Understood, settings: FilterSettings) -> Source:
    """Texts alone, as tables of one column."""
    import pyarrow

    stream = TextStream(readable(texts, understood.name), understood, settings.limit, silent)
    batches = iter(lambda: list(islice(stream, BATCH)), [])
    tables = (pyarrow.table({"text": pyarrow.array(batch, pyarrow.string())}) for batch in batches)
    return Source(tables, "text", settings.limit)


def _dataset_source(dataset: Any, name: str, settings: FilterSettings, understood: Understood) -> Source:
    chosen = choose_text(dataset, name, settings, understood)
    if chosen.column is None:
        return _text_source(dataset_texts(dataset, name, chosen), understood, settings)
    total = len(dataset) if hasattr(dataset, "__len__") else None
    if settings.limit is not None:
        total = settings.limit if total is None else min(total, settings.limit)
        dataset = dataset.take(total)
    if chosen.column != "text" and "text" in dataset_sources.column_names(dataset):
        dataset = dataset.remove_columns(["text"])
    tables = readable(dataset.with_format("arrow").iter(batch_size=BATCH), name)
    return Source(_told(tables, chosen, understood), chosen.column, total)


def _told(tables: Iterator[Any], chosen: TextOfRow, understood: Understood) -> Iterator[Any]:
    """The tables, whose texts are checked to be text and counted; the first ones are told."""
    for number, table in enumerate(tables):
        for text in table[chosen.column].to_pylist():
            if chosen.texts({chosen.column: text}, understood.name) and text.strip():
                understood.add(text)
        if number == 0:
            understood.tell()
        yield table


def _check_target(target: Path) -> None:
    if target.is_file():
        raise InputError(f"{target} is a file. Name a folder to write the filtered dataset to.")
    ours = (target / "report.json").is_file() and (target / "train").is_dir()
    if target.is_dir() and any(target.iterdir()) and not ours:
        raise InputError(
            f"{target} already holds other files, which would be lost. Name a new or empty folder for the result."
        )
