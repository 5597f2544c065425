"""Length-sorted batches: nearly no padding, and the same batches every time for the same texts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64

from unlearning_core.activations.alignment import Aggregation, Alignment, Encoded, Readings, readings


@dataclass(frozen=True)
class Batch:
    """Some texts side by side, right-padded, with every row they give.

    Rows are sorted by class and, within a class, by how many positions they average, most first: then the j-th
    positions of all rows of a class that have one are a prefix, and averaging is a few slices and additions.

    Attributes:
        input_ids: padding holds id 0 and is hidden by the mask.
        attention_mask: 1 at real tokens.
        reads: flat positions (text * positions + position) that row r averages, -1 beyond.
        read_count: how many positions row r averages.
        retain: rows of class 0; they come first.
        concept: rows of class 1; they follow.
        row_text: corpus index of the text each row comes from.
        row_number: number of the row within its text.
    """

    input_ids: Int64[np.ndarray, "texts positions"]
    attention_mask: Int64[np.ndarray, "texts positions"]
    reads: Int64[np.ndarray, "rows most"]
    read_count: Int64[np.ndarray, " rows"]
    retain: int
    concept: int
    row_text: Int64[np.ndarray, " rows"]
    row_number: Int64[np.ndarray, " rows"]

    @property
    def tokens(self) -> int:
        """Tokens that are not padding."""
        return int(self.attention_mask.sum())


def length_sorted(lengths: Sequence[int], token_budget: int) -> list[Int64[np.ndarray, " texts"]]:
    """Group texts of like length so that texts x longest stays within `token_budget` (a longer text stands alone).

    Texts without tokens are left out. Longest first, so that the largest batch shows at once whether memory suffices.
    """
    order = sorted((i for i, length in enumerate(lengths) if length > 0), key=lambda i: (-lengths[i], i))
    groups: list[np.ndarray] = []
    start = 0
    while start < len(order):
        size = max(1, token_budget // lengths[order[start]])
        groups.append(np.array(order[start : start + size], np.int64))
        start += size
    return groups


def batches(
    encoded: Sequence[Encoded],
    token_budget: int,
    alignment: Alignment,
    aggregation: Aggregation,
    skip_first: bool = True,
    offset: int = 0,
) -> Iterator[Batch]:
    """Yield length-sorted batches; `offset` is the corpus index of the first text."""
    for group in length_sorted([len(text) for text in encoded], token_budget):
        members = [encoded[i] for i in group]
        yield _assemble(
            members, [readings(text, alignment, aggregation, skip_first) for text in members], group + offset
        )


def _assemble(members: Sequence[Encoded], found: Sequence[Readings], texts: np.ndarray) -> Batch:
    longest = max(len(member) for member in members)
    input_ids = np.zeros((len(members), longest), np.int64)
    mask = np.zeros_like(input_ids)
    for place, member in enumerate(members):
        input_ids[place, : len(member)] = member.input_ids
        mask[place, : len(member)] = 1
    rows_of_text = [len(reading.classes) for reading in found]
    first_row = np.concatenate([[0], np.cumsum(rows_of_text)])
    classes = np.concatenate([reading.classes for reading in found])
    positions = np.concatenate([reading.positions + place * longest for place, reading in enumerate(found)])
    segments = np.concatenate([reading.segments + first_row[place] for place, reading in enumerate(found)])
    read_count = np.bincount(segments, minlength=len(classes))
    reads = np.full((len(classes), int(read_count.max(initial=0))), -1, np.int64)
    reads[segments, np.arange(len(segments)) - (np.cumsum(read_count) - read_count)[segments]] = positions
    order = np.lexsort((-read_count, classes))
    concept = int(classes.sum())
    return Batch(
        input_ids,
        mask,
        reads[order],
        read_count[order],
        len(classes) - concept,
        concept,
        np.repeat(texts, rows_of_text)[order],
        np.concatenate([np.arange(rows) for rows in rows_of_text])[order],
    )
