"""Tables as text: CSV and its kin, whose delimiter, quoting and header the file does not say.

Every delimiter is tried on the beginning of the file, and one is believed where all rows then have the same number of
fields; the rest of the file is held to that number while it is read. Where more than one reading fits, or none, the
person is asked. (The standard library's Sniffer and CleverCSV always answer, and prose with commas they take for a
table.)
"""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Any

from unlearning_core.concepts.comment_lines import without_comments
from unlearning_core.concepts.dialects import NAMES, ONE_COLUMN, Dialect, delimiter_name, delimiter_sign
from unlearning_core.concepts.file_content import LONGEST_LINE
from unlearning_core.concepts.quotes import RowPattern, cuts_sentences, one_column_is_doubtful, row_pattern
from unlearning_core.concepts.rows import TEXT_COLUMNS, choose_column, is_known_name
from unlearning_core.errors import InputError

_SAMPLE_LINES, _SAMPLE_SIZE = 2000, 1_000_000
_DOUBLED, _BACKSLASHED, _PLAIN = "doubled", "backslashed", "plain"
_BACKSLASHED_QUOTE = re.compile(r'(?<!\\)((?:\\\\)*)\\"')
_NUMBER = re.compile(r"[+-]?\d[\d.,:/ -]*%?")
_SENTENCE_END = re.compile(r"""[.!?…。！？]["'”’»)]*$""")


def table_rows(
    lines: Iterator[str], name: str, column: str | None, delimiter: str | None, header: bool | None
) -> tuple[Dialect, Iterator[tuple[int, list[str]]]]:
    """The dialect of a table, and its rows (number of the line on which each ends, fields), without the header.

    Args:
        lines: with their line feeds.
        name: of the file, for sentences.
        column: the text column, where the person names one.
        delimiter: the sign between the fields, where the person says; else it is found.
        header: whether the first row names the columns, where the person says; else it is found.

    Raises:
        InputError: no reading fits, or several do; while rows are read: one has too many or too few fields.
    """
    delimiter = delimiter and delimiter_sign(delimiter)
    first, skipped, lines = without_comments(lines, name, column, delimiter)
    if first is not None and (said := re.fullmatch(r'"?sep=(.)"?', first.strip("\n"))):
        # Excel's own way to name the delimiter.
        delimiter, first, skipped = delimiter or said[1], None, skipped + 1
    elif first is not None and first.strip("\n").lower() == "sep=\t":
        delimiter, first, skipped = delimiter or "\t", None, skipped + 1
    sample = [first] if first is not None else []
    size = 0
    for line in islice(lines, _SAMPLE_LINES):
        sample.append(line)
        size += len(line)
        if size > _SAMPLE_SIZE:
            break
    rest = next(lines, None)
    cut = rest is not None
    dialect = _dialect(sample, cut, name, column, delimiter, header)
    whole = chain(sample, [rest] if rest is not None else [], lines)
    return dialect, _rows(whole, dialect, name, skipped, None if delimiter else _pattern(sample, cut, dialect))


def headers_of(rows: Sequence[Sequence[str]], column: str | None, header: bool | None) -> tuple[tuple[str, ...], bool]:
    """Names of the columns and whether the first row gives them; without a header they are numbered from 1."""
    first = [cell.strip() for cell in rows[0]]
    has = _is_header(first, rows[1:], column) if header is None else header
    if has:
        return tuple(cell or f"column {number}" for number, cell in enumerate(first, start=1)), True
    return tuple(str(number) for number in range(1, len(first) + 1)), False


def column_of_prose(rows: Sequence[Sequence[str]], width: int) -> int | None:
    """The one column that holds prose where all others hold none; None where that cannot be told."""
    shares = []
    for place in range(width):
        cells = [row[place] for row in rows if place < len(row) and row[place].strip()]
        shares.append(sum(len(cell.split()) >= 3 for cell in cells) / max(len(cells), 1))
    prose = [place for place, share in enumerate(shares) if share > 0.5]
    others = [share for place, share in enumerate(shares) if place not in prose]
    return prose[0] if len(prose) == 1 and all(share < 0.1 for share in others) else None


