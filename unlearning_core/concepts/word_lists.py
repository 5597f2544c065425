"""The forms in which people keep lists of words, each understood, or refused with the number of the line.

Nothing is taken literally that no text can hold ("1. chair", "chair: a seat"): such a word never matches, and its loss
would not be seen. What stands in double quotes is taken as it is.
"""

import csv
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from unlearning_core.concepts.json_texts import parse_json
from unlearning_core.errors import InputError

HEADERS = ("word", "words", "concept", "concepts", "target", "term", "terms", "phrase", "target_word", "target_words")
"""Names of columns and fields that hold words."""

_MOST_WORDS, _MOST_CHARACTERS = 8, 100
_NUMBER = re.compile(r"[+-]?\d+(?:[.,]\d+)*%?")
# Where a comment begins, not with the space before it: a long run of spaces would be tried from each of them.
_COMMENT = re.compile(r"(?<=\s)(?:#(?=\s|$)|//)|(?:(?<=\s\s)|(?<=\t))#")
_BULLET = re.compile(r"^\s*(?:[-–—*•·‣+>]\s+)?(?:\[[ xX]?\]\s+)?")
_NUMBERED = re.compile(r"^(?:\(?\d{1,5}[.)\]:]\s+|[①-⑳]\s*)(?=\S)")
_LETTERED = re.compile(r"^\(?(?:[a-zA-Z]|[ivx]{1,6}|[IVX]{1,6})[.)]\s+(?=\S)")
_COUNTED = re.compile(r"^(?P<word>.*[^\s:=])\s*(?:[:=]\s*\d+|\(\d+\))$")
_SIGNS = r",;|\t、，；"
_CELL = re.compile(
    rf"""\s*(?:"(?P<quoted>(?:[^"]|"")*)"\s*(?=[{_SIGNS}]|$)|(?P<plain>[^{_SIGNS}]*))(?P<end>[{_SIGNS}]|$)"""
)
_RULE = re.compile(r"[-=*_~.#\s]+")
_EXPLAINED = re.compile(r"\s[-–—=]\s|:\s|->|=>|→")
_ADVICE = "Write only the word there, or put it in double quotes if it is meant as it stands."


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


@dataclass(frozen=True)
class _Cell:
    text: str
    quoted: bool


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
    lines = [(number, line) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]
    if table or column is not None:
        return _table([line for line in lines if not _is_comment(line[1])], column, name)
    return _lines(lines, name)


def _json(text: str, name: str) -> WordList:
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        if error.msg == "Extra data" and error.lineno > 1:
            rows = [(number, line) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]
            found = WordList("JSON lines")
            for number, line in rows:
                where = f"{name}, line {number}"
                found.words.append(_of_item(parse_json(line, name, 'Expected {"word": "chair"}.', number), where))
            return found
    except (ValueError, RecursionError):
        pass  # said below, with its place
    value = parse_json(text, name, 'Expected a list of words, such as ["chair", "sofa"], or one word a line.')
    if isinstance(value, dict):
        return _of_object(value, name)
    return WordList("JSON list", [_of_item(item, f"{name}, item {n}") for n, item in enumerate(value, start=1)])


def _of_object(value: dict[str, Any], name: str) -> WordList:
    named = [key for key, inner in value.items() if key.casefold() in HEADERS or len(value) == 1]
    for key in named:
        if isinstance(value[key], list):
            words = [_of_item(item, f"{name}, item {n} of {key}") for n, item in enumerate(value[key], start=1)]
            return WordList(f"JSON, the list {key!r}", words)
        if isinstance(value[key], str) and key.casefold() in HEADERS:
            return WordList(f"JSON, the field {key!r}", [value[key]])
    if value and all(inner is None or isinstance(inner, (int, float)) for inner in value.values()):
        return WordList("JSON, words with a number each", list(value))
    raise InputError(
        f"{name} holds a JSON object with the fields {', '.join(value)[:200] or 'none'}; expected a list of words, or "
        'words with a count each, such as {"chair": 12}. Put the words in a list.'
    )


def _of_item(item: Any, where: str) -> str:
    if isinstance(item, str):
        return item
    if isinstance(item, list) and item and isinstance(item[0], str) and not any(isinstance(x, str) for x in item[1:]):
        return item[0]
    if isinstance(item, dict):
        texts = {key: value for key, value in item.items() if isinstance(value, str)}
        named = [key for key in texts if key.casefold() in HEADERS]
        if key := next(iter(named or (texts if len(texts) == 1 else ())), None):
            return texts[key]
    raise InputError(f'{where} is {item!r:.80}; expected a word, or an object such as {{"word": "chair"}}.')


