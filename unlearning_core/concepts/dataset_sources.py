"""Datasets of the `datasets` library: folders written by `save_to_disk`, names on the Hub, folders of data files."""

import logging
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from unlearning_core.concepts.file_content import ABOUT
from unlearning_core.errors import InputError

log = logging.getLogger(__name__)

_BATCH = 1000
_TEXT_SUFFIXES = (".txt", ".md", ".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".parquet", ".arrow", ".feather")
_FILE_SUFFIXES = (
    *_TEXT_SUFFIXES,
    ".gz",
    ".bz2",
    ".xz",
    ".zst",
    ".zip",
    ".lz4",
    ".xlsx",
    ".docx",
    ".pdf",
    ".orc",
    ".avro",
)
_PART = re.compile(r"(.*?)(\d+)-of-(\d+)")


def check_name(source: str) -> None:
    """Raises InputError where a name of a source is empty, an address elsewhere, or no name at all."""
    if not source.strip():
        raise InputError("The text source has no name. Give a file, a folder or the name of a dataset.")
    if "\0" in source:
        raise InputError(f"The text source {source!r} holds a NUL, which no name does. Give its path again.")
    if found := re.match(r"(?:hf://datasets/|https?://huggingface\.co/datasets/)([\w.-]+/[\w.-]+)", source):
        raise InputError(f"{source} is an address. Give the dataset of the Hub by its name: {found[1]}.")
    if re.match(r"[A-Za-z][\w+.-]+:/", source):
        raise InputError(
            f"{source} is an address, and texts are read from files here or from datasets on the Hub. Download it and "
            "give the file, or give owner/name of a dataset."
        )


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
        InputError: there is no data file in the folder, one of several parts is missing, or its card names several
            configurations.
    """
    files = [file for file in sorted(path.rglob("*")) if _is_data(file, path)]
    if not files:
        raise InputError(
            f"{path} is a folder but not a dataset: it has neither dataset_dict.json nor state.json, and no data "
            "files. Give a folder that `save_to_disk` of the datasets library wrote, or a file of texts."
        )
    splits = _splits(path) or {"train": files}
    taken = {file.resolve() for part in splits.values() for file in part}
    left_out = [file for file in files if file.resolve() not in taken]
    _check_parts(file for file in files if file not in left_out)
    return splits, left_out


def _check_parts(files: Iterable[Path]) -> None:
    """Raises InputError where names say "part 0 of 3", "part 2 of 3", and that is not all of them."""
    found: dict[tuple[Path, str, str], dict[int, Path]] = {}
    for file in files:
        if said := _PART.match(file.name):
            found.setdefault((file.parent, said[1], said[3]), {})[int(said[2])] = file
    for (_, _, total), parts in found.items():
        first = 0 if 0 in parts or int(total) not in parts else 1
        missing = [str(number) for number in range(first, first + min(int(total), 10_000)) if number not in parts]
        if missing:
            one = next(iter(parts.values()))
            raise InputError(
                f"{one} is one of {int(total)} parts, counted from {first}, of which {', '.join(missing[:5])} "
                f"{'and others are' if len(missing) > 5 else 'is' if len(missing) == 1 else 'are'} missing. Get the "
                "missing files, or rename those there are if no more is meant to be read."
            )


def _is_data(file: Path, root: Path) -> bool:
    hidden = any(part.startswith((".", "__")) for part in file.relative_to(root).parts)
    about = file.stem.lower() in ABOUT
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