def text_column(dialect: Dialect, column: str | None, rows: Sequence[Sequence[str]], name: str) -> int:
    """The place of the column that holds the text.

    Raises:
        InputError: there is no such column, or none can be told.
    """
    if column is None and not dialect.has_header and dialect.width > 1:
        place = column_of_prose(rows, dialect.width)
        if place is not None:
            return place
        shown = "; ".join(f"{n}: {cell[:40]!r}" for n, cell in enumerate(rows[0] if rows else (), start=1))
        raise InputError(
            f"{name} has no header, and which of its {dialect.width} columns holds the text cannot be told ({shown}). "
            "Name the column by its number."
        )
    return dialect.header.index(choose_column(list(dialect.header), column, name))


def looks_like_table(sample: Sequence[str]) -> str | None:
    """What tells that lines are a table: tabs of the same number in each, or a header that names a column of text."""
    lines = [line for line in sample if line.strip()]
    if len(lines) < 2:
        return None
    for sign in NAMES:
        rows = _parsed(lines, sign, _DOUBLED, cut=True) or _parsed(lines, sign, _PLAIN, cut=True)
        if not rows or not (width := _width(rows)) or width < 2:
            continue
        named = any(cell.strip().casefold() in TEXT_COLUMNS for cell in rows[0])
        if named or (sign == "\t" and len(lines) > 2):
            return f"a table with the delimiter {delimiter_name(sign)}"
    return None


def _dialect(
    sample: list[str], cut: bool, name: str, column: str | None, delimiter: str | None, header: bool | None
) -> Dialect:
    if not any(line.strip() for line in sample):
        return Dialect(ONE_COLUMN, _DOUBLED, 1, ("1",), False)
    if delimiter is not None:
        return _given(sample, cut, name, column, delimiter, header)
    found = [reading for sign in NAMES if (reading := _reading(sample, cut, sign, column, header)) is not None]
    if len(found) > 1:
        named = [one for one in found if one.has_header and _names_text(one.header, column)]
        found = named or found
    first = next(line for line in sample if line.strip()).strip("\n")
    if len(found) == 1 and not _is_prose(found[0], sample):
        if _quotes_in_doubt(sample, cut, found[0]):
            raise _doubtful_quotes(name, found[0])
        return found[0]
    if not found and all(_all_of_one_field(sample, cut, sign) for sign in NAMES if sign in first):
        if sign := _other_delimiter(first):
            raise InputError(
                f"{name} begins with {first[:80]!r}, which may be the header of a table with the delimiter {sign}. Say "
                f"so with the delimiter {sign}, or say none where each line is one text."
            )
        one = _reading(sample, cut, ONE_COLUMN, column, header)
        if one is not None:
            if one.quoting == _DOUBLED and one_column_is_doubtful(sample, cut):
                raise _doubtful_quotes(name, one)
            return one
    raise _doubtful(sample, first, found, name)


def _reading(
    sample: list[str], cut: bool, sign: str, column: str | None, header: bool | None, given: bool = False
) -> Dialect | None:
    """The reading with this delimiter, where every row of the sample has the same number of fields."""
    for quoting in (_DOUBLED, _BACKSLASHED, _PLAIN):
        if quoting == _BACKSLASHED and not any('\\"' in line for line in sample):
            continue
        rows = _parsed(sample, sign, quoting, cut)
        if quoting == _PLAIN and sign not in ("\t", ONE_COLUMN) and rows and _any_quoted(rows):
            continue  # quotes are meant, and one of them does not fit
        if rows and (width := _width(rows)) and (width > 1 or sign == ONE_COLUMN):
            names, has = headers_of([row[:width] for row in rows], column, header)
            dialect = Dialect(sign, quoting, width, names, has)
            # Quotes in a file of tabs often mean nothing; a person who says none says that each line is a text.
            lines = sign == "\t" or (sign == ONE_COLUMN and given)
            if (
                quoting == _DOUBLED
                and lines
                and _quotes_in_doubt(sample, cut, dialect)
                and _fits_plain(sample, dialect)
            ):
                continue
            return dialect
    return None


def _quotes_in_doubt(sample: list[str], cut: bool, dialect: Dialect) -> bool:
    """Whether a quoted field may hold rows: a line in it is like the rows, or all lines are, and are of prose alone."""
    rows = (_parsed(sample, dialect.delimiter, _DOUBLED, cut) or []) if dialect.quoting == _DOUBLED else []
    if not any("\n" in cell for row in rows for cell in row):
        return False
    pattern = row_pattern(rows[dialect.has_header :], dialect.delimiter, False)
    return any(map(pattern.swallowed, rows)) or (pattern.all_prose and _fits_plain(sample, dialect))


