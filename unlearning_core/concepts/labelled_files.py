"""Labelled sentences as JSON lines: `{"text", "spans", "words"}`, one a line, with its neighbours where it has any."""

import json
from collections.abc import Iterable
from pathlib import Path

from pydantic import BaseModel

from unlearning_core.concepts.labelling import LabelledText
from unlearning_core.errors import InputError
from unlearning_core.files import write_text
from unlearning_core.reading import check_form, parse_json

_Spans = list[tuple[int, int]]


class _Row(BaseModel):
    text: str
    spans: _Spans
    words: list[str]
    neighbours: _Spans = []
    neighbour_words: list[str] = []


def write_labelled(path: Path, items: Iterable[LabelledText]) -> None:
    """Write the sentences, whole or not at all."""
    keys = ("text", "spans", "words", "neighbours", "neighbour_words")
    rows = ({key: getattr(item, key) for key in keys[: None if item.neighbours else 3]} for item in items)
    write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def read_labelled(path: Path) -> list[LabelledText]:
    """The sentences that `write_labelled` wrote.

    Raises:
        InputError: the file is missing, or a line is no labelled sentence.
    """
    items = []
    try:
        # Not splitlines: a sentence may hold one of the rarer line breaks, which JSON leaves as it is.
        for line in filter(None, path.read_text(encoding="utf-8").split("\n")):
            row = parse_json(line)
            check_form(row, _Row)
            items.append(
                LabelledText(
                    row["text"],
                    tuple(map(tuple, row["spans"])),
                    tuple(row["words"]),
                    tuple(map(tuple, row.get("neighbours", ()))),
                    tuple(row.get("neighbour_words", ())),
                )
            )
    except (OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise InputError(
            f"{path} holds no labelled sentences ({type(error).__name__}: {error}). Label the sentences again."
        ) from error
    return items
