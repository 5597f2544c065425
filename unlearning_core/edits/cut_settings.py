"""What is asked of a cut: how many neurons, from where, and which token rows. With a ranking it becomes a mask."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from unlearning_core.edits.mask import Mask, Shapes
from unlearning_core.edits.token_rows import RowSettings
from unlearning_core.errors import InputError


@dataclass(frozen=True)
class CutSettings:
    """How a ranking is cut.

    Attributes:
        ratio: share that is cut, 0 to 1, of the ranked neurons that are neither protected nor excluded here.
        per_layer: every layer gives the same share, instead of the ranking choosing.
        protected_layers: layers, from 0, of which nothing is cut.
        excluded_neurons: (site, layer, index) of neurons that are not cut; those of a site that was not ranked say
            nothing.
        token_rows: which rows of tokens are moved beside, and how far.
    """

    ratio: float
    per_layer: bool = False
    protected_layers: tuple[int, ...] = ()
    excluded_neurons: tuple[tuple[str, int, int], ...] = ()
    token_rows: RowSettings = field(default_factory=RowSettings)

    def mask(self, ranking: pd.DataFrame, shapes: Shapes) -> Mask:
        """The neurons that these settings keep.

        Args:
            ranking: columns site, layer, index and rank (rank 0 is the most concept-relevant).
            shapes: of the model; only the sites of the ranking are in the mask.

        Raises:
            InputError: the ratio, a layer or a neuron is out of range, or nothing is left to cut.
        """
        for site, count in ranking["site"].value_counts().items():
            layers, width = shapes.get(str(site), (0, 0))
            if count != layers * width:
                raise InputError(
                    f"The ranking has {count:,} neurons of the site {site}, and the model has {layers * width:,}: it "
                    "is of another model, or of an earlier version. Rank the neurons again."
                )
        return Mask.from_ranking(self.candidates(ranking), shapes, self.ratio, per_layer=self.per_layer)

    def shortest(self, ranking: pd.DataFrame, shapes: Shapes) -> "CutSettings":
        """The same cut with the ratio of fewest decimals that cuts the same neurons: 0.0161 in place of 0.01605903.

        Raises:
            InputError: as `mask`.
        """
        wanted = self.mask(ranking, shapes)
        shorter = (replace(self, ratio=round(self.ratio, decimals)) for decimals in range(2, 10))
        return next((cut for cut in shorter if cut.mask(ranking, shapes) == wanted), self)

    def candidates(self, ranking: pd.DataFrame) -> pd.DataFrame:
        """The neurons of the ranking that may be cut.

        Raises:
            InputError: a layer or a neuron is unknown, or none is left.
        """
        left = _without(self._outside_protected_layers(ranking), ranking, self.excluded_neurons)
        if left.empty and not ranking.empty:
            raise InputError("All ranked neurons are protected or excluded, so nothing can be cut. Free some of them.")
        return left

    def _outside_protected_layers(self, ranking: pd.DataFrame) -> pd.DataFrame:
        if not self.protected_layers:
            return ranking
        layers = int(ranking["layer"].max()) + 1 if len(ranking) else 0
        unknown = [layer for layer in self.protected_layers if not 0 <= layer < layers]
        if unknown:
            raise InputError(
                f"protected_layers names layer {unknown[0]}; the ranking has the layers 0 to {layers - 1}. Name one "
                "of them or leave it out."
            )
        left = ranking[~ranking["layer"].isin(self.protected_layers)]
        if left.empty:
            raise InputError(f"All {layers} layers are protected, so nothing can be cut. Give at least one layer free.")
        return left


def _without(rows: pd.DataFrame, ranking: pd.DataFrame, neurons: Sequence[tuple[str, int, int]]) -> pd.DataFrame:
    """`rows` without `neurons`; raises InputError when one of a site that was ranked is not in `ranking`."""
    for site in sorted({named[0] for named in neurons} & set(ranking["site"].unique())):
        here = ranking[ranking["site"] == site]
        width = int(here["index"].max()) + 1
        wanted = np.array([(layer, index) for named, layer, index in neurons if named == site])
        numbers = wanted @ (width, 1)
        there = np.isin(numbers, here["layer"] * width + here["index"]) & (wanted[:, 1] >= 0) & (wanted[:, 1] < width)
        if not there.all():
            layer, index = wanted[np.argmin(there)]
            raise InputError(
                f"excluded_neurons names {site} layer {layer} neuron {index}, which is not in the ranking: it has "
                f"{int(here['layer'].max()) + 1} layers of {width}, counted from 0. Name one of them or leave it out."
            )
        rows = rows[~((rows["site"] == site) & np.isin(rows["layer"] * width + rows["index"], numbers))]
    return rows
