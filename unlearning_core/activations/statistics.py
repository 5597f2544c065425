"""Running statistics of activations by class: small, mergeable, all that most rankers need.

One pass over a corpus keeps, for each neuron and class, a few numbers instead of the activations themselves. Two
statistics of the same neurons add, so batches, files and processes can be summed in any order.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from jaxtyping import Float64, Int64

from unlearning_core.errors import InputError
from unlearning_core.files import write_file

ByClass = Float64[np.ndarray, "2 layers width"]
"""A number for each class and neuron."""

RETAIN = 0
"""Class of every token (or word) outside the concept."""

CONCEPT = 1
"""Class of a token (or word) inside a concept word."""


@dataclass(frozen=True)
class Statistics:
    """What was seen of each neuron, class by class (0 = retain, 1 = concept).

    Attributes:
        count: rows seen. A row is a token or an aggregated word.
        sum: sum of activations.
        sumsq: sum of squared activations.
        sumabs: sum of absolute activations.
        min: smallest activation; +inf where no row was seen.
        max: largest activation; -inf where no row was seen.
        positive: rows with an activation above zero; NaN in an archive from before they were counted.
    """

    count: Int64[np.ndarray, " 2"]
    sum: ByClass
    sumsq: ByClass
    sumabs: ByClass
    min: ByClass
    max: ByClass
    positive: ByClass

    @property
    def shape(self) -> tuple[int, int]:
        """(layers, width)."""
        return self.sum.shape[1], self.sum.shape[2]

    def __add__(self, other: Statistics) -> Statistics:
        """Statistics of both sets of rows together.

        Raises:
            ValueError: the two describe different numbers of neurons.
        """
        if self.shape != other.shape:
            raise ValueError(f"statistics of {self.shape} and of {other.shape} neurons do not add")
        join = {"min": np.minimum, "max": np.maximum}
        return Statistics(**{name: join.get(name, np.add)(own, vars(other)[name]) for name, own in vars(self).items()})

    def mean(self) -> ByClass:
        """Mean activation by class; NaN for a class without rows."""
        return self._per_row(self.sum)

    def mean_abs(self) -> ByClass:
        """Mean absolute activation by class."""
        return self._per_row(self.sumabs)

    def rms(self) -> ByClass:
        """Root mean square activation by class."""
        return np.sqrt(self._per_row(self.sumsq))

    def std(self) -> ByClass:
        """Population standard deviation by class (divides by n)."""
        return np.sqrt(np.maximum(self._per_row(self.sumsq) - self.mean() ** 2, 0.0))

    def sample_std(self) -> ByClass:
        """Standard deviation of a sample by class (divides by n - 1); 0 for a lone row."""
        return self.std() * np.sqrt(self.count / np.maximum(self.count - 1.0, 1.0))[:, None, None]

    def frequency(self) -> ByClass:
        """Share of the rows with an activation above zero, by class.

        Raises:
            InputError: these statistics are from before it was counted.
        """
        if np.isnan(self.positive).any():
            raise InputError("These statistics do not say how often a neuron fires. Rank the corpus again.")
        return self._per_row(self.positive)

    def pooled_std(self) -> Float64[np.ndarray, "layers width"]:
        """Population standard deviation over the rows of both classes."""
        rows = max(int(self.count.sum()), 1)
        mean = self.sum.sum(0) / rows
        return np.sqrt(np.maximum(self.sumsq.sum(0) / rows - mean**2, 0.0))

    def save(self, path: Path) -> None:
        """Write a `.npz` archive, whole or not at all."""

        def write(temporary: Path) -> None:
            with temporary.open("wb") as file:
                np.savez_compressed(file, **vars(self))

        write_file(path, write)

    @classmethod
    def load(cls, path: Path) -> Statistics:
        """Read what `save` wrote.

        Raises:
            InputError: the file is missing or holds something else.
        """
        try:
            with np.load(path, allow_pickle=False) as archive:
                arrays = dict(archive)
        except Exception as error:  # a damaged zip raises whatever zipfile, zlib or numpy raises
            reason = " ".join(str(error).split())[:200].rstrip(".") or type(error).__name__
            raise InputError(f"{path} holds no activation statistics ({reason}). Rank the corpus again.") from error
        if "positive" not in arrays and "sum" in arrays:
            arrays["positive"] = np.full_like(arrays["sum"], np.nan)
        names = [field.name for field in fields(cls)]
        if missing := ", ".join(name for name in names if name not in arrays):
            raise InputError(
                f"These are not activation statistics: {missing} missing, found {sorted(arrays)}. Rank the corpus "
                "again."
            )
        return cls(**{name: arrays[name] for name in names})

    def _per_row(self, total: ByClass) -> ByClass:
        count = self.count.astype(np.float64)[:, None, None]
        return np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)
