"""A concept in words, and the file a person writes them in."""

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from unlearning_core.concepts.file_content import read_text
from unlearning_core.concepts.reading import listed, log
from unlearning_core.concepts.word_json import HEADERS
from unlearning_core.concepts.word_lists import WordList, parse_list
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
        bare = bare[:-1].rstrip()
    quoted = len(bare) > 1 and bare[0] in "\"'“”‘’„«" and bare[-1] in "\"'“”‘’»"
    return bare[1:-1].strip() if quoted else bare


def read_words(path: Path | str, column: str | None = None) -> tuple[str, ...]:
    """Concept words from a file; what it was understood as is logged. Arguments and errors as in `read_list`."""
    words, said = read_list(path, column)
    log.info("%s", said)
    return words


def read_list(path: Path | str, column: str | None = None) -> tuple[tuple[str, ...], str]:
    """Concept words from a file in any of the forms of `word_lists.parse_list`, and what it was understood as.

    Repeats that differ in case only are dropped, the order stays.

    Args:
        path: UTF-8 file, or UTF-16 with a byte order mark.
        column: name of the CSV column; needed only when a `.csv` file has several columns under a header.

    Raises:
        InputError: the file is missing, no text, not UTF-8, without words, has no such column, or a line that is no
            word.
    """
    path = Path(path)
    table = path.suffix.lower() in (".csv", ".tsv")
    found = parse_list(read_text(path, "the word list"), str(path), column=column, table=table)
    words = unique_words(found.words)
    if not words:
        raise InputError(f"{path} holds no words. Write the concept's words in it, one a line.")
    return words, described(path.name, found, words)


def parse_words(
    text: str, *, column: str | None = None, name: str = "the word list", table: bool = False
) -> tuple[str, ...]:
    """Concept words from text as in `read_words`; `table` says that it is a CSV file which may have a header."""
    return unique_words(parse_list(text, name, column=column, table=table).words)


def as_list(words: Sequence[str]) -> str:
    """A list, one word a line, that is read as these words again: in double quotes where a bare line would not be."""
    bare = "\n".join(words)
    if not words or _read_as(bare, words):
        return bare
    plain = [word.replace(" ", "").isalpha() and word.casefold() not in HEADERS for word in words]
    return "\n".join(
        word if sure and _read_as(word, [word]) else '"' + word.replace('"', '""') + '"'
        for word, sure in zip(words, plain, strict=True)
    )


def _read_as(text: str, words: Sequence[str]) -> bool:
    try:
        return parse_words(text) == tuple(words)
    except InputError:
        return False


def described(name: str, found: WordList, words: tuple[str, ...]) -> str:
    """What a list was understood as, in one line."""
    repeats = sum(bool(unique_words([word])) for word in found.words) - len(words)
    notes = [found.form, *found.notes, *([f"{repeats} repeats dropped"] if repeats else [])]
    return f"{name} holds {len(words):,} words ({'; '.join(notes)}): {listed(words)}."
