"""Lines of comment above a table, which are no part of it."""

from collections.abc import Iterator
from itertools import chain

from unlearning_core.concepts.dialects import NAMES, ONE_COLUMN
from unlearning_core.concepts.rows import is_known_name
from unlearning_core.errors import InputError

_MOST_COMMENTS = 100


def without_comments(
    lines: Iterator[str], name: str, column: str | None, delimiter: str | None
) -> tuple[str | None, int, Iterator[str]]:
    """The first line that holds anything, how many lines before it are passed over, and the lines after it.

    Lines of comment ("# exported by ...") are passed over where a header follows or the delimiter is known.

    Raises:
        InputError: whether they are comments or texts cannot be told.
    """
    before: list[str] = []
    for line in lines:
        before.append(line)
        if (line.strip() and not _is_comment(line, column)) or len(before) > _MOST_COMMENTS:
            break
    comments = [line for line in before if _is_comment(line, column)]
    if comments and comments[-1] != before[-1] and delimiter != ONE_COLUMN:
        if delimiter is None and not _names_columns(before[-1], column):
            raise InputError(
                f"{name} begins with {comments[0].strip()[:60]!r}, which may be a comment or a text. Delete such "
                "lines, name the delimiter, or say none where each line is one text."
            )
        return before[-1], len(before) - 1, lines
    start = next((place for place, line in enumerate(before) if line.strip()), None)
    return (None, 0, lines) if start is None else (before[start], start, chain(before[start + 1 :], lines))


def _is_comment(line: str, column: str | None) -> bool:
    return line.startswith("#") and not _names_columns(line.lstrip("# "), column)


def _names_columns(line: str, column: str | None) -> bool:
    cells = {cell.strip().strip('"') for sign in NAMES for cell in line.split(sign)}
    return column in cells or any(map(is_known_name, cells))
