"""Files that may hold anything: read so that whatever is wrong with one is a sentence that names it.

What a run or a job keeps may have come from anybody, in a zip, or from a disk that failed. `read_json` and `read_table`
check size, depth and form before anything is built on the values.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from unlearning_core.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

MOST_DEPTH = 60
"""Lists and objects in each other. Nothing that is read here needs ten; Python's own limit is that of its stack."""

MOST_ROWS = 50_000_000
"""Of a table. The ranking of the largest open model has fewer; a few packed bytes can claim any number."""

_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_KINDS = {"whole numbers": "iu", "numbers": "iuf", "true or false": "b"}
_TEXT = ("string", "empty")


def parse_json(text: str | bytes, *, unique: bool = False) -> Any:
    """The JSON value that `text` is.

    Args:
        unique: refuse an object that gives a key twice; otherwise the last one counts, as in most programs.

    Raises:
        ValueError: it is not JSON, nested more than `MOST_DEPTH` deep, has a number too long to be read, half of a
            surrogate pair in a text (no file could hold it again), or, with `unique`, a key twice.
    """
    try:
        value = json.loads(text, object_pairs_hook=_unique if unique else None)
    except RecursionError:
        raise ValueError(f"it is nested more than {MOST_DEPTH} deep") from None
    level, depth = [value], 0
    while level := [one for one in level if isinstance(one, dict | list)]:
        depth += 1
        if depth > MOST_DEPTH:
            raise ValueError(f"it is nested more than {MOST_DEPTH} deep")
        # One comprehension a level: a tokenizer.json has a million values.
        level = [inner for one in level for inner in (one.values() if isinstance(one, dict) else one)]
    if _SURROGATE.search(text if isinstance(text, str) else text.decode("utf-8", errors="replace")):
        json.dumps(value, ensure_ascii=False).encode("utf-8")  # a UnicodeEncodeError is a ValueError
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {key[:80]!r} stands twice in one object")
        found[key] = value
    return found


def parse_lines(lines: Iterable[str | bytes]) -> Iterator[Any]:
    """The JSON values of a log's lines; a line that is none (half-written, damaged) is left out."""
    for line in lines:
        try:
            yield parse_json(line)
        except ValueError:
            continue


def read_text(path: Path, mend: str) -> str:
    """The text of a UTF-8 file, with or without a byte order mark.

    Args:
        mend: what to do about a file that cannot be read; a sentence.

    Raises:
        InputError: it cannot be read, or is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text (byte {error.start}). {mend}") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror or error}). {mend}") from error


def read_json(path: Path, form: Any = object, *, mend: str, unique: bool = False) -> Any:
    """The JSON value in `path`, as it is there.

    Args:
        form: what it must be: a type that pydantic can check.
        mend: as in `read_text`.
        unique: as in `parse_json`.

    Raises:
        InputError: it cannot be read, is not JSON (says where), or has another form (says where and what).
    """
    text = read_text(path, mend)
    try:
        value = parse_json(text, unique=unique)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise InputError(f"{path}, {where}: not JSON: {error.msg}. {mend}") from error
    except ValueError as error:
        raise InputError(f"{path} is no JSON that can be used: {str(error)[:200]}. {mend}") from error
    try:
        check_form(value, form)
    except ValueError as error:
        raise InputError(f"{path} is damaged: {error}. {mend}") from error
    return value


def check_form(value: Any, form: Any) -> None:
    """Compare `value` with the type `form`, as pydantic does.

    Raises:
        ValueError: it is something else; names the place and what was expected.
    """
    try:
        _adapter(form).validate_python(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        place = ".".join(shown_key(part) for part in first["loc"]) or "the whole"
        raise ValueError(f"{place} is {repr(first['input'])[:80]} ({first['msg'].lower()})") from error


def shown_key(key: object) -> str:
    """A key or place in a sentence; one that nobody could read is quoted and cut."""
    text = str(key)
    return text if text.isprintable() and 0 < len(text) <= 80 else repr(text[:80])


@lru_cache(maxsize=64)
def _adapter(form: Any) -> TypeAdapter[Any]:
    return TypeAdapter(form)


def read_table(path: Path, columns: Mapping[str, str], *, mend: str) -> "pd.DataFrame":
    """The table in the Parquet file `path`, all of its columns.

    Args:
        columns: those that it must have, each with what stands in it: text, numbers, whole numbers, true or false.
        mend: as in `read_text`.

    Raises:
        InputError: it cannot be read, claims more than `MOST_ROWS` rows, or lacks one of the columns.
    """
    import pandas as pd
    import pyarrow.parquet as pq

    try:
        rows = pq.read_metadata(path).num_rows
        if rows > MOST_ROWS:
            raise ValueError(f"it claims {rows:,} rows, and at most {MOST_ROWS:,} are taken")
        found = pd.read_parquet(path)
        for name, kind in columns.items():
            if name not in found.columns:
                raise ValueError(f"it has no column {name!r}")
            dtype = found[name].dtype
            right = dtype.kind in _KINDS[kind] if kind in _KINDS else pd.api.types.infer_dtype(found[name]) in _TEXT
            if not right:
                raise ValueError(f"its column {name!r} holds {dtype}, expected {kind}")
    except Exception as error:  # a damaged file raises whatever the Parquet reader raises
        reason = " ".join(str(error).split())[:200].rstrip(".") or type(error).__name__
        raise InputError(f"{path} is damaged, or no such table ({reason}). {mend}") from error
    return found
