"""The passages in which a neuron is most and least active, token by token."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from unlearning_core.neurons.reading import Trace

AROUND = 24
"""Tokens shown on either side of the extreme one."""


@dataclass(frozen=True)
class Piece:
    """A token's part of a passage.

    Attributes:
        text: its characters, spaces included.
        value: the neuron's activation there; None where the model saw no token, or one that is not counted.
        concept: whether it belongs to a concept word.
    """

    text: str
    value: float | None
    concept: bool


@dataclass(frozen=True)
class Passage:
    """A sentence, or the part of it around the token at which the neuron has its highest or lowest activation.

    Attributes:
        pieces: the tokens in order; joined they are the text.
        extreme: that activation.
        token: the token that has it.
        opens: whether the sentence begins before it.
        goes_on: whether the sentence goes on after it.
    """

    pieces: tuple[Piece, ...]
    extreme: float
    token: str
    opens: bool = False
    goes_on: bool = False


def passages(
    tokenizer: Any, traces: Sequence[Trace], count: int = 5, skip_first: bool = True
) -> tuple[list[Passage], list[Passage]]:
    """(most, least): the `count` sentences with the highest activation, and those with the lowest, extreme first.

    Args:
        tokenizer: the one that `traces` were read with.
        skip_first: take no activation of position 0 into account, where GPT-style models park attention.
    """
    highest, lowest = [], []
    for number, trace in enumerate(traces):
        counted = _counted(trace, skip_first)
        if len(counted):
            here = trace.values[counted]
            highest.append((float(here.max()), number, int(counted[here.argmax()])))
            lowest.append((float(here.min()), number, int(counted[here.argmin()])))
    highest.sort(key=lambda found: (-found[0], found[1]))
    lowest.sort(key=lambda found: (found[0], found[1]))
    most, least = (
        [_passage(tokenizer, traces[number], at, skip_first) for _, number, at in ends[:count]]
        for ends in (highest, lowest)
    )
    return most, least


def _counted(trace: Trace, skip_first: bool) -> np.ndarray:
    counted = ~trace.encoded.special
    if skip_first:
        counted[:1] = False
    return np.flatnonzero(counted)


def whole(tokenizer: Any, trace: Trace, skip_first: bool = True) -> tuple[Piece, ...]:
    """Every token of a sentence, in order, each with a piece of its own.

    Tokens that share a character (an emoji in bytes) follow the first of them with an empty text.
    """
    offsets, counted = _offsets(tokenizer, trace), set(_counted(trace, skip_first).tolist())
    return tuple(_pieces(trace, offsets, range(len(trace.values)), counted))


def _offsets(tokenizer: Any, trace: Trace) -> list[tuple[int, int]]:
    size = len(trace.values)
    return tokenizer(trace.item.text, return_offsets_mapping=True, truncation=True, max_length=size)["offset_mapping"]


def _pieces(
    trace: Trace, offsets: Sequence[tuple[int, int]], positions: range, counted: Collection[int]
) -> Iterator[Piece]:
    """The tokens' parts of the text; one whose characters an earlier one has shown has none left."""
    done = 0 if positions.start == 0 else offsets[positions.start][0]
    for position in positions:
        end = max(done, offsets[position][1])
        value = float(trace.values[position]) if position in counted else None
        yield Piece(trace.item.text[done:end], value, bool(trace.encoded.concept[position]))
        done = end


def _passage(tokenizer: Any, trace: Trace, at: int, skip_first: bool) -> Passage:
    offsets, counted = _offsets(tokenizer, trace), set(_counted(trace, skip_first).tolist())
    around = range(max(0, at - AROUND), min(len(trace.values), at + AROUND + 1))
    start = 0 if around.start == 0 else offsets[around.start][0]
    # The pieces of one character (an emoji in bytes) all span it: the first of them shows it.
    pieces = tuple(piece for piece in _pieces(trace, offsets, around, counted) if piece.text)
    goes_on = start + sum(len(piece.text) for piece in pieces) < len(trace.item.text)
    begin, end = offsets[at]
    text = trace.item.text[begin:end].strip()
    return Passage(pieces, float(trace.values[at]), text, opens=start > 0, goes_on=goes_on)
