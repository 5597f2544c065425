"""How a table is written, and what its delimiter is called in a sentence and as a setting."""

from dataclasses import dataclass

from unlearning_core.errors import InputError

NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "pipe"}
"""The delimiters that are tried, and what they are called."""

ONE_COLUMN = "\x1f"
"""Stands for no delimiter: each row is one text. A control sign that no text holds."""


@dataclass(frozen=True)
class Dialect:
    """How a table is written.

    Attributes:
        delimiter: one sign, or `ONE_COLUMN`.
        quoting: quotes in quoted fields are "doubled" or "backslashed", or quotes are "plain" signs like others.
        width: fields of a row.
        header: names of the columns; numbers from 1 where the file has none.
        has_header: whether the first row is such a header.
    """

    delimiter: str
    quoting: str
    width: int
    header: tuple[str, ...]
    has_header: bool

    def description(self) -> str:
        """How the reading is told."""
        table = "one column" if self.delimiter == ONE_COLUMN else f"delimiter {delimiter_name(self.delimiter)}"
        names = f"columns {', '.join(self.header)}" if self.has_header else "no header"
        return f"{table}, {names}" if self.has_header or self.width == 1 else f"{table}, {self.width} columns, {names}"


def delimiter_name(sign: str) -> str:
    """What a delimiter is called in a sentence and can be called as a setting."""
    return "none" if sign == ONE_COLUMN else NAMES.get(sign, sign)


def delimiter_sign(given: str) -> str:
    """The sign that a person means by ";", "semicolon", "tab", "\\t" or "none".

    Raises:
        InputError: it is not one sign, or a letter, digit, quote or line break.
    """
    named = {name: sign for sign, name in NAMES.items()} | {"none": ONE_COLUMN, "\\t": "\t", "space": " "}
    sign = named.get(given.strip().casefold() or given, given)
    if len(sign) != 1 or sign.isalnum() or sign in "\"'\r\n\\":
        raise InputError(
            f"The delimiter is {given!r}; expected one sign such as ; or a name: {', '.join(NAMES.values())}, or none "
            "where each line is one text."
        )
    return sign
