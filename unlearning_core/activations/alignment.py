"""From labelled text to token positions: which activation is read, and which class it counts for.

Everything goes by character offsets, never by comparing strings, so that it holds for byte-level BPE with leading
spaces, sentencepiece pieces, characters that the vocabulary lacks, and words of many tokens.

Two choices are made here. **Alignment**: `at` reads the activation at a token itself; `before` reads it one position
earlier, where the model predicts that token. **Aggregation**: `token` makes each token a row; `average`, `first` and
`last` make each word a row from its tokens, as NeuroX does (words are the text split at single spaces).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Int64

from unlearning_core.concepts.labelling import LabelledText
from unlearning_core.errors import InputError

Alignment = Literal["before", "at"]
Aggregation = Literal["token", "average", "first", "last"]
ALIGNMENTS: tuple[Alignment, ...] = ("before", "at")
AGGREGATIONS: tuple[Aggregation, ...] = ("token", "average", "first", "last")
SPACE = ord(" ")


@dataclass(frozen=True)
class Encoded:
    """One text as the model sees it.

    Attributes:
        input_ids: with the special tokens that the tokenizer adds.
        word: index of the space-separated word that each token belongs to; -1 for special tokens
            and for spaces that belong to no word.
        concept: whether the token overlaps a concept span.
        word_concept: whether a word overlaps a concept span.
        special: tokens that the tokenizer added or that are control tokens (never a row).
    """

    input_ids: Int64[np.ndarray, " tokens"]
    word: Int64[np.ndarray, " tokens"]
    concept: Bool[np.ndarray, " tokens"]
    word_concept: Bool[np.ndarray, " words"]
    special: Bool[np.ndarray, " tokens"]

    def __len__(self) -> int:
        return len(self.input_ids)


@dataclass(frozen=True)
class Readings:
    """The rows one text gives: row r is the mean of the activations at `positions[segments == r]`.

    Attributes:
        positions: token positions to read.
        segments: the row of each read, 0, 1, 2 ... in order.
        classes: 0 retain, 1 concept.
    """

    positions: Int64[np.ndarray, " reads"]
    segments: Int64[np.ndarray, " reads"]
    classes: Int64[np.ndarray, " rows"]


def encode(tokenizer: Any, items: Sequence[LabelledText], max_length: int | None = None) -> list[Encoded]:
    """Tokenise labelled texts; a text longer than `max_length` tokens is cut there.

    Raises:
        InputError: the tokenizer gives no character offsets (it is not a fast tokenizer).
    """
    if not items:
        return []
    if not getattr(tokenizer, "is_fast", False):
        raise InputError(
            f"The tokenizer {type(tokenizer).__name__} gives no character offsets, so words cannot be found in its "
            "tokens. Use a model folder with a tokenizer.json (AutoTokenizer.from_pretrained(...).save_pretrained "
            "writes one for most models)."
        )
    encoding = tokenizer(
        [item.text for item in items],
        return_offsets_mapping=True,
        return_special_tokens_mask=True,
        return_attention_mask=False,
        truncation=max_length is not None,
        max_length=max_length,
        verbose=False,
    )
    # A tokenizer without an unknown token of its own often names its end-of-text token as one: NeuroX keeps those,
    # because they may stand for a real word, and drops every other control token.
    control = np.array(sorted(set(tokenizer.all_special_ids) - {tokenizer.unk_token_id}), np.int64)
    encoded = []
    for item, ids, offsets, added in zip(
        items, encoding["input_ids"], encoding["offset_mapping"], encoding["special_tokens_mask"], strict=True
    ):
        input_ids = np.asarray(ids, np.int64)
        special = np.asarray(added, bool) | np.isin(input_ids, control)
        encoded.append(_locate(item, input_ids, np.asarray(offsets, np.int64).reshape(-1, 2), special))
    return encoded


def readings(encoded: Encoded, alignment: Alignment, aggregation: Aggregation, skip_first: bool = True) -> Readings:
    """Which positions to read and what they count for.

    `skip_first` leaves out position 0, the first token of the sequence (the begin-of-text token where the tokenizer
    adds one): GPT-style models park attention there with activations hundreds of times larger than elsewhere. A word
    whose every position is left out gives no row.

    Raises:
        ValueError: an unknown alignment or aggregation.
    """
    if alignment not in ALIGNMENTS or aggregation not in AGGREGATIONS:
        raise ValueError(f"alignment {alignment!r} or aggregation {aggregation!r} is not one of the known ones")
    if aggregation == "token":
        targets = np.flatnonzero(~encoded.special)
        groups, classes = targets, encoded.concept.astype(np.int64)
    else:
        targets = np.flatnonzero(~encoded.special & (encoded.word >= 0))
        groups, classes = encoded.word[targets], encoded.word_concept.astype(np.int64)
        if aggregation != "average":
            # Tokens of a word stand together, so its ends are where the word index changes.
            change = groups[1:] != groups[:-1]
            edge = np.concatenate([[True], change] if aggregation == "first" else [change, [True]])[: len(groups)]
            targets, groups = targets[edge], groups[edge]
    positions = targets - (1 if alignment == "before" else 0)
    kept = positions >= (1 if skip_first else 0)
    rows, segments = np.unique(groups[kept], return_inverse=True)
    return Readings(positions[kept], segments.astype(np.int64), classes[rows])


def _locate(item: LabelledText, input_ids: np.ndarray, offsets: np.ndarray, special: np.ndarray) -> Encoded:
    """Place each token in its word and in or out of the concept, by characters."""
    characters = np.frombuffer(item.text.encode("utf-32-le", "surrogatepass"), np.uint32)
    size = len(characters)
    space = characters == SPACE
    # spaces_before[i]: spaces in text[:i], which is the index of the word that character i stands in.
    spaces_before = np.concatenate([[0], np.cumsum(space)])
    # next_letter[i]: first character at or after i that is no space.
    next_letter = np.minimum.accumulate(np.append(np.where(space, size, np.arange(size)), size)[::-1])[::-1]
    inside = np.zeros(size, bool)
    for start, end in item.spans:
        inside[start:end] = True
    inside_before = np.concatenate([[0], np.cumsum(inside)])

    start, end = np.minimum(offsets[:, 0], size), np.minimum(offsets[:, 1], size)
    letter = next_letter[start]
    # A piece of only spaces (sentencepiece's lone prefix) or of no characters belongs to the word that follows it.
    anchor = np.where(letter < end, letter, end)
    opens_word = np.append(~space, False)[anchor]
    word = np.where(opens_word & ~special, spaces_before[anchor], -1)
    word_concept = np.zeros(int(spaces_before[-1]) + 1, bool)
    word_concept[spaces_before[:-1][inside & ~space]] = True
    concept = (inside_before[end] > inside_before[start]) & ~special
    return Encoded(input_ids, word, concept, word_concept, special)