def _table(lines: Sequence[tuple[int, str]], column: str | None, name: str) -> WordList:
    first = lines[0][1] if lines else ""
    delimiter = next((sign for sign in "\t;," if sign in first), ",")
    reader = csv.reader([line for _, line in lines], delimiter=delimiter, skipinitialspace=True, strict=True)
    try:
        rows = [(lines[reader.line_num - 1][0], row) for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as error:
        number = lines[min(reader.line_num, len(lines)) - 1][0]
        raise InputError(f"{name}, line {number}: not a row of a table: {error}. Mend its quotes.") from None
    if not rows:
        return WordList("table")
    header = [cell.strip() for cell in rows[0][1]]
    if column is None and len(rows) == 1:
        return WordList("one row of a table", header)
    index, rows = _column(header, rows, column, name)
    form = "table" if len(header) == 1 else f"table, column {header[index]!r}"
    for number, row in rows:
        if index >= len(row) or (len(header) == 1 and any(cell.strip() for cell in row[1:])):
            raise InputError(
                f"{name}, line {number}: {len(row)} fields, but the first row has {len(header)}. Put words that hold "
                "the delimiter in double quotes."
            )
    return WordList(form, [row[index] for _, row in rows])


def _column(
    header: list[str], rows: list[tuple[int, list[str]]], column: str | None, name: str
) -> tuple[int, list[tuple[int, list[str]]]]:
    """The place of the column of words, and the rows without the header, where there is one."""
    known = [cell.casefold() for cell in header]
    wanted = column if column is not None else next((cell for cell in HEADERS if cell in known), None)
    if wanted is not None and wanted in (header if column is not None else known):
        return (header if column is not None else known).index(wanted), rows[1:]
    if column is None:
        wordy = [
            place for place in range(len(header))
            if not all(_NUMBER.fullmatch(row[place].strip()) for _, row in rows if place < len(row))
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
    hashtags = all(re.match(r"#\w", word) for word in re.split(r"[\s,;]+", bare) if word)
    return bare.startswith("#") and not hashtags


def _before_comment(line: str) -> str:
    found = _COMMENT.search(line)
    return line[: found.start()].rstrip() if found else line


def _lines(lines: Sequence[tuple[int, str]], name: str) -> WordList:
    kept, comments = [], 0
    for number, line in lines:
        bare = line if _is_comment(line) or line.lstrip().startswith("#") else _before_comment(line)
        comments += bare != line or _is_comment(line)
        if not _is_comment(line) and not _RULE.fullmatch(bare):
            kept.append((number, bare))
    headings = _headings(kept)
    kept = [row for row in kept if row[0] not in headings]
    if kept and (delimiter := _header_delimiter(kept[0][1])):
        return _table([(n, line.replace("|", delimiter).strip("|")) for n, line in kept], None, name)
    form, kept = _unnumbered(kept, name)
    found = WordList(form)
    if comments:
        found.notes.append(f"{comments} comments passed over")
    if headings:
        found.notes.append(f"{len(headings)} headings passed over")
    rows = [(number, [cell for cell in _cells(line) if cell.text]) for number, line in kept]
    for (number, line), (_, cells) in zip(kept, rows, strict=True):
        if "\t" in line and len(rows) > 1 and sum(not _is_number(cell) for cell in cells) > 1:
            raise InputError(
                f"{name}, line {number}: {len(cells)} columns ({line.strip()[:60]!r}), and which holds the words "
                "cannot be told. Keep one word a line, or give a .csv file with a header that calls the column word."
            )
    for number, cells in _without_counts(rows, found, name):
        found.words += [_word(cell, f"{name}, line {number}") for cell in cells]
    return found


def _headings(lines: Sequence[tuple[int, str]]) -> set[int]:
    """The numbers of lines that end with a colon, over a bulleted or numbered line."""
    following = pairwise(lines)
    return {
        number for (number, line), (_, after) in following
        if line.rstrip().endswith(":") and (_BULLET.sub("", after) != after.lstrip() or _NUMBERED.match(after.lstrip()))
    }  # fmt: skip


def _header_delimiter(line: str) -> str | None:
    for sign in "\t;,":
        cells = [cell.strip().casefold() for cell in line.split(sign)]
        if len(cells) > 1 and sum(cell in HEADERS for cell in cells) == 1 and _looks_like_header(cells):
            return sign
    return None


def _looks_like_header(cells: Sequence[str]) -> bool:
    return all(cell in (*HEADERS, "count", "counts", "frequency", "freq", "id", "n", "rank", "pos") for cell in cells)


def _unnumbered(lines: list[tuple[int, str]], name: str) -> tuple[str, list[tuple[int, str]]]:
    """How the lines are written, and the lines without bullets, numbers and counts that all of them have."""
    padded = any(line[:1] == " " for _, line in lines)
    bare = [(number, _BULLET.sub("", line).strip()) for number, line in lines]
    numbered = [number for number, line in bare if _NUMBERED.match(line)]
    if numbered and len(numbered) < len(bare):
        raise InputError(
            f"{name}, line {numbered[0]}: begins with a number, and not all lines do. Number all of the words or none, "
            "or put it in double quotes if the number belongs to the word."
        )
    if numbered:
        return "numbered, one a line", [(number, _NUMBERED.sub("", line)) for number, line in bare]
    several = len(bare) > 1
    if several and all(_LETTERED.match(line) for _, line in bare):
        return "lettered, one a line", [(number, _LETTERED.sub("", line)) for number, line in bare]
    if several and all(_COUNTED.match(line) for _, line in bare):
        return "one a line with its count", [(number, _COUNTED.sub(r"\g<word>", line)) for number, line in bare]
    if several and padded and all(re.match(r"\d+ \D", line) for _, line in bare):
        return "one a line with its count", [(number, line.partition(" ")[2]) for number, line in bare]
    for pattern in (r"\d+ +[^\W\d].*", r".*[^\W\d] +\d+"):
        if several and all(re.fullmatch(pattern, line) for _, line in bare):
            raise InputError(
                f"{name}, line {bare[0][0]}: {bare[0][1]!r} holds a number as all lines do, which may be a count or "
                "belong to the word. Put a tab between word and count, or the words in double quotes."
            )
    return "one a line", bare


def _cells(line: str) -> Iterator[_Cell]:
    if line.startswith("#"):  # hashtags
        yield from (_Cell(word, False) for word in re.split(r"[\s,;]+", line))
        return
    place = 0
    while place <= len(line):
        match = _CELL.match(line, place)
        assert match is not None
        quoted = match["quoted"]
        yield _Cell((match["plain"] if quoted is None else quoted.replace('""', '"')).strip(), quoted is not None)
        place = match.end()
        if not match["end"]:
            return


def _without_counts(
    rows: list[tuple[int, list[_Cell]]], found: WordList, name: str
) -> Iterator[tuple[int, list[_Cell]]]:
    """The rows without the numbers that stand beside each word; more than one row must have them, and all alike."""
    wide = [(number, cells) for number, cells in rows if len(cells) > 1]
    mixed = [(number, cells) for number, cells in wide if 0 < sum(map(_is_number, cells)) < len(cells)]
    counted = len(rows) > 1 and bool(mixed) and all(sum(not _is_number(cell) for cell in row[1]) == 1 for row in wide)
    if counted and len(wide) == len(rows):
        found.form = "one a line with numbers beside it"
        yield from ((number, [cell for cell in cells if not _is_number(cell)]) for number, cells in rows)
        return
    if mixed and len(rows) > 1:
        number, cells = mixed[0]
        shown = next(cell.text for cell in cells if _is_number(cell))
        raise InputError(
            f"{name}, line {number}: {shown} may be a count or a word, for not all lines have one number. Give every "
            "word its count or none, or put the number in double quotes if it is a word."
        )
    if wide:
        found.form = "several a line" if len(rows) > 1 else "in one line"
    yield from rows


def _is_number(cell: _Cell) -> bool:
    return not cell.quoted and bool(_NUMBER.fullmatch(cell.text))


def _word(cell: _Cell, where: str) -> str:
    if cell.quoted:
        return f'"{cell.text}"'
    text = _BULLET.sub("", cell.text).strip()
    reasons = (
        (len(text.split()) > _MOST_WORDS or len(text) > _MOST_CHARACTERS, "is longer than a word or phrase"),
        (_EXPLAINED.search(text), "explains a word"),
        (re.search(r"[<>{}()\[\]\\^]", text), "holds brackets or other signs of markup"),
        (re.search(r"\w\*|\*\w", text), "holds a wildcard, and inflected forms are found without one"),
        (re.search(r"\s#\w", text) and not text.startswith("#"), "may be a word with a comment"),
        (re.fullmatch(r"[^\W\d_A-Z]+[/_][A-Z]+", text), "holds the tag of a tagger or a spelling dictionary"),
        ("\ufffd" in text or any(ord(sign) < 32 for sign in text), "holds signs that are no text"),
    )
    for found, reason in reasons:
        if found:
            raise InputError(f"{where}: {text[:80]!r} {reason}. {_ADVICE}")
    if re.fullmatch(r"[^\W_]+(?:_[^\W_]+)+", text):
        return text.replace("_", " ")
    return re.sub(r"(?<=\w)[!?…]+$", "", text)
