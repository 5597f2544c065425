"""Token rows: the rows of embedding and output head that belong to tokens of the concept alone. No torch.

A concept's words live in the rows of their tokens as much as in neurons: a model that never read them has rows there
like those of any token that it never saw. The edit moves the rows towards such a row that means nothing. Source of the
idea: EMBER (Suslik, Shafran and Geva 2026, arXiv 2606.03695), which erases a concept from the embedding.
"""

import hashlib
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64


@dataclass(frozen=True)
class RowSettings:
    """What is asked of token rows; with a concept and a model it becomes `TokenRows`.

    Attributes:
        strength: 0 moves none, 1 puts a row that means nothing in their place.
        share: of a token's occurrences that must lie in the concept's words.
        kept: tokens that are not moved, as the vocabulary writes them or as they read.
        broad_text: whether tokens are also held against a table of word frequencies.
    """

    strength: float = 0.0
    share: float = 0.95
    kept: tuple[str, ...] = ()
    broad_text: bool = True


@dataclass(frozen=True, eq=False)
class TokenRows:
    """Rows of the embedding and the output head that are moved towards a row which means nothing.

    A row r becomes (1 - strength) r + strength target, in the weights' own units.

    Attributes:
        ids: token ids, sorted, each once; at least one. Copied and read-only, like the targets.
        strength: 0 leaves the rows as they are, 1 puts the target in their place.
        target_in: the row for the embedding.
        target_out: that for the head where it is a matrix of its own; None where both are one (tied).
    """

    ids: Int64[np.ndarray, " tokens"]
    strength: float
    target_in: Float32[np.ndarray, " d_in"]
    target_out: Float32[np.ndarray, " d_out"] | None = None

    def __post_init__(self) -> None:
        """Raises ValueError for what no edit can be."""
        ids = _frozen(self.ids, np.int64, "ids")
        if not len(ids) or ids[0] < 0 or (np.diff(ids) <= 0).any():
            raise ValueError("ids must be token ids from 0 on, ascending, each once, at least one.")
        if not 0 <= self.strength <= 1:
            raise ValueError(f"strength is {self.strength}, not from 0 to 1.")
        object.__setattr__(self, "ids", ids)
        for name in ("target_in", "target_out"):
            if (target := getattr(self, name)) is not None:
                target = _frozen(target, np.float32, name)
                if not (len(target) and np.isfinite(target).all()):
                    raise ValueError(f"{name} must be finite numbers, at least one.")
                object.__setattr__(self, name, target)

    def __eq__(self, other: object) -> bool:
        return self.digest() == other.digest() if isinstance(other, TokenRows) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.digest())

    def digest(self) -> str:
        """SHA-256 of all of it, in hex: the same in every process."""
        sha = hashlib.sha256(f"{len(self.ids)} {float(self.strength)!r}\n".encode())
        for name in ("ids", "target_in", "target_out"):
            values = getattr(self, name)
            sha.update(f"{name} {None if values is None else len(values)}\n".encode())
            if values is not None:
                sha.update(values.astype(values.dtype.newbyteorder("<")).tobytes())
        return sha.hexdigest()


def _frozen(values: np.ndarray, dtype: type, name: str) -> np.ndarray:
    array = np.array(values)
    if array.dtype != dtype or array.ndim != 1:
        raise ValueError(f"{name} is {array.dtype} {array.shape}, not {np.dtype(dtype)} of one axis.")
    array.flags.writeable = False
    return array