def _fits_plain(sample: list[str], dialect: Dialect) -> bool:
    rows = _parsed(sample, dialect.delimiter, _PLAIN, False)
    return bool(rows) and _width(rows or []) == dialect.width


def _pattern(sample: list[str], cut: bool, dialect: Dialect) -> RowPattern | None:
    """What the rows of the sample are like, to which the rest is compared where quotes hold its fields."""
    if dialect.quoting == _PLAIN or not (rows := _parsed(sample, dialect.delimiter, dialect.quoting, cut)):
        return None
    return row_pattern(rows[dialect.has_header :], dialect.delimiter, cut and dialect.width == 1)


def _any_quoted(rows: list[list[str]]) -> bool:
    return any(len(cell) > 1 and cell[0] == cell[-1] == '"' for row in rows for cell in row)


def _all_of_one_field(sample: list[str], cut: bool, sign: str) -> bool:
    """Whether each row is one field, because this sign stands in quotes wherever it stands."""
    rows = _parsed(sample, sign, _DOUBLED, cut)
    return bool(rows) and all(len(row) == 1 for row in rows or ())


def _other_delimiter(first: str) -> str | None:
    """A sign that parts a first line without spaces into names, one of them that of a column of text."""
    signs = sorted({sign for sign in first.strip() if not sign.isalnum() and sign not in " _-\"'."})
    return next((sign for sign in signs if {cell.casefold() for cell in first.split(sign)} & set(TEXT_COLUMNS)), None)


def _given(sample: list[str], cut: bool, name: str, column: str | None, sign: str, header: bool | None) -> Dialect:
    """The reading with the delimiter that the person names: as wide as its first row, which the rest is held to."""
    reading = _reading(sample, cut, sign, column, header, given=True)
    if reading is not None:
        return reading
    rows = _parsed(sample, sign, _DOUBLED, cut)
    quoting = _DOUBLED if rows else _PLAIN
    rows = rows or _parsed(sample, sign, _PLAIN, cut)
    if not rows:
        raise InputError(f"{name} is no table with the delimiter {delimiter_name(sign)}. Name another one.")
    names, has = headers_of(rows, column, header)
    return Dialect(sign, quoting, len(rows[0]), names, has)


def _parsed(sample: Iterable[str], sign: str, quoting: str, cut: bool) -> list[list[str]] | None:
    """The rows that are not empty; None where the quotes do not fit. The last row of a `cut` sample may be open."""
    rows: list[list[str]] = []
    try:
        for row in _reader(sample, sign, quoting):
            if any(cell.strip() for cell in row):
                rows.append(row)
    except csv.Error as error:
        if not (cut and "unexpected end" in str(error) and len(rows) > 1):
            return None
    return rows


def _reader(lines: Iterable[str], sign: str, quoting: str) -> Any:
    csv.field_size_limit(LONGEST_LINE)
    if quoting == _BACKSLASHED:
        lines = (_BACKSLASHED_QUOTE.sub(r'\1""', line) for line in lines)
    if quoting == _PLAIN:
        return csv.reader(lines, delimiter=sign, quoting=csv.QUOTE_NONE, quotechar=None)
    return csv.reader(lines, delimiter=sign, strict=True, skipinitialspace=True)


def _width(rows: list[list[str]]) -> int | None:
    """Fields of every row, an empty one after a delimiter at the end not counted; None where they differ."""
    width = len(rows[0])
    if width > 1 and all(len(row) == width and not row[-1].strip() for row in rows):
        width -= 1
    fits = all(len(row) == width or (len(row) == width + 1 and not row[-1].strip()) for row in rows)
    return width if fits else None


def _rows(
    lines: Iterator[str], dialect: Dialect, name: str, skipped: int, pattern: RowPattern | None
) -> Iterator[tuple[int, list[str]]]:
    rows = _reader(lines, dialect.delimiter, dialect.quoting)
    started, waiting = 1, dialect.has_header
    try:
        for row in rows:
            number = rows.line_num + skipped
            if not any(cell.strip() for cell in row):
                continue
            if waiting:
                waiting = False
                continue
            if len(row) == dialect.width + 1 and not row[-1].strip():
                row = row[:-1]
            if len(row) != dialect.width:
                raise _wrong_width(name, number, len(row), dialect)
            if pattern is not None and number > started and (line := pattern.swallowed(row)) is not None:
                raise _doubtful_quotes(f"{name}, lines {started} to {number}", dialect, line)
            started = number + 1
            yield number, row
    except csv.Error as error:
        end = rows.line_num + skipped
        place = f"line {end}" if end <= started else f"lines {started} to {end}"
        raise InputError(
            f"{name}, {place}: a quote is not closed or stands inside a field ({error}). Double the quotes inside of "
            "quoted texts, or give the file as JSON lines."
        ) from None


