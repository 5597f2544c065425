"""A concept in words, and the file a person writes them in."""

import csv
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from unlearning_core.concepts.file_content import read_text
from unlearning_core.errors import InputError


@dataclass(frozen=True)
class Concept:
    """What is to be forgotten.

    Attributes:
        words: words and phrases as the person wrote them, at least one, no two alike but for case.
        inflections: whether "sat" and "sitting" count as "sit".
        language: two-letter code of the language whose inflections are meant.
    """

    words: tuple[str, ...]
    inflections: bool = True
    language: str = "en"

    def __post_init__(self) -> None:
        words = unique_words(self.words)
        if not words:
            raise InputError("The concept has no words. Give at least one word, for example: chair.")
        check_letters(words, "The concept word")
        object.__setattr__(self, "words", words)


def check_letters(words: Iterable[str], what: str) -> None:
    """Raises InputError when a word is only signs; `what` is how the sentence calls it."""
    wordless = next((word for word in words if not any(letter.isalnum() for letter in word)), None)
    if wordless is not None:
        raise InputError(f"{what} {wordless!r} has no letter or digit. Write a word, or remove it.")


def unique_words(words: Iterable[str]) -> tuple[str, ...]:
    """Words in their order without repeats in another case; white space, bullets and quotes around them cleaned off."""
    kept: dict[str, str] = {}
    for word in words:
        clean = _bare(" ".join(unicodedata.normalize("NFC", word).split()))
        if clean:
            kept.setdefault(clean.casefold(), clean)
    return tuple(kept.values())


def _bare(word: str) -> str:
    """A word without list bullets, quotes and the full stop of an enumeration around it."""
    bare = word.lstrip("-*•·‣ ").rstrip(",;: ")
    if bare.endswith(".") and bare.count(".") == 1:
        bare = bare[:-1]
    quoted = len(bare) > 1 and bare[0] in "\"'“”‘’„«" and bare[-1] in "\"'“”‘’»"
    return bare[1:-1].strip() if quoted else bare


def read_words(path: Path | str, column: str | None = None) -> tuple[str, ...]:
    """Concept words from a file: one a line, or comma separated, or a column of a CSV file.

    A line that starts with "#" is a comment. Repeats that differ in case only are dropped, the order stays.

    Args:
        path: UTF-8 file, with or without a byte order mark.
        column: name of the CSV column; needed only when a `.csv` file has several columns under a header.

    Raises:
        InputError: the file is missing, not UTF-8, without words, or has no such column.
    """
    path = Path(path)
    words = parse_words(
        read_text(path, "the word list"), column=column, name=str(path), table=path.suffix.lower() in (".csv", ".tsv")
    )
    if not words:
        raise InputError(f"{path} holds no words. Write the concept's words in it, one a line.")
    return words


def parse_words(
    text: str, *, column: str | None = None, name: str = "the word list", table: bool = False
) -> tuple[str, ...]:
    """Concept words from text as in `read_words`; `table` says that it is a CSV file which may have a header."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if not table and column is None:
        return unique_words(cell for line in lines for cell in line.split(","))
    return unique_words(_table_words(lines, column, name))


def _table_words(lines: list[str], column: str | None, name: str) -> list[str]:
    first = lines[0] if lines else ""
    delimiter = next((sign for sign in "\t;," if sign in first), ",")
    rows = [row for row in csv.reader(lines, delimiter=delimiter, skipinitialspace=True) if row]
    if not rows:
        return []
    header = [cell.strip() for cell in rows[0]]
    if column is None and len(rows) == 1:
        return header
    index = _header_column(header) if column is None else header.index(column) if column in header else None
    if index is not None:
        return [row[index] for row in rows[1:] if index < len(row)]
    if column is None and len(header) == 1:
        return [row[0] for row in rows]
    asked = f"has no column {column!r}" if column else "does not say which column holds the words"
    raise InputError(f"{name} {asked}; its columns are {', '.join(header)}. Name one of these as the column.")


_HEADERS = ("word", "words", "concept", "concepts", "target", "term", "terms", "phrase", "target_word", "target_words")


def _header_column(header: list[str]) -> int | None:
    names = [cell.casefold() for cell in header]
    return next((names.index(name) for name in _HEADERS if name in names), None)
