"""The forms in which people keep lists of words, each understood, or refused with the number of the line.

Nothing is taken literally that no text can hold ("1. chair", "chair: a seat"): such a word never matches, and its loss
would not be seen. What stands in double quotes is taken as it is.
"""

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from unlearning_core.concepts.word_entries import BULLET, NUMBER, Cell, entries, word
from unlearning_core.concepts.word_json import HEADERS, json_entries
from unlearning_core.errors import InputError

# Where a comment begins, not with the space before it: a long run of spaces would be tried from each of them.
_COMMENT = re.compile(r"(?<=\s)(?:#(?=\s|$)|//)|(?:(?<=\s\s)|(?<=\t))#")
_OTHER_COMMENT = re.compile(r"\s*(?:(?:;|--|%|!|REM|rem)\s|/\*)")
_NUMBERED = re.compile(
    r"^(?:\(?(?P<number>\d{1,5})(?:[.)\]:]\s+|[.)](?=[^\W\d])|[．。、）：](?=\D)\s*)|[①-⑳]\s*"
    r"|[一二三四五六七八九十]{1,3}[、．](?![一二三四五六七八九十]+(?:[、．]|$))\s*)(?=\S)"
)
_LETTERED = re.compile(r"^\(?(?:[a-zA-Z]|[ivx]{1,6}|[IVX]{1,6})[.)]\s+(?=\S)")
_COUNTED = re.compile(r"^(?P<word>.*[^\s:=])\s*(?:[:=]\s*\d+|\(\d+\))$")
_COUNT = r"(?:[+-]?\d+(?:[.,]\d+)*[x×%]?|[x×]\d+)"
_COUNTS = (re.compile(rf"{_COUNT} +[^\W\d].*"), re.compile(rf".*[^\W\d] +{_COUNT}"))
_RULE = re.compile(r"[-=*_~.#+\s]+")
_SURE_HEADERS = ("word", "words", "word list", "wordlist", "target_word", "target_words")


@dataclass
class WordList:
    """What a list was understood as.

    Attributes:
        words: as they stand in it, repeats too.
        form: how the list is written.
        notes: what was passed over.
    """

    form: str
    words: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def parse_list(text: str, name: str, *, column: str | None = None, table: bool = False) -> WordList:
    """The words of a list.

    Args:
        text: JSON, JSON lines, or lines: a word or several with commas, semicolons or pipes between them, bulleted,
            numbered, counted, commented.
        name: how a sentence calls the list.
        column: of a table, where its header does not tell.
        table: whether it is a table, such as the content of a CSV file.

    Raises:
        InputError: a line is none of these; names it.
    """
    start = text.lstrip()
    if not table and column is None and start[:1] in ("[", "{") and not re.match(r"\[[ xX]?\]\s", start):
        return _json(text, name)
    rows = enumerate(text.splitlines(), start=1)
    lines = [(f"{name}, line {number}", line) for number, line in rows if line.strip()]
    if table or column is not None:
        return _table([line for line in lines if not _is_comment(line[1])], column, name)
    return _lines(lines)


def _json(text: str, name: str) -> WordList:
    form, found, notes = json_entries(text, name)
    lines = [(place, line) for place, entry in found for line in entry.splitlines() if line.strip()]
    try:
        listed = _lines(lines, header=False)
    except InputError as error:
        raise InputError(
            f'{error} Double quotes within a text of JSON are written \\", as in "\\"chair 12\\"".'
        ) from None
    how = [] if listed.form == "one a line" else [listed.form]
    return WordList("; ".join([form, *how]), listed.words, [*notes, *listed.notes])


