"""Which part of a row is its text: a column, or the turns of a conversation. Decided once, by the first row."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from unlearning_core.concepts import conversations
from unlearning_core.errors import InputError

TEXT_COLUMNS = ("text", "sentence", "sentences", "content", "story", "document")
"""Column names taken for the text, in this order, when none is given."""

_OTHER = ("label", "id", "title", "summary", "source", "lang", "language", "url")


@dataclass(frozen=True)
class TextOfRow:
    """Takes the text out of rows that have the same columns.

    Attributes:
        column: which one holds it; None where it is a conversation.
        fields: those that are needed.
        roles: whose turns are read; all but the system's and tools' where it is empty.
        seen: the roles of the turns that were found, read or not.
    """

    column: str | None
    fields: tuple[str, ...]
    roles: tuple[str, ...] = ()
    seen: set[str] = field(default_factory=set, compare=False)

    def texts(self, row: Any, where: str) -> list[str]:
        """The texts of one row; raises InputError where it has no such column or holds no text in it."""
        if isinstance(row, str):
            return [row]
        if isinstance(row, list) and row and all(isinstance(turn, Mapping) for turn in row):
            return self._turns(row, where)
        if not isinstance(row, Mapping):
            raise InputError(f"{where}: found a JSON {kind(row)}; expected a string or an object with the text.")
        if self.column is None:
            for needed in conversations.needed_fields(self.fields):
                if needed not in row:
                    raise self._lacks(row, needed, where)
            fields = conversations.fields_of_row(tuple(map(str, row)), self.fields)
            return conversations.conversation_texts(row, fields, self.roles, where, self.seen)
        if self.column not in row:
            raise self._lacks(row, self.column, where)
        text = row[self.column]
        if isinstance(text, str) and text.lstrip().startswith("["):
            text = conversations.unpacked(text, f"{where}: {self.column}", False)
        if text is None:
            return []
        if isinstance(text, str):
            return [text]
        if isinstance(text, (list, Mapping)) and (isinstance(text, Mapping) or any(isinstance(t, dict) for t in text)):
            return self._turns(text, where)
        raise InputError(
            f"{where}: the text is a JSON {kind(text)}: column {self.column!r} holds {type(text).__name__} values; "
            "expected text. Name another column."
        )

    def _turns(self, turns: Any, where: str) -> list[str]:
        return conversations.conversation_texts({"messages": turns}, ("messages",), self.roles, where, self.seen)

    def description(self) -> str:
        """How the choice is told."""
        if self.column is not None:
            return f"text in {self.column!r}"
        whose = f", turns of {' and '.join(self.roles)}" if self.roles else ""
        return f"{conversations.described(self.fields)}{whose}, a text each"

    def _lacks(self, row: Mapping[str, Any], column: str, where: str) -> InputError:
        return InputError(
            f"{where} has no {column!r}, from which the text of the rows before it was read; its fields are "
            f"{', '.join(map(str, row))[:200] or 'none'}. Give every row the same fields, or name the column."
        )


def text_of_row(columns: Sequence[str], column: str | None, roles: Sequence[str], where: str) -> TextOfRow:
    """The asked-for column, or the one that holds text by its name, or a form of chat data, or the only column.

    With `roles` the form of chat data comes first: a person who names roles means the turns.

    Raises:
        InputError: there is no such column, or none can be told; lists those there are and the nearest name.
    """
    names = [str(name) for name in columns]
    if column is not None:
        chosen = choose_column(names, column, where)
        # UltraChat calls its lists of turns "data", as others call anything.
        of_turns = chosen.casefold() in (*conversations.LISTS, "data")
        return TextOfRow(None if of_turns else chosen, (chosen,), tuple(roles))
    by_name = {name.strip().casefold(): name for name in names}
    fields = conversations.chat_fields(names)
    _check_once(names, fields, where)
    plain = next((by_name[name] for name in TEXT_COLUMNS if name in by_name), None)
    # A row of one message has a text column of its own, and its role says whether it is read.
    if fields and (roles or plain is None or plain in fields):
        return TextOfRow(None, fields, tuple(roles))
    if roles:
        raise InputError(
            f"{where} names no roles, so that the roles {', '.join(roles)} cannot be chosen; its columns are "
            f"{', '.join(names) or 'none'}. Leave the roles out, or give chat data."
        )
    return TextOfRow(chosen := choose_column(names, None, where), (chosen,))


def choose_column(columns: Sequence[str], column: str | None, where: str) -> str:
    """The asked-for column, or the one that holds text by its name, or the only one.

    Raises:
        InputError: there is no such column, or none can be told; lists those there are and the nearest name.
    """
    listed = ", ".join(columns) or "none"
    if column is not None:
        if column in columns:
            _check_once([name for name in columns if name == column], [column], where)
            return column
        near = difflib.get_close_matches(column, columns, n=1)
        advice = f"Did you mean {near[0]!r}?" if near else "Name one of these."
        raise InputError(f"{where} has no column {column!r}; its columns are {listed}. {advice}")
    by_name = {name.strip().casefold(): name for name in columns}
    for name in TEXT_COLUMNS:
        if name in by_name:
            _check_once(columns, [name], where)
            return by_name[name]
    if len(columns) == 1:
        return columns[0]
    raise InputError(
        f"{where} does not say which column holds the text; its columns are {listed}. Name one of these as the column."
    )


def _check_once(columns: Sequence[str], wanted: Sequence[str], where: str) -> None:
    """Raises InputError where two columns have the same name but for case, so that it does not say which is meant."""
    for name in wanted:
        same = [column for column in columns if column.strip().casefold() == name.strip().casefold()]
        if len(same) > 1:
            advice = "Name one of these as the column." if len(set(same)) > 1 else "Rename one of them in the file."
            raise InputError(f"{where} has {len(same)} columns of one name: {', '.join(same)}. {advice}")


def is_known_name(name: str) -> bool:
    """Whether a cell is what a header calls a column of text, chat or their usual company."""
    word = name.strip().casefold()
    in_pairs = {part.rstrip("?") for pair in conversations.PAIRS for part, _ in pair}
    return word in TEXT_COLUMNS or word in conversations.LISTS or word in in_pairs or word in _OTHER


def kind(value: Any) -> str:
    """JSON's name of what `value` is."""
    names = {dict: "object", list: "list", str: "string", bool: "boolean", int: "number", float: "number"}
    return names.get(type(value), "null")
