"""Which neurons stay: a frozen boolean array a site, made from a ranking or a list of neurons. No torch."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from numbers import Real
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Int64

from unlearning_core.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

Shapes = Mapping[str, tuple[int, int]]
"""(layers, width) of each site, as `ModelMap.shapes`."""

_COLUMNS = ("site", "layer", "index", "rank")


@dataclass(frozen=True, eq=False)
class Mask:
    """The neurons of a model that are kept.

    Attributes:
        kept: by site, True = kept; copied and read-only. A site that is absent is untouched.
    """

    kept: Mapping[str, Bool[np.ndarray, "layers width"]]

    def __post_init__(self) -> None:
        frozen = {}
        for site in sorted(self.kept):
            array = np.array(self.kept[site])
            if array.dtype != np.bool_ or array.ndim != 2:
                raise ValueError(f"The mask of site {site!r} is {array.dtype} {array.shape}, not bool [layers, width].")
            array.flags.writeable = False
            frozen[site] = array
        object.__setattr__(self, "kept", MappingProxyType(frozen))

    @classmethod
    def full(cls, shapes: Shapes) -> Mask:
        """The mask that keeps every neuron."""
        return cls({site: np.ones(shape, dtype=bool) for site, shape in shapes.items()})

    @classmethod
    def from_neurons(cls, shapes: Shapes, neurons: Iterable[tuple[str, int, int]]) -> Mask:
        """Cut the given (site, layer, index) and keep all others.

        Raises:
            InputError: a neuron is not in the model.
        """
        import pandas as pd

        frame = pd.DataFrame(list(neurons), columns=["site", "layer", "index"])
        return cls._cutting(_positions(frame, shapes), shapes)

    @classmethod
    def from_ranking(
        cls,
        ranking: pd.DataFrame,
        shapes: Shapes,
        ratio: float,
        *,
        per_layer: bool = False,
        layer_ratios: Mapping[int, float] = MappingProxyType({}),
    ) -> Mask:
        """Cut `round(ratio * neurons in the ranking)` neurons, lowest rank first.

        Where two sites were ranked on their own (a rank occurs in both) each site gives its own share; one ranking
        over several sites is cut as a whole. Protected neurons stand last in a ranking, so they are cut last.

        Args:
            ranking: columns site, layer, index and rank (rank 0 is the most concept-relevant).
            shapes: of the model; only the sites of the ranking are in the mask.
            ratio: share to cut, 0 to 1.
            per_layer: give every layer the same share instead of letting the ranking choose.
            layer_ratios: by layer the share of its neurons to cut there, lowest rank first, in place of those that
                `ratio` takes in it; what `ratio` takes in all other layers stays the same.

        Raises:
            InputError: a ratio is outside 0 to 1, or the ranking is not of this model.
        """
        named = {"The prune ratio": ratio} | {f"The share of layer {layer}": own for layer, own in layer_ratios.items()}
        for of, share in named.items():
            if not (isinstance(share, Real) and math.isfinite(share) and 0 <= share <= 1):
                raise InputError(f"{of} is {share!r}; it must be a number from 0 (cut none) to 1 (cut all).")
        if missing := ", ".join(column for column in _COLUMNS if column not in ranking.columns):
            expected = ", ".join(_COLUMNS)
            raise InputError(f"The ranking has no column {missing}; expected {expected}. Rank the neurons again.")
        if ranking["rank"].isna().any():
            raise InputError("The ranking has a neuron without a rank. Rank the neurons again.")
        positions = _positions(ranking, shapes)
        if positions.size and np.bincount(positions).max() > 1:
            raise InputError("The ranking names a neuron twice. Rank the neurons again.")
        rank = ranking["rank"].to_numpy()
        ranked_apart = bool(ranking["rank"].duplicated().any())
        # A stable sort of a ranking that already stands in order costs nothing; only ties need the second key.
        order = positions[np.lexsort((positions, rank)) if ranked_apart else np.argsort(rank, kind="stable")]
        widths = [width for layers, width in shapes.values() for _ in range(layers)]
        if per_layer:
            sizes = widths
        elif ranked_apart:
            sizes = [layers * width for layers, width in shapes.values()]
        else:
            sizes = [sum(layers * width for layers, width in shapes.values())]
        part = np.repeat(np.arange(len(sizes)), sizes)[order]
        cut = np.zeros(len(order), dtype=bool)
        for one in range(len(sizes)):
            _cut_first(cut, np.flatnonzero(part == one), ratio)
        if layer_ratios:
            row = np.repeat(np.arange(len(widths)), widths)[order]
            numbers = [layer for layers, _ in shapes.values() for layer in range(layers)]
            for one, layer in enumerate(numbers):
                if layer in layer_ratios:
                    _cut_first(cut, np.flatnonzero(row == one), layer_ratios[layer])
        return cls._cutting(order[cut], shapes, set(ranking["site"].unique()))

    @classmethod
    def _cutting(cls, positions: Int64[np.ndarray, " cut"], shapes: Shapes, sites: set[str] | None = None) -> Mask:
        """Cut the neurons at `positions` (see `_positions`); only `sites`, by default all, are in the mask."""
        flat = np.ones(sum(layers * width for layers, width in shapes.values()), dtype=bool)
        flat[positions] = False
        ends = np.cumsum([layers * width for layers, width in shapes.values()])
        parts = zip(shapes.items(), np.split(flat, ends[:-1]), strict=True)
        return cls({site: part.reshape(shape) for (site, shape), part in parts if sites is None or site in sites})

    @property
    def shapes(self) -> dict[str, tuple[int, int]]:
        """(layers, width) of each site in the mask."""
        return {site: (array.shape[0], array.shape[1]) for site, array in self.kept.items()}

    @property
    def total(self) -> int:
        """Number of neurons, kept and cut."""
        return sum(array.size for array in self.kept.values())

    @property
    def cut(self) -> int:
        """Number of neurons cut."""
        return self.total - sum(int(np.count_nonzero(array)) for array in self.kept.values())

    def neurons(self) -> pd.DataFrame:
        """The neurons cut: columns site, layer, index, in that order."""
        import pandas as pd

        cut = {site: np.argwhere(~kept) for site, kept in self.kept.items()}
        where = np.concatenate([np.zeros((0, 2), np.int64), *cut.values()])
        sites = [site for site, own in cut.items() for _ in own]
        return pd.DataFrame({"site": sites, "layer": where[:, 0], "index": where[:, 1]})

    def __and__(self, other: Mask) -> Mask:
        """Keep what both keep; a site that only one of them has is taken from it.

        Raises:
            InputError: the masks are of different models.
        """
        kept = {**self.kept, **other.kept}
        for site in set(self.kept) & set(other.kept):
            mine, theirs = self.kept[site], other.kept[site]
            if mine.shape != theirs.shape:
                raise InputError(
                    f"Two masks of site {site!r} have the shapes {mine.shape} and {theirs.shape}: they belong to "
                    "different models. Make both for the same model."
                )
            kept[site] = mine & theirs
        return Mask(kept)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Mask):
            return NotImplemented
        return self.kept.keys() == other.kept.keys() and all(
            np.array_equal(array, other.kept[site]) for site, array in self.kept.items()
        )

    def __hash__(self) -> int:
        return hash(self.digest())

    def digest(self) -> str:
        """SHA-256 of sites, shapes and bits, in hex: the same in every process."""
        sha = hashlib.sha256()
        for site, array in self.kept.items():
            sha.update(f"{site} {array.shape[0]}x{array.shape[1]}\n".encode())
            sha.update(np.packbits(array).tobytes())
        return sha.hexdigest()


def _cut_first(cut: Bool[np.ndarray, " neurons"], part: Int64[np.ndarray, " part"], ratio: float) -> None:
    """Mark in `cut` the first `ratio` of the places in `part`, and no other of them."""
    cut[part] = np.arange(len(part)) < round(ratio * len(part))


def _positions(neurons: pd.DataFrame, shapes: Shapes) -> Int64[np.ndarray, " neurons"]:
    """One number a neuron: all sites of `shapes` one after the other, each in [layers, width] order.

    Raises:
        InputError: a neuron is not in a model of these shapes.
    """
    import pandas as pd

    site = pd.Categorical(neurons["site"], categories=list(shapes)).codes.astype(np.int64)
    if (site < 0).any():
        unknown, sites = neurons["site"].iloc[int(np.argmax(site < 0))], ", ".join(shapes)
        raise InputError(f"The site {unknown!r} is not one of this model's: {sites}. Rank this model's neurons again.")
    sizes = np.array(list(shapes.values()), dtype=np.int64).reshape(-1, 2)
    starts = np.concatenate([[0], np.cumsum(sizes.prod(axis=1))[:-1]]).astype(np.int64)
    layers, widths = sizes[site, 0], sizes[site, 1]
    layer, index = neurons["layer"].to_numpy(dtype=np.int64), neurons["index"].to_numpy(dtype=np.int64)
    outside = (layer < 0) | (layer >= layers) | (index < 0) | (index >= widths)
    if outside.any():
        at = int(np.argmax(outside))
        raise InputError(
            f"The neuron {neurons['site'].iloc[at]} layer {layer[at]} index {index[at]} is not in this model; it has "
            f"{layers[at]} layers of {widths[at]}. Rank this model's neurons again."
        )
    return starts[site] + layer * widths + index