def _table(lines: Sequence[tuple[str, str]], column: str | None, name: str) -> WordList:
    first = lines[0][1] if lines else ""
    delimiter = next((sign for sign in "\t;," if sign in first), ",")
    reader = csv.reader([line for _, line in lines], delimiter=delimiter, skipinitialspace=True, strict=True)
    try:
        rows = [(lines[reader.line_num - 1][0], row) for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as error:
        where = lines[min(reader.line_num, len(lines)) - 1][0]
        raise InputError(f"{where}: not a row of a table: {error}. Correct its quotes.") from None
    if not rows:
        return WordList("table")
    header = [cell.strip() for cell in rows[0][1]]
    if column is None and len(rows) == 1:
        return WordList("one row of a table", [_of_table(cell, rows[0][0]) for cell in header])
    index, rows = _column(header, rows, column, name)
    form = "table" if len(header) == 1 else f"table, column {header[index]!r}"
    for where, row in rows:
        if index >= len(row) or (len(header) == 1 and any(cell.strip() for cell in row[1:])):
            raise InputError(
                f"{where}: {len(row)} fields, but the first row has {len(header)}. Put words that hold "
                "the delimiter in double quotes."
            )
    return WordList(form, [_of_table(row[index], where) for where, row in rows])


def _of_table(text: str, where: str) -> str:
    bare = text.strip()
    quoted = len(bare) > 2 and bare[0] == bare[-1] == '"'
    return word(Cell(bare.strip('"') if quoted else bare, quoted), where)


def _column(
    header: list[str], rows: list[tuple[str, list[str]]], column: str | None, name: str
) -> tuple[int, list[tuple[str, list[str]]]]:
    """The place of the column of words, and the rows without the header, where there is one."""
    known = [cell.casefold() for cell in header]
    wanted = column if column is not None else next((cell for cell in HEADERS if cell in known), None)
    if wanted is not None and wanted in (header if column is not None else known):
        return (header if column is not None else known).index(wanted), rows[1:]
    if column is None:
        wordy = [
            place for place in range(len(header))
            if not all(NUMBER.fullmatch(row[place].strip()) for _, row in rows if place < len(row))
        ]  # fmt: skip
        if len(wordy) == 1:
            return wordy[0], rows
    asked = f"has no column {column!r}" if column else "does not say which column holds the words"
    raise InputError(f"{name} {asked}; its columns are {', '.join(header)}. Name one of these as the column.")


def _is_comment(line: str) -> bool:
    """Whether a whole line is a comment; "#chair" and "#chair #sofa" are hashtags."""
    bare = line.strip()
    if bare.startswith("//"):
        return True
    hashtags = all(re.match(r"#\w", part) for part in re.split(r"[\s,;]+", bare) if part)
    return bare.startswith("#") and not hashtags


def _before_comment(line: str) -> str:
    found = _COMMENT.search(line)
    return line[: found.start()].rstrip() if found else line


def _lines(lines: Sequence[tuple[str, str]], *, header: bool = True) -> WordList:
    """The words of (place, line) pairs; `header`: whether the first may name what follows."""
    kept, comments = [], 0
    for where, line in lines:
        if _OTHER_COMMENT.match(line):
            raise InputError(
                f"{where}: {line.strip()[:80]!r} may be a comment or a word. Begin comments with #, and write words "
                "without a sign before them."
            )
        bare = line if _is_comment(line) or line.lstrip().startswith("#") else _before_comment(line)
        comments += bare != line or _is_comment(line)
        if not _is_comment(line) and not _RULE.fullmatch(bare):
            kept.append((where, bare))
    if header and kept and (delimiter := _header_delimiter(kept[0][1])):
        return _table([(where, line.replace("|", delimiter).strip("|")) for where, line in kept], None, "The list")
    notes = [f"{comments} comments passed over"] if comments else []
    headings = _headings(kept)
    kept = [row for row in kept if row[0] not in headings]
    if headings:
        notes.append(f"{len(headings)} headings passed over")
    if header and len(kept) > 1 and (first := kept[0][1].strip()).casefold() in (*HEADERS, *_SURE_HEADERS):
        if first.casefold() not in _SURE_HEADERS:
            raise InputError(
                f"{kept[0][0]}: {first!r} may be the name of the column or a word. Take it out, or put it in double "
                "quotes if it is a word."
            )
        notes.append(f"the first line, {first!r}, read as a header")
        del kept[0]
    form, kept = _unnumbered(kept)
    found = WordList(form, notes=notes)
    rows = [(where, entries(line, where)) for where, line in kept]
    for (where, line), (_, cells) in zip(kept, rows, strict=True):
        if "\t" in line and len(rows) > 1 and sum(not cell.number for cell in cells) > 1:
            raise InputError(
                f"{where}: {len(cells)} columns ({line.strip()[:60]!r}), and which holds the words cannot be told. "
                "Keep one word a line, or give a .csv file with a header that calls the column word."
            )
    for where, cells in _without_counts(rows, found):
        found.words += [word(cell, where) for cell in cells]
    return found


def _headings(lines: Sequence[tuple[str, str]]) -> set[str]:
    """The places of lines that end with a colon, over a bulleted or numbered line, or of several words over all.

    Raises:
        InputError: a line ends with a colon, others do not, and it may be a word as well as a heading.
    """
    ends = [line.rstrip()[-1:] in (":", "：") for _, line in lines]
    found: set[str] = set()
    if all(ends):
        return found
    for place, ((where, line), (_, after)) in enumerate(pairwise(lines)):
        listed = BULLET.sub("", after) != after.lstrip() or _NUMBERED.match(after.lstrip())
        if ends[place] and (listed or (place == 0 and len(line.split()) > 1)):
            found.add(where)
    for end, (where, line) in zip(ends, lines, strict=True):
        if end and where not in found:
            raise InputError(
                f"{where}: {line.strip()[:80]!r} ends with a colon, and may be a heading or a word. Take the line out "
                "if it is a heading, or the colon if it is a word."
            )
    return found


def _header_delimiter(line: str) -> str | None:
    for sign in "\t;,":
        cells = [cell.strip().casefold() for cell in line.split(sign)]
        if len(cells) > 1 and sum(cell in HEADERS for cell in cells) == 1 and _looks_like_header(cells):
            return sign
    return None


def _looks_like_header(cells: Sequence[str]) -> bool:
    return all(cell in (*HEADERS, "count", "counts", "frequency", "freq", "id", "n", "rank", "pos") for cell in cells)


def _unnumbered(lines: list[tuple[str, str]]) -> tuple[str, list[tuple[str, str]]]:
    """How the lines are written, and the lines without bullets, numbers and counts that all of them have."""
    padded = any(line[:1] == " " for _, line in lines)
    bare = [(where, BULLET.sub("", line).strip()) for where, line in lines]
    if _is_numbered(bare):
        return "numbered, one a line", [(where, _NUMBERED.sub("", line)) for where, line in bare]
    several = len(bare) > 1
    if several and all(_LETTERED.match(line) for _, line in bare):
        return "lettered, one a line", [(where, _LETTERED.sub("", line)) for where, line in bare]
    if several and all(_COUNTED.match(line) for _, line in bare):
        return "one a line with its count", [(where, _COUNTED.sub(r"\g<word>", line)) for where, line in bare]
    if several and padded and all(re.match(r"\d+ \D", line) for _, line in bare):
        return "one a line with its count", [(where, line.partition(" ")[2]) for where, line in bare]
    for pattern in _COUNTS:
        if several and all(pattern.fullmatch(line) for _, line in bare):
            raise InputError(
                f"{bare[0][0]}: {bare[0][1]!r} holds a number as all lines do, which may be a count or "
                "belong to the word. Put a tab between word and count, or the words in double quotes."
            )
    return "one a line", bare


def _is_numbered(lines: Sequence[tuple[str, str]]) -> bool:
    """Whether all lines begin with the numbers of a list: from 0 or 1 upwards, or 1 again; "3. Reich" alone does not.

    Raises:
        InputError: some lines begin with a number and it may be a part of the words.
    """
    starts = [(where, line, match) for where, line in lines if (match := _NUMBERED.match(line))]
    if len(lines) == 1 and starts and starts[0][2]["number"] not in (None, "1") and "." in starts[0][2][0]:
        return False
    why = ""
    if starts and len(starts) < len(lines):
        why = "not all lines do"
    elif len(lines) == 1 and starts and re.match(r"1\.", starts[0][1]):
        why = "it is the only line"
    before = 0
    for where, line, match in starts:
        number = int(match["number"] or before + 1)
        if not why and number > 1 and not 0 < before < number:
            why, starts = "the numbers do not count from 1 upwards", [(where, line, match)]
        before = number
    if why:
        where, line, _ = starts[0]
        raise InputError(
            f"{where}: {line[:80]!r} begins with a number, and {why}. Number all of the words from 1 or none, or put "
            "the words in double quotes if the numbers belong to them."
        )
    return bool(starts)


def _without_counts(rows: list[tuple[str, list[Cell]]], found: WordList) -> Iterator[tuple[str, list[Cell]]]:
    """The rows without the numbers that stand beside each word; more than one row must have them, and all alike."""
    wide = [(where, cells) for where, cells in rows if len(cells) > 1]
    mixed = [(where, cells) for where, cells in wide if 0 < sum(cell.number for cell in cells) < len(cells)]
    counted = len(rows) > 1 and bool(mixed) and all(sum(not cell.number for cell in row[1]) == 1 for row in wide)
    if counted and len(wide) == len(rows):
        found.form = "one a line with numbers beside it"
        yield from ((where, [cell for cell in cells if not cell.number]) for where, cells in rows)
        return
    if mixed and len(rows) > 1:
        where, cells = mixed[0]
        shown = next(cell.text for cell in cells if cell.number)
        raise InputError(
            f"{where}: {shown} may be a count or a word, for not all lines have one number. Give every "
            "word its count or none, or put the number in double quotes if it is a word."
        )
    if wide:
        found.form = "several a line" if len(rows) > 1 else "in one line"
    yield from rows
