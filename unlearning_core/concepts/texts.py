"""Texts one by one from any source a person names: a file, a `save_to_disk` folder or a dataset on the Hub."""

import csv
import difflib
import json
import logging
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from unlearning_core.concepts.words import not_utf8, read_utf8
from unlearning_core.errors import InputError
from unlearning_core.progress import Progress, ProgressCallback, silent

log = logging.getLogger(__name__)

TEXT_COLUMNS = ("text", "sentence", "sentences", "content", "story", "document")
"""Column names taken for the text, in this order, when none is given."""

_REPORT_EVERY = 1000


def read_texts(
    source: str | Path,
    *,
    split: str | None = None,
    column: str | None = None,
    limit: int | None = None,
    progress: ProgressCallback = silent,
) -> Iterator[str]:
    """Yield the texts of a source, without the blank ones, stripped of white space at both ends.

    Args:
        source: `.json` (a list of strings or of objects with the text), `.jsonl`, `.csv` or `.tsv` with a header, any
            other file (a line is a text), a folder written by `save_to_disk`, or a Hub dataset, `owner/name` or
            `owner/name:configuration`, which is streamed.
        split: of a folder or Hub dataset; by default "train", or the only one there is.
        column: field or column that holds the text; by default the first of `TEXT_COLUMNS` that exists.
        limit: at most this many texts.
        progress: told how many texts were read, every thousand.

    Raises:
        InputError: the source is missing, not UTF-8, empty or has no such column; names the file and the line.
    """
    log.info("reading texts from %s (split=%s, column=%s, limit=%s)", source, split, column, limit)
    return _counted(_open(source, split, column), str(source), limit, progress)


def _open(source: str | Path, split: str | None, column: str | None) -> Iterable[Any]:
    path = Path(source)
    if path.is_dir():
        return _dataset_texts(_load_folder(path), str(path), split, column)
    if not path.is_file():
        return _dataset_texts(_load_hub(str(source), split), str(source), split, column)
    suffix = path.suffix.lower()
    if suffix == ".json":
        return _json_texts(path, column)
    if suffix in (".jsonl", ".ndjson"):
        return _json_lines(path, column)
    if suffix in (".csv", ".tsv"):
        return _csv_texts(path, column)
    return (text for _, text in _lines(path))


def _counted(texts: Iterable[str], name: str, limit: int | None, progress: ProgressCallback) -> Iterator[str]:
    read = 0
    for text in texts:
        if limit is not None and read >= limit:
            return
        clean = text.strip()
        if not clean:
            continue
        read += 1
        if read % _REPORT_EVERY == 0:
            progress(Progress("reading texts", read, limit, "texts"))
        yield clean
    if read == 0 and limit != 0:
        raise InputError(f"{name} holds no text. Give a source with at least one line or row of text.")


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """(line number from 1, line) of a UTF-8 file, streamed."""
    offset = 0
    with path.open("rb") as file:
        for number, raw in enumerate(file, start=1):
            try:
                yield number, raw.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                bom = 3 if number == 1 and raw.startswith(b"\xef\xbb\xbf") else 0
                raise not_utf8(path, error.object[error.start], offset + bom + error.start, number) from None
            offset += len(raw)


def _json_texts(path: Path, column: str | None) -> Iterator[str]:
    content = read_utf8(path, "the text source")
    try:
        value = json.loads(content)
    except json.JSONDecodeError as error:
        if error.msg == "Extra data" and error.lineno > 1:
            yield from _json_lines(path, column)
            return
        raise InputError(
            f"{path} is not valid JSON: line {error.lineno}, column {error.colno}: {error.msg}. "
            "Expected a list of strings, or JSON lines in a file named .jsonl."
        ) from None
    if not isinstance(value, list):
        raise InputError(f"{path} holds a JSON {_kind(value)}; expected a list of strings or of objects with the text.")
    for index, item in enumerate(value):
        yield _field(item, column, f"{path}, item {index + 1}")


