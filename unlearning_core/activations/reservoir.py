"""A capped sample of activation rows, the same whatever the order of the batches.

Each row gets a number from its place in the corpus and the seed; of each class the rows with the smallest numbers are
kept ("bottom-k" sampling, Cohen and Kaplan 2007). Unlike the classic reservoir, the sample does not depend on the
order in which rows arrive, and samples of two processes merge exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float32, Int64, UInt64

from unlearning_core.activations.statistics import CONCEPT, RETAIN

BYTES_DEFAULT = 128 * 2**20
"""Memory that the sampled rows may take, in bytes."""


@dataclass(frozen=True)
class Rows:
    """Activation rows for the rankers that need them, as many of one class as of the other.

    Attributes:
        X: activations, in random order (a probe is trained without shuffling).
        y: class of each row, 0 retain, 1 concept.
        key: the random number that each row was chosen by.
    """

    X: Float32[np.ndarray, "rows layers width"]
    y: Int64[np.ndarray, " rows"]
    key: UInt64[np.ndarray, " rows"]


class Reservoir:
    """Fed batch by batch: `admit` says which rows of a batch enter and where, the caller fills `buffer` there."""

    def __init__(self, rows: int, layers: int, width: int, *, seed: int, max_bytes: int = BYTES_DEFAULT) -> None:
        """Room for `rows` rows, half for each class, or as many as fit in `max_bytes`."""
        self.half = max(1, min(rows, max_bytes // (4 * layers * width)) // 2)
        self.seed = seed
        # Untouched pages of an empty array cost no memory: a small corpus does not pay for the cap.
        self.buffer = np.empty((2 * self.half, layers, width), np.float32)
        self.keys = np.full(2 * self.half, np.iinfo(np.uint64).max, np.uint64)
        self.filled = np.zeros(2 * self.half, bool)

    def admit(
        self, text: Int64[np.ndarray, " rows"], number: Int64[np.ndarray, " rows"], retain: int
    ) -> tuple[Int64[np.ndarray, " entering"], Int64[np.ndarray, " entering"]]:
        """Choose among a batch's rows, the first `retain` of which are of class 0.

        Args:
            text: corpus index of the text of each row.
            number: number of the row within its text.
            retain: how many rows are of class 0.

        Returns:
            (rows, slots): rows of the batch that enter and the place of each in `buffer`.
        """
        keys = row_keys(self.seed, text, number)
        chosen, slots = [], []
        for label, low, high in ((RETAIN, 0, retain), (CONCEPT, retain, len(keys))):
            own = slice(label * self.half, (label + 1) * self.half)
            candidates = np.flatnonzero(keys[low:high] < self.keys[own].max()) + low
            together = np.concatenate([self.keys[own], keys[candidates]])
            kept = np.zeros(len(together), bool)
            kept[np.argsort(together, kind="stable")[: self.half]] = True
            entering = candidates[kept[self.half :]]
            free = np.flatnonzero(~kept[: self.half]) + label * self.half
            self.keys[free] = keys[entering]
            self.filled[free] = True
            chosen.append(entering)
            slots.append(free)
        return np.concatenate(chosen), np.concatenate(slots)

    def rows(self, trim: bool = True) -> Rows:
        """What was kept, in the order of the random numbers, trimmed so that both classes have as many rows.

        A sample that is to be merged with others is not trimmed before.

        The rows are put in order within `buffer`, layer by layer, because a copy would double the memory: feed the
        reservoir no more after this.
        """
        slots = np.flatnonzero(self.filled)
        classes = (slots >= self.half).astype(np.int64)
        order = _balanced_order(self.keys[slots], classes, self.half) if trim else np.argsort(self.keys[slots])
        for layer in range(self.buffer.shape[1]):
            self.buffer[: len(order), layer] = self.buffer[slots[order], layer]
        return Rows(self.buffer[: len(order)], classes[order], self.keys[slots[order]])


def merged(samples: Sequence[Rows], half: int) -> Rows:
    """Merge samples of parts of a corpus into the sample of the whole, at most `half` rows of each class."""
    keys = np.concatenate([sample.key for sample in samples])
    classes = np.concatenate([sample.y for sample in samples])
    order = _balanced_order(keys, classes, half)
    return Rows(np.concatenate([sample.X for sample in samples])[order], classes[order], keys[order])


def _balanced_order(keys: np.ndarray, classes: np.ndarray, half: int) -> np.ndarray:
    """The smallest keys of each class, as many of one as of the other, at most `half`, sorted by key."""
    each = min(half, *np.bincount(classes, minlength=2).tolist())
    order = np.argsort(keys, kind="stable")
    kept = [np.flatnonzero(classes[order] == label)[:each] for label in (RETAIN, CONCEPT)]
    return order[np.sort(np.concatenate(kept))]


def row_keys(
    seed: int, text: Int64[np.ndarray, " rows"], number: Int64[np.ndarray, " rows"]
) -> UInt64[np.ndarray, " rows"]:
    """A uniform uint64 for each (text, row of the text), by the SplitMix64 finaliser (Steele et al. 2014)."""
    with np.errstate(over="ignore"):
        state = _mix(np.uint64(seed % 2**64) + np.uint64(0x9E3779B97F4A7C15))
        state = _mix(state ^ (text.astype(np.uint64) * np.uint64(0xD1B54A32D192ED03)))
        return _mix(state + number.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15))


def _mix(value: Any) -> Any:
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))
