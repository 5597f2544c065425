"""Whether the quotes of a table hold its fields, or are signs of its texts that only seem to.

A text that begins with a quote, in a table without quoting, swallows the rows after it up to the next quote: these then
look like one text of several lines. A quoted text of several lines is as common, so that its lines are compared with
the rows around it.
"""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

_NUMBER = re.compile(r"[+-]?\d[\d.,:/-]*%?")
_NUMBERS, _WORDS, _PROSE = "numbers", "words", "prose"
_BLANK_LINE = re.compile(r"\n[ \t]*\n")


@dataclass(frozen=True)
class RowPattern:
    """What the fields of a table's rows are like, by which a line inside a quoted field is known as a row.

    Attributes:
        delimiter: between the fields.
        forms: of each field "numbers", "words" (one each) or "prose".
        one_column_of_lines: each row is one text, and none of those seen has several lines.
    """

    delimiter: str
    forms: tuple[str, ...]
    one_column_of_lines: bool = False

    @property
    def all_prose(self) -> bool:
        """Whether no field tells a row from a line of a text."""
        return set(self.forms) <= {_PROSE}

    def swallowed(self, row: Sequence[str]) -> str | None:
        """The line inside a field that looks like a row of its own; None where there is none."""
        for cell in row:
            if "\n" not in cell:
                continue
            if self.one_column_of_lines and not _BLANK_LINE.search(cell):
                return cell.split("\n")[1]
            for line in cell.split("\n"):
                if self._is_row(line):
                    return line
        return None

    def _is_row(self, line: str) -> bool:
        fields = line.split(self.delimiter)
        if len(fields) != len(self.forms) or self.all_prose:
            return False
        return all(form in (_PROSE, _form([field])) for form, field in zip(self.forms, fields, strict=True))


def row_pattern(rows: Sequence[Sequence[str]], delimiter: str, one_column: bool) -> RowPattern:
    """The pattern of rows without their header."""
    width = len(rows[0]) if rows else 0
    forms = tuple(_form([row[place] for row in rows if place < len(row)]) for place in range(width))
    return RowPattern(delimiter, forms, one_column and not any("\n" in cell for row in rows for cell in row))


def _form(cells: Iterable[str]) -> str:
    cells = [cell for cell in cells if cell]
    if cells and all(_NUMBER.fullmatch(cell) for cell in cells):
        return _NUMBERS
    return _WORDS if cells and all(len(cell) <= 40 and not re.search(r"\s", cell) for cell in cells) else _PROSE


def one_column_is_doubtful(sample: Sequence[str], cut: bool) -> bool:
    """Whether lines of a table of one column may be texts of their own, though quotes hold several of them together.

    They are not where quoting shows elsewhere: quotes in it are doubled, a text has a blank line, every text is quoted,
    or several are and just those that have to be.
    """
    quoted: list[str] = []
    bare: list[str] = []
    for row in _raw_rows(sample, cut):
        (quoted if row.startswith('"') else bare).append(row)
    if not any("\n" in row for row in quoted) or not bare[1:]:
        return False
    if any('""' in row[1:-1] or _BLANK_LINE.search(row) for row in quoted):
        return False
    needed = all(re.search(r"[,;\t\n]", row) for row in quoted) and not any(re.search(r"[,;\t]", row) for row in bare)
    return not (needed and len(quoted) > 1)


def _raw_rows(sample: Sequence[str], cut: bool) -> Iterator[str]:
    """The rows with the quotes around them, without the line end."""
    reader, start = csv.reader(sample, delimiter="\x1f", strict=True, skipinitialspace=True), 0
    try:
        for _ in reader:
            raw = "".join(sample[start : reader.line_num]).strip()
            start = reader.line_num
            if raw:
                yield raw
    except csv.Error:
        if not cut:
            raise


def cuts_sentences(sample: Sequence[str], delimiter: str) -> bool:
    """Whether a space follows a delimiter outside of quotes, as after a comma in a sentence."""
    try:
        rows = list(csv.reader(sample, delimiter=delimiter))
    except csv.Error:
        return False
    return any(cell.startswith(" ") and cell.strip()[:1] not in ("", '"') for row in rows for cell in row[1:])
