"""Datasets of the `datasets` library: folders written by `save_to_disk`, and names on the Hub."""

import difflib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from unlearning_core.errors import InputError

log = logging.getLogger(__name__)

TEXT_COLUMNS = ("text", "sentence", "sentences", "content", "story", "document")
"""Column names taken for the text, in this order, when none is given."""

_BATCH = 1000
_FILE_SUFFIXES = (".txt", ".md", ".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".parquet", ".gz", ".zip")


def open_dataset(source: str, *, split: str | None = None, streaming: bool = True) -> Any:
    """A `Dataset`, `IterableDataset` or a dict of them by split.

    Args:
        source: a folder written by `save_to_disk`, a folder of such folders (one a split), a folder of data files
            such as a clone of a Hub dataset, or a Hub dataset, `owner/name` or `owner/name:configuration`.
        split: read only this split of a Hub dataset.
        streaming: read a Hub dataset as it is used, without downloading it first.

    Raises:
        InputError: there is no such folder or dataset, or the Hub cannot be reached.
    """
    path = Path(source)
    if path.is_dir():
        return _open_folder(path, split, streaming)
    name = source.partition(":")[0]
    if source.startswith(("/", ".", "~")) or name.count("/") > 1 or Path(source).suffix.lower() in _FILE_SUFFIXES:
        raise InputError(f"{source} does not exist. Check the path of the text source.")
    trouble = f"{source} is neither a file nor a folder here, and no dataset of that name could be opened on the Hub"
    return _load(name, source.partition(":")[2] or None, split, streaming, trouble)


def read_column(source: str, split: str | None = None, column: str | None = None) -> Iterator[str]:
    """The texts of one split of `open_dataset(source)`, streamed; a missing value is an empty text."""
    dataset = open_dataset(source, split=split)
    if isinstance(dataset, dict):
        dataset = dataset[choose_split(list(dataset), split, source)]
    chosen = choose_column(column_names(dataset), column, source)
    for batch in dataset.select_columns([chosen]).iter(batch_size=_BATCH):
        yield from (_checked(text, chosen, source) for text in batch[chosen])


def read_parquet(path: Path, column: str | None = None) -> Iterator[str]:
    """The texts of a column of a Parquet file, a batch of rows in memory at a time."""
    import pyarrow
    import pyarrow.parquet

    try:
        file = pyarrow.parquet.ParquetFile(path)
    except pyarrow.ArrowException as error:
        raise InputError(f"{path} is not a Parquet file: {error}.") from None
    chosen = choose_column(file.schema_arrow.names, column, str(path))
    for batch in file.iter_batches(batch_size=_BATCH, columns=[chosen]):
        yield from (_checked(text, chosen, str(path)) for text in batch.column(0).to_pylist())


def column_names(dataset: Any) -> list[str]:
    """Columns of a dataset; of a stream that does not say, those of its first row."""
    return list(dataset.column_names or next(iter(dataset), {}))


def choose_column(columns: list[str], column: str | None, where: str) -> str:
    """The asked-for column, or the one that holds text by its name, or the only one.

    Raises:
        InputError: there is no such column, or none can be told; lists those there are and the nearest name.
    """
    if column is not None:
        if column in columns:
            return column
        near = difflib.get_close_matches(column, columns, n=1)
        advice = f"Did you mean {near[0]!r}?" if near else "Name one of these."
        raise InputError(f"{where} has no column {column!r}; its columns are {', '.join(columns)}. {advice}")
    by_name = {name.strip().casefold(): name for name in columns}
    for name in TEXT_COLUMNS:
        if name in by_name:
            return by_name[name]
    if len(columns) == 1:
        return columns[0]
    raise InputError(
        f"{where} does not say which column holds the text; its columns are {', '.join(columns) or 'none'}. "
        "Name one of these as the column."
    )


def choose_split(splits: list[str], split: str | None, name: str) -> str:
    """The asked-for split, or "train", or the only one. Raises InputError listing those there are."""
    wanted = split or ("train" if "train" in splits else splits[0] if len(splits) == 1 else None)
    if wanted is None or wanted not in splits:
        asked = f"no split {split!r}" if split else "no split named train"
        raise InputError(f"{name} has {asked}; its splits are {', '.join(splits)}. Name one of these as the split.")
    return wanted


def _open_folder(path: Path, split: str | None, streaming: bool) -> Any:
    from datasets import load_from_disk

    parts = sorted(part for part in path.iterdir() if (part / "state.json").is_file())
    is_dataset = any((path / name).is_file() for name in ("dataset_dict.json", "state.json"))
    if not is_dataset and not parts:
        if any(file.suffix.lower() in _FILE_SUFFIXES for file in path.rglob("*")):
            return _load(str(path), None, split, streaming, f"{path} is a folder that could not be read as a dataset")
        raise InputError(
            f"{path} is a folder but not a dataset: it has neither dataset_dict.json nor state.json, and no data "
            "files. Give a folder that `save_to_disk` of the datasets library wrote, or a file of texts."
        )
    try:
        return load_from_disk(str(path)) if is_dataset else {part.name: load_from_disk(str(part)) for part in parts}
    except Exception as error:
        raise InputError(
            f"{path} could not be read as a dataset: {error}. Save it again with `save_to_disk`."
        ) from error


def _load(name: str, configuration: str | None, split: str | None, streaming: bool, trouble: str) -> Any:
    from datasets import load_dataset

    log.info("opening the dataset %s", name)
    try:
        return load_dataset(name, configuration, split=split, streaming=streaming)
    except Exception as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        raise InputError(f"{trouble}: {reason}. Check the name, the split and the connection.") from error


def _checked(text: object, column: str, name: str) -> str:
    if text is not None and not isinstance(text, str):
        raise InputError(f"{name}: column {column!r} holds {type(text).__name__} values; expected text.")
    return text or ""
