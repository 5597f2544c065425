"""JSON and JSON lines as rows: read strictly, so that nothing of a file is lost without a word."""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from unlearning_core.concepts.conversations import LISTS
from unlearning_core.concepts.file_content import TEXT, FileContent
from unlearning_core.concepts.rows import TEXT_COLUMNS, kind
from unlearning_core.errors import InputError

_LISTS = ("data", "rows", "examples", "items", "texts", "documents", "train", *TEXT_COLUMNS)
"""Fields of an object under which the list of texts may stand."""


def json_value(text: str, where: str, expected: str, line: int = 1) -> Any:
    """The value of a JSON text that somebody wrote or exported.

    Unlike `unlearning_core.reading.parse_json`, which reads what programs of ours wrote, it says which line is wrong
    and lets halves of surrogate pairs through, for exports hold some: what takes the texts sees to them.

    Args:
        where: how a sentence calls the file.
        expected: a sentence that says what was expected.
        line: of the file, on which the text begins.

    Raises:
        InputError: it is not JSON, nests too deep, holds too long a number, or a field of an object stands twice (of
            which the JSON library would keep the last).
    """
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError as error:
        number = line + error.lineno - 1
        raise InputError(
            f"{where} is not valid JSON: line {number}, column {error.colno}: {error.msg}. {expected}"
        ) from None
    except _TwiceError as error:
        place = f"line {line}: " if line > 1 or "\n" not in text.strip() else ""
        raise InputError(
            f"{where}, {place}the field {error.args[0]!r} stands twice in one object. Keep one of the two."
        ) from None
    except RecursionError:
        raise InputError(f"{where}, line {line}: JSON nested too deep to be read. {expected}") from None
    except ValueError as error:  # a whole number of more digits than Python converts
        raise InputError(f"{where}, line {line}: {str(error).split(';')[0]}. Write that number as text.") from None


def json_lines(path: Path, only: Mapping[str, Any] | None = None) -> Iterator[tuple[int, Any]]:
    """(line number from 1, value) of a file with one JSON value a line; blank lines are passed over.

    With `only` just the objects whose fields have these values.

    Raises:
        InputError: the file is missing, not UTF-8 or a line is not JSON; names the line.
    """
    content = FileContent(path, "the file of JSON lines")
    if content.kind != TEXT:
        raise InputError(f"{path} is a {content.kind} file. Give the path of a file of JSON lines.")
    for number, value in lines_of(content):
        if not only or (isinstance(value, Mapping) and all(value.get(key) == wanted for key, wanted in only.items())):
            yield number, value


def lines_of(content: FileContent) -> Iterator[tuple[int, Any]]:
    """(line number from 1, value) of the lines of a file that are not blank; raises InputError as `json_lines`."""
    for number, line in enumerate(content.lines(), start=1):
        if line.strip():
            expected = 'Expected one object a line, such as {"text": "..."}.'
            yield number, json_value(line.rstrip("\n"), str(content.path), expected, number)


def items_of(content: FileContent) -> Iterable[tuple[str, Any]]:
    """(place, value) of each item of a JSON list, or of the list in an object; JSON lines are read as such too.

    Raises:
        InputError: the file is not JSON, or holds no list.
    """
    where, text = str(content.path), content.whole()
    if _is_lines(text):
        return ((f"{where}, line {number}", value) for number, value in lines_of(content))
    value = json_value(text, where, "Expected a list of strings, or JSON lines in a file named .jsonl.")
    inner = ""
    if isinstance(value, dict):
        value = _frame_rows(value, where) or value
    if isinstance(value, dict) and any(name.casefold() in LISTS for name in value):
        value = [value]
    if isinstance(value, dict):
        lists = [name for name, part in value.items() if isinstance(part, list) and part]
        inner = next((name for name in lists if name in _LISTS and len(lists) == 1), "")
        value = value[inner] if inner else value
    if not isinstance(value, list):
        raise InputError(
            f"{where} holds a JSON {kind(value)}; expected a list of strings or of objects with the text. Put its "
            "objects in a list, or one a line in a file named .jsonl."
        )
    within = f" of {inner}" if inner else ""
    return ((f"{where}, item {number}{within}", item) for number, item in enumerate(value, start=1))


def is_one_list(content: FileContent) -> bool:
    """Whether a file of JSON lines is one JSON list instead: on a line of its own, or over several lines.

    A list of the turns of a conversation is a row like any other.
    """
    lines = (line for line in content.lines() if line.strip())
    first, second = next(lines, ""), next(lines, None)
    if not first.lstrip().startswith("["):
        return False
    try:
        value = json.loads(first)
    except (ValueError, RecursionError):
        return second is not None
    turns = all(isinstance(item, dict) and {"role", "from"} & set(item) for item in value)
    return second is None and not turns


def _frame_rows(value: dict[str, Any], where: str) -> list[dict[str, Any]] | None:
    """The rows of a table as pandas writes it with `to_json`, by columns, by index or split; None for another object.

    Raises:
        InputError: a column or row lacks a value that the others have.
    """
    columns, data = value.get("columns"), value.get("data")
    if isinstance(columns, list) and isinstance(data, list) and all(isinstance(row, list) for row in data):
        if any(len(row) != len(columns) for row in data):
            raise InputError(f"{where}: the rows in data are not as long as columns. Write the table again.")
        return [dict(zip(map(str, columns), row, strict=True)) for row in data]
    parts = list(value.values())
    if not parts or not all(isinstance(part, dict) and part for part in parts):
        return None
    if all(name.isdecimal() for name in value):
        return parts
    index = list(parts[0])
    if not all(name.isdecimal() for name in index):
        return None
    if any(list(part) != index for part in parts):
        raise InputError(f"{where}: its columns do not have the same rows. Write the table again, as JSON lines.")
    return [{name: part[row] for name, part in value.items()} for row in index]


def _is_lines(text: str) -> bool:
    """Whether a first JSON value ends before the text does, at the end of a line."""
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        return error.msg == "Extra data" and error.lineno > 1
    except (ValueError, RecursionError):
        return False
    return False


class _TwiceError(Exception):
    """A field stands twice in one object."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        seen: set[str] = set()
        raise _TwiceError(next(name for name, _ in pairs if name in seen or seen.add(name)))  # type: ignore[func-returns-value]
    return value


_DECODER = json.JSONDecoder(object_pairs_hook=_object)
"""Made once: a decoder a line would take most of the time."""
