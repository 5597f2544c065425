"""How a source of text is to be read, as a person says it, and how it was understood, as it is told to them."""

import logging
from collections.abc import Sequence, Set
from dataclasses import dataclass, field

from unlearning_core.concepts.dialects import delimiter_sign
from unlearning_core.errors import InputError

log = logging.getLogger(__name__)
"""What a source was understood as is logged here and nowhere else: the command line shows this log to the person."""

SHOWN = 3
"""Texts of a source that are shown."""

READER_VERSION = 2
"""Raised when a source is read otherwise than before: filtered data is then made anew."""

_LENGTH = 100


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What a person says of a source; None or empty: it is found, or asked for where it is in doubt.

    Attributes:
        split: of a dataset; by default "train", or the only one. Of a workbook the sheet.
        column: field or column that holds the text. A table without a header numbers its columns from 1.
        delimiter: of a table, one sign or its name; "none" where each line is one text.
        header: whether the first row of a table names its columns.
        encoding: of a text file, as Python names it.
        roles: of chat data, whose turns are read.

    Raises:
        InputError: `delimiter` is none.
    """

    split: str | None = None
    column: str | None = None
    delimiter: str | None = None
    header: bool | None = None
    encoding: str | None = None
    roles: Sequence[str] = ()

    def __post_init__(self) -> None:
        if self.delimiter is not None:
            delimiter_sign(self.delimiter)
        object.__setattr__(self, "roles", tuple(role.strip() for role in self.roles or () if role.strip()))

    def check_no_table(self, form: str, *, header: bool = False, encoding: bool) -> None:
        """Raises InputError where something is said of a table or of text, and the source is a `form` that has none.

        Args:
            header, encoding: whether these mean something for the form.
        """
        said = {"delimiter": self.delimiter, "header": None if header else self.header}
        said |= {} if encoding else {"encoding": self.encoding}
        for name, value in said.items():
            if value is not None:
                raise InputError(
                    f"The {name} {value!r} does not apply: the text source is {form}. Leave the {name} out, or give "
                    "a table as text, such as CSV."
                )


@dataclass
class Understood:
    """What a source was understood as, filled while it is opened and read.

    Attributes:
        name: the source.
        format: "JSON lines, UTF-8", "table, delimiter semicolon, columns id, text", ...
        text: where in a row the text is; empty where a line or paragraph is one.
        notes: what else a person should know, such as files of a folder that are not read.
        first: the first texts, at most `SHOWN`, shortened.
        texts: how many were read so far.
        roles: of the turns that were found so far, read or not.
    """

    name: str
    format: str = ""
    text: str = ""
    notes: list[str] = field(default_factory=list)
    first: list[str] = field(default_factory=list)
    texts: int = 0
    roles: Set[str] = frozenset()

    def takes(self, text: str, roles: Set[str]) -> None:
        """Keep where in a row the text is, and the roles that are found in the rows from now on."""
        self.text, self.roles = text, roles

    def add(self, text: str) -> None:
        """Count a text that was read, and keep it where it is one of the first."""
        self.texts += 1
        if len(self.first) < SHOWN:
            self.first.append(shortened(text))

    def tell(self) -> None:
        """Tell the person, by way of the log."""
        log.info("%s", self.sentence())

    def sentence(self) -> str:
        """All of it in one line."""
        how = "; ".join(filter(None, [self.format, self.text, *self.notes]))
        shown = ", ".join(f"“{text}”" for text in self.first)
        return f"{self.name} is read as {how}. It begins: {shown or 'no text'}."


def shortened(text: str, length: int = _LENGTH) -> str:
    """`text` in one line of at most so many characters."""
    line = " ".join(text[: 4 * length].split())
    return line if len(line) <= length else line[: length - 1] + "…"


def listed(items: Sequence[str], most: int = 10) -> str:
    """The first of the items and how many more there are: "a, b and 4,992 more"."""
    shown = ", ".join(items[:most])
    return shown if len(items) <= most else f"{shown} and {len(items) - most:,} more"
