"""How a source of text is read: what it was understood as, and the fields in which a person corrects that."""

from pathlib import Path
from typing import Any

import streamlit as st

from pages.components.field_names import told
from pages.components.marked_text import escaped
from unlearning_core.concepts.dialects import NAMES
from unlearning_core.concepts.texts import read_texts
from unlearning_core.config.schema import TextReadingSection
from unlearning_core.errors import InputError

_FOUND = "as found"
_HEADERS: dict[str, bool | None] = {_FOUND: None, "has a header": True, "has no header": False}


def choose_reading(
    key: str, split: str | None, column: str | None, reading: TextReadingSection
) -> tuple[str | None, str | None, dict[str, Any]]:
    """(split, column, keys of `TextReadingSection`) as they stand in the fields, which `key` tells from others."""
    left, right = st.columns(2)
    chosen_split = left.text_input("Split", split or "", key=f"split {key}", placeholder="train")
    chosen_column = right.text_input("Text column", column or "", key=f"column {key}", placeholder="text")
    said = reading.model_dump(exclude_defaults=True)
    with st.expander("How it is read", expanded=bool(said)):
        one, two = st.columns(2)
        names = [_FOUND, *NAMES.values(), "none"]
        known = reading.delimiter or _FOUND
        options = names if known in names else [*names, known]
        delimiter = one.selectbox(
            "Delimiter", options, options.index(known), key=f"delimiter {key}",
            help="The sign between the columns of a table; none: each line is one text.",
        )  # fmt: skip
        header = two.selectbox(
            "First row", list(_HEADERS), list(_HEADERS.values()).index(reading.header), key=f"header {key}",
            help="Whether the first row of a table names its columns. Without a header they are numbered from 1.",
        )  # fmt: skip
        encoding = one.text_input(
            "Encoding", reading.encoding or "", key=f"encoding {key}", placeholder="utf-8",
            help="Of a text file that is not UTF-8, such as cp1252.",
        )  # fmt: skip
        roles = two.text_input(
            "Roles", ", ".join(reading.roles), key=f"roles {key}", placeholder="all but system and tools",
            help="Whose turns of chat data are read, such as assistant.",
        )  # fmt: skip
    found = {
        "delimiter": None if delimiter == _FOUND else delimiter,
        "header": _HEADERS[header or _FOUND],
        "encoding": (encoding or "").strip() or None,
        "roles": [role.strip() for role in (roles or "").split(",") if role.strip()],
    }
    return (chosen_split or "").strip() or None, (chosen_column or "").strip() or None, found


def show_understood(source: str | None, split: str | None, column: str | None, reading: dict[str, Any]) -> None:
    """What a file or folder here is understood as, or why it cannot be read; a dataset on the Hub is not opened."""
    path = Path(source or "")
    if not source or not path.exists():
        return
    seen = path.stat()
    how = {"split": split, "column": column, **reading}
    try:
        st.caption(escaped(_understood(source, (seen.st_mtime_ns, seen.st_size), how)))
    except InputError as error:
        st.warning(told(str(error)))


@st.cache_data(show_spinner="Looking at the text", max_entries=64)
def _understood(source: str, seen: tuple[int, int], how: dict[str, Any]) -> str:
    """`seen` is when the file was changed and its size: another file of that name is looked at again."""
    understood = read_texts(source, **how).peek()
    understood.name = Path(source).name
    return understood.sentence()
