"""Datasets of the `datasets` library: folders written by `save_to_disk`, names on the Hub, folders of data files."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from unlearning_core.errors import InputError

log = logging.getLogger(__name__)

_BATCH = 1000
_TEXT_SUFFIXES = (".txt", ".md", ".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".parquet", ".arrow", ".feather")
_FILE_SUFFIXES = (*_TEXT_SUFFIXES, ".gz", ".bz2", ".xz", ".zst", ".zip", ".xlsx", ".docx", ".pdf")
_ABOUT = ("readme", "license", "licence", "changelog", "citation", "dataset_infos", "dataset_info", "sha256sums")
"""Files that tell about a dataset and are no part of it."""


def open_dataset(source: str, *, split: str | None = None, streaming: bool = True) -> Any:
    """A `Dataset`, `IterableDataset` or a dict of them by split.

    Args:
        source: a folder written by `save_to_disk`, a folder of such folders (one a split), or a Hub dataset,
            `owner/name` or `owner/name:configuration`.
        split: read only this split of a Hub dataset.
        streaming: read a Hub dataset as it is used, without downloading it first.

    Raises:
        InputError: there is no such folder or dataset, or the Hub cannot be reached.
    """
    path = Path(source)
    if path.is_dir():
        return _open_folder(path)
    name = source.partition(":")[0]
    if source.startswith(("/", ".", "~")) or name.count("/") > 1 or Path(source).suffix.lower() in _FILE_SUFFIXES:
        raise InputError(f"{source} does not exist. Check the path of the text source.")
    trouble = f"{source} is neither a file nor a folder here, and no dataset of that name could be opened on the Hub"
    return _load(name, source.partition(":")[2] or None, split, streaming, trouble)


def dataset_rows(dataset: Any, fields: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    """The rows of a dataset, with these fields alone; streamed."""
    for batch in dataset.select_columns(list(fields)).iter(batch_size=_BATCH):
        for values in zip(*(batch[field] for field in fields), strict=True):
            yield dict(zip(fields, values, strict=True))


def column_names(dataset: Any) -> list[str]:
    """Columns of a dataset; of a stream that does not say, those of its first row."""
    return list(dataset.column_names or next(iter(dataset), {}))


def parquet_batches(path: Path) -> tuple[list[str], Any]:
    """(columns, function of columns that gives the record batches) of a Parquet file; raises InputError for another."""
    import pyarrow
    import pyarrow.parquet

    try:
        file = pyarrow.parquet.ParquetFile(path)
    except (pyarrow.ArrowException, OSError) as error:
        raise InputError(f"{path} is not a Parquet file, or a damaged one: {error}. Write it again.") from None
    return file.schema_arrow.names, lambda fields: file.iter_batches(batch_size=_BATCH, columns=list(fields))


def arrow_batches(path: Path) -> tuple[list[str], Any]:
    """The same of an Arrow or Feather file: one of the library `datasets` is a stream, others have an index."""
    import pyarrow

    source = pyarrow.memory_map(str(path))
    try:
        try:
            file = pyarrow.ipc.open_file(source)
            batches = (file.get_batch(number) for number in range(file.num_record_batches))
        except pyarrow.ArrowInvalid:
            source.seek(0)
            file = pyarrow.ipc.open_stream(source)
            batches = iter(file)
    except (pyarrow.ArrowException, OSError) as error:
        raise InputError(f"{path} is not an Arrow file, or a damaged one: {error}. Write it again.") from None
    return file.schema.names, lambda fields: (batch.select(list(fields)) for batch in batches)


def choose_split(splits: list[str], split: str | None, name: str) -> str:
    """The asked-for split, or "train", or the only one. Raises InputError listing those there are."""
    wanted = split or ("train" if "train" in splits else splits[0] if len(splits) == 1 else None)
    if wanted is None or wanted not in splits:
        asked = f"no split {split!r}" if split else "no split named train"
        raise InputError(f"{name} has {asked}; its splits are {', '.join(splits)}. Name one of these as the split.")
    return wanted


def is_saved_dataset(path: Path) -> bool:
    """Whether `save_to_disk` wrote the folder, or each part of it."""
    own = any((path / name).is_file() for name in ("dataset_dict.json", "state.json"))
    return own or bool(_parts(path))


def data_files(path: Path) -> tuple[dict[str, list[Path]], list[Path]]:
    """The files of a folder of data files, such as a clone of a Hub dataset, by split; and those that are left out.

    Splits are told from names and from the dataset's card, by the rules of the `datasets` library.

    Raises:
        InputError: there is no data file in the folder, or its card names several configurations.
    """
    files = [file for file in sorted(path.rglob("*")) if _is_data(file, path)]
    if not files:
        raise InputError(
            f"{path} is a folder but not a dataset: it has neither dataset_dict.json nor state.json, and no data "
            "files. Give a folder that `save_to_disk` of the datasets library wrote, or a file of texts."
        )
    splits = _splits(path) or {"train": files}
    taken = {file for part in splits.values() for file in part}
    return splits, [file for file in files if file not in taken]


def _is_data(file: Path, root: Path) -> bool:
    hidden = any(part.startswith((".", "__")) for part in file.relative_to(root).parts)
    about = file.stem.lower() in _ABOUT
    return not hidden and not about and file.suffix.lower() in _FILE_SUFFIXES and file.is_file()


def _splits(path: Path) -> dict[str, list[Path]]:
    """As the library finds them; none where it knows no such files."""
    from datasets import load_dataset_builder

    try:
        found = load_dataset_builder(str(path)).config.data_files
    except Exception as error:
        reason = (str(error).splitlines() or [""])[0]
        if "config name" in reason.lower():
            raise InputError(f"{path} holds several datasets: {reason} Give the folder or files of one.") from error
        log.info("the datasets library does not know the files of %s: %s", path, reason)
        return {}
    return {str(split): [Path(file) for file in files] for split, files in (found or {}).items()}


def _parts(path: Path) -> list[Path]:
    return sorted(part for part in path.iterdir() if (part / "state.json").is_file())


def _open_folder(path: Path) -> Any:
    from datasets import load_from_disk

    whole = any((path / name).is_file() for name in ("dataset_dict.json", "state.json"))
    try:
        return load_from_disk(str(path)) if whole else {part.name: load_from_disk(str(part)) for part in _parts(path)}
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