def _wrong_width(name: str, number: int, fields: int, dialect: Dialect) -> InputError:
    sign = delimiter_name(dialect.delimiter)
    whose = "the header has" if dialect.has_header else "the rows before have"
    return InputError(
        f"{name}, line {number}: {fields} fields, but {whose} {dialect.width} (delimiter {sign}). Put texts that hold "
        f"a {sign} in double quotes, or name another delimiter; none, where each line is one text."
    )


def _is_header(first: list[str], others: Sequence[Sequence[str]], column: str | None) -> bool:
    if column is not None and column in first:
        return True
    if any(map(is_known_name, first)):
        return True
    if not others or len(set(first)) < len(first):
        return False
    if len(first) == 1:
        # One word, over rows of several: a name. Else it is as likely a text.
        return bool(re.fullmatch(r"[\w-]{1,40}", first[0])) and all(" " in row[0].strip() for row in others if row)
    return not any(
        _NUMBER.fullmatch(cell) or _SENTENCE_END.search(cell) or len(cell) > 60 or len(cell.split()) > 5
        for cell in first
    )


def _names_text(header: Sequence[str], column: str | None) -> bool:
    names = {name.strip().casefold() for name in header}
    return column in header or any(map(is_known_name, names))


def _is_prose(dialect: Dialect, sample: list[str]) -> bool:
    """Whether the delimiter is more likely punctuation: no header names a text, and a space follows it everywhere."""
    sign = dialect.delimiter
    if (dialect.has_header and _names_text(dialect.header, None)) or sign not in ",;":
        return False
    if not dialect.has_header and cuts_sentences(sample, sign):
        return True
    text = "".join(sample)
    return text.count(f"{sign} ") == text.count(sign)


def _first_misfit(sample: list[str], sign: str) -> tuple[int, int, int] | None:
    """(line, its fields, fields of the first row) of the first row that has another number of fields."""
    for quoting in (_DOUBLED, _PLAIN):
        rows, width = _reader(sample, sign, quoting), 0
        try:
            for row in rows:
                width = width or len(row)
                if any(cell.strip() for cell in row) and len(row) != width:
                    return rows.line_num, len(row), width
        except csv.Error:
            continue
    return None


def _doubtful(sample: list[str], first: str, found: list[Dialect], name: str) -> InputError:
    if found:
        readings = " or ".join(f"a table with the delimiter {delimiter_name(one.delimiter)}" for one in found)
        return InputError(
            f"{name} can be read in more than one way: as {readings}, or with one text a line. Say which by the "
            f"delimiter: {', '.join(delimiter_name(one.delimiter) for one in found)} or none."
        )
    sign = max(NAMES, key=first.count)
    misfit = _first_misfit(sample, sign)
    if misfit is None:
        return InputError(
            f"{name} is a table whose quotes do not fit: one is not closed, or stands inside a field. Double the "
            "quotes inside of quoted texts, or say with the delimiter none that each line is one text."
        )
    line, fields, width = misfit
    called = delimiter_name(sign)
    return InputError(
        f"{name}, line {line}: {fields} fields, but the header has {width} (delimiter {called}). Put texts that hold a "
        f"{called} in double quotes, name another delimiter, or say with the delimiter none that each line is one text."
    )


def _doubtful_quotes(where: str, dialect: Dialect, line: str = "") -> InputError:
    sign = "comma" if dialect.delimiter == ONE_COLUMN else delimiter_name(dialect.delimiter)
    rows = f"rows such as {line[:60]!r}" if line else "rows of their own"
    lines = "say none where each line is one text" if dialect.width == 1 else "give the rows as JSON lines"
    return InputError(
        f"{where} can be read in more than one way: the quotes may hold one text of several lines, or belong to the "
        f"texts of {rows}. Name the delimiter {sign} where the quotes hold the texts; else {lines}."
    )
