"""What is asked of a cut: how large a share, from which layers. With a ranking it becomes a mask. No torch."""

from dataclasses import dataclass

import pandas as pd

from unlearning_core.errors import InputError
from unlearning_core.pruning.mask import Mask, Shapes


@dataclass(frozen=True)
class CutSettings:
    """How a ranking is cut.

    Attributes:
        ratio: share that is cut, 0 to 1, of the ranked neurons that lie outside the protected layers.
        per_layer: every layer gives the same share, instead of the ranking choosing.
        protected_layers: layers, from 0, of which nothing is cut.
    """

    ratio: float
    per_layer: bool = False
    protected_layers: tuple[int, ...] = ()

    def mask(self, ranking: pd.DataFrame, shapes: Shapes) -> Mask:
        """The neurons that these settings keep.

        Args:
            ranking: columns site, layer, index and rank (rank 0 is the most concept-relevant).
            shapes: of the model; only the sites of the ranking are in the mask.

        Raises:
            InputError: the ratio or a layer is out of range, or no layer is left to cut.
        """
        return Mask.from_ranking(self.candidates(ranking), shapes, self.ratio, per_layer=self.per_layer)

    def candidates(self, ranking: pd.DataFrame) -> pd.DataFrame:
        """The ranking without the protected layers; raises InputError when a layer is unknown or none is left."""
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