def _json_lines(path: Path, column: str | None) -> Iterator[str]:
    for number, line in _lines(path):
        if not line.strip():
            continue
        try:
            item = json.loads(line)
        except json.JSONDecodeError as error:
            raise InputError(
                f"{path} is not valid JSON: line {number}, column {error.colno}: {error.msg}. "
                'Expected one object a line, such as {"text": "..."}.'
            ) from None
        yield _field(item, column, f"{path}, line {number}")


def _field(item: Any, column: str | None, where: str) -> str:
    if isinstance(item, str):
        return item
    if not isinstance(item, dict):
        raise InputError(f"{where}: found a JSON {_kind(item)}; expected a string or an object with the text.")
    text = item[choose_column(list(item), column, where)]
    if text is None:
        return ""
    if not isinstance(text, str):
        raise InputError(f"{where}: the text is a JSON {_kind(text)}; expected a string.")
    return text


def _kind(value: Any) -> str:
    names = {dict: "object", list: "list", str: "string", bool: "boolean", int: "number", float: "number"}
    return names.get(type(value), "null")


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


def _csv_texts(path: Path, column: str | None) -> Iterator[str]:
    csv.field_size_limit(2**31 - 1)
    lines = (line for _, line in _lines(path))
    rows = csv.reader(lines, delimiter="\t" if path.suffix.lower() == ".tsv" else ",")
    try:
        header = next(rows, None)
        if header is None:
            return
        index = header.index(choose_column(header, column, str(path)))
        for row in rows:
            if not row:
                continue
            if index >= len(row):
                raise InputError(
                    f"{path}, line {rows.line_num}: {len(row)} fields, but the header has {len(header)}. "
                    "Put texts that hold a comma in double quotes."
                )
            yield row[index]
    except csv.Error as error:
        raise InputError(f"{path}, line {rows.line_num}: not valid CSV: {error}.") from None


def _load_folder(path: Path) -> Any:
    if not any((path / name).is_file() for name in ("dataset_dict.json", "state.json")):
        raise InputError(
            f"{path} is a folder but not a dataset: it has neither dataset_dict.json nor state.json. "
            "Give a folder that `save_to_disk` of the datasets library wrote, or a file of texts."
        )
    from datasets import load_from_disk

    try:
        return load_from_disk(str(path))
    except Exception as error:
        raise InputError(
            f"{path} could not be read as a dataset: {error}. Save it again with `save_to_disk`."
        ) from error


def _load_hub(source: str, split: str | None) -> Any:
    """A streamed Hub dataset; anything that cannot be a dataset's name is a missing file."""
    name, _, configuration = source.partition(":")
    if source.startswith(("/", ".", "~")) or name.count("/") > 1 or Path(source).suffix.lower() in _FILE_SUFFIXES:
        raise InputError(f"{source} does not exist. Check the path of the text source.")
    from datasets import load_dataset

    try:
        return load_dataset(name, configuration or None, split=split, streaming=True)
    except Exception as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"{source} is neither a file nor a folder here, and no dataset of that name could be opened on the Hub: "
            f"{reason} Check the name, the split and the connection."
        ) from error


_FILE_SUFFIXES = (".txt", ".md", ".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".parquet")


def _dataset_texts(dataset: Any, name: str, split: str | None, column: str | None) -> Iterator[str]:
    if isinstance(dataset, dict):
        dataset = dataset[choose_split(list(dataset), split, name)]
    columns = dataset.column_names
    if columns is None:
        columns = list(next(iter(dataset), {}))
    chosen = choose_column(columns, column, name)
    for batch in dataset.select_columns([chosen]).iter(batch_size=_REPORT_EVERY):
        for text in batch[chosen]:
            if text is not None and not isinstance(text, str):
                raise InputError(f"{name}: column {chosen!r} holds {type(text).__name__}, expected text.")
            yield text or ""


def choose_split(splits: list[str], split: str | None, name: str) -> str:
    """The asked-for split, or "train", or the only one. Raises InputError listing those there are."""
    wanted = split or ("train" if "train" in splits else splits[0] if len(splits) == 1 else None)
    if wanted not in splits:
        asked = f"no split {split!r}" if split else "no split named train"
        raise InputError(f"{name} has {asked}; its splits are {', '.join(splits)}. Name one of these as the split.")
    return wanted
