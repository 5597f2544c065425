"""Texts one by one from any source a person names: a file, a `save_to_disk` folder or a dataset on the Hub."""

import csv
import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from unlearning_core.concepts import dataset_sources
from unlearning_core.concepts.dataset_sources import choose_column
from unlearning_core.concepts.words import not_utf8, read_utf8
from unlearning_core.errors import InputError
from unlearning_core.progress import Progress, ProgressCallback, silent

log = logging.getLogger(__name__)

_REPORT_EVERY = 1000


def read_texts(
    source: str | Path,
    *,
    split: str | None = None,
    column: str | None = None,
    only: Mapping[str, Any] | None = None,
    limit: int | None = None,
    progress: ProgressCallback = silent,
) -> Iterator[str]:
    """Yield the texts of a source, without the blank ones, stripped of white space at both ends.

    Args:
        source: `.json` (a list of strings or of objects with the text), `.jsonl`, `.csv` or `.tsv` with a header, any
            other file (a line is a text), a folder written by `save_to_disk`, or a Hub dataset, `owner/name` or
            `owner/name:configuration`, which is streamed.
        split: of a folder or Hub dataset; by default "train", or the only one there is.
        column: field or column that holds the text; by default the first of `dataset_sources.TEXT_COLUMNS` there is.
        only: of JSON lines, those rows whose fields have these values.
        limit: at most this many texts.
        progress: told how many texts were read, every thousand.

    Raises:
        InputError: the source is missing, not UTF-8, empty or has no such column; names the file and the line.
    """
    log.info("reading texts from %s (split=%s, column=%s, only=%s, limit=%s)", source, split, column, only, limit)
    name, path = str(source), Path(source)
    texts: Iterable[str]
    if only:
        texts = _json_lines(path, column, only)
        name += f" (rows with {', '.join(f'{key} = {value}' for key, value in only.items())})"
    elif path.is_file():
        texts = file_texts(path, column)
    else:
        texts = dataset_sources.read_column(name, split, column)
    return _counted(texts, name, limit, progress)


def file_texts(path: Path, column: str | None = None) -> Iterable[str]:
    """The texts of one file as they stand in it, blank ones too; formats and errors as in `read_texts`."""
    suffix = path.suffix.lower()
    if suffix == ".json":
        return _json_texts(path, column)
    if suffix in (".jsonl", ".ndjson"):
        return _json_lines(path, column)
    if suffix in (".csv", ".tsv"):
        return _csv_texts(path, column)
    if suffix == ".parquet":
        return dataset_sources.read_parquet(path, column)
    return (text for _, text in _lines(path))


def clean_text(text: str) -> str:
    """White space at both ends removed; halves of surrogate pairs, which JSON may hold, become U+FFFD."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text.strip()


def _counted(texts: Iterable[str], name: str, limit: int | None, progress: ProgressCallback) -> Iterator[str]:
    read = 0
    for read, clean in enumerate(islice(filter(None, map(clean_text, texts)), limit), start=1):
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


def json_lines(path: Path, only: Mapping[str, Any] | None = None) -> Iterator[tuple[int, Any]]:
    """(line number from 1, value) of a file with one JSON value a line; blank lines are passed over.

    With `only` just the objects whose fields have these values.

    Raises:
        InputError: the file is missing, not UTF-8 or a line is not JSON; names the line.
    """
    if not path.is_file():
        raise InputError(f"{path} does not exist. Give the path of a file of JSON lines.")
    for number, line in _lines(path):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except json.JSONDecodeError as error:
            raise InputError(
                f"{path} is not valid JSON: line {number}, column {error.colno}: {error.msg}. "
                'Expected one object a line, such as {"text": "..."}.'
            ) from None
        if not only or (isinstance(value, Mapping) and all(value.get(key) == wanted for key, wanted in only.items())):
            yield number, value


def _json_lines(path: Path, column: str | None, only: Mapping[str, Any] | None = None) -> Iterator[str]:
    for number, item in json_lines(path, only):
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
