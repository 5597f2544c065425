"""What is asked of a cut: how many neurons, from where, and which token rows. With a ranking it becomes a mask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from unlearning_core.edits.mask import Mask, Shapes
from unlearning_core.edits.token_rows import RowSettings
from unlearning_core.errors import InputError

if TYPE_CHECKING:
    import pandas as pd


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
        picked_neurons: (site, layer, index) of neurons that are cut beside the share, of any site of the model.
        layer_ratios: (layer, share): a share of a layer's own, 0 to 1 of its neurons that may be cut, in place of
            what `ratio` takes there.
    """

    ratio: float
    per_layer: bool = False
    protected_layers: tuple[int, ...] = ()
    excluded_neurons: tuple[tuple[str, int, int], ...] = ()
    token_rows: RowSettings = field(default_factory=RowSettings)
    picked_neurons: tuple[tuple[str, int, int], ...] = ()
    layer_ratios: tuple[tuple[int, float], ...] = ()

    def mask(self, ranking: pd.DataFrame, shapes: Shapes) -> Mask:
        """The neurons that these settings keep.

        Args:
            ranking: columns site, layer, index and rank (rank 0 is the most concept-relevant).
            shapes: of the model; only the sites of the ranking and of neurons picked by hand are in the mask.

        Raises:
            InputError: a ratio, a layer or a neuron is out of range, two settings contradict each other, or nothing is
                left to cut.
        """
        for site, count in ranking["site"].value_counts().items():
            layers, width = shapes.get(str(site), (0, 0))
            if count != layers * width:
                raise InputError(
                    f"The ranking has {count:,} neurons of the site {site}, and the model has {layers * width:,}: it "
                    "is of another model, or of an earlier version. Rank the neurons again."
                )
        return self.of_candidates(self.candidates(ranking), shapes, self.ratio) & self.picked(shapes)

    def of_candidates(self, candidates: pd.DataFrame, shapes: Shapes, ratio: float) -> Mask:
        """What `ratio` and the layers' own shares leave of `candidates`, without the neurons picked by hand.

        Raises:
            InputError: as `Mask.from_ranking`.
        """
        own = dict(self.layer_ratios)
        return Mask.from_ranking(candidates, shapes, ratio, per_layer=self.per_layer, layer_ratios=own)

    def picked(self, shapes: Shapes) -> Mask:
        """The mask of the neurons picked by hand alone; only their sites are in it.

        Raises:
            InputError: one of them is not in a model of these `shapes`.
        """
        for site, layer, index in self.picked_neurons:
            layers, width = shapes.get(site, (0, 0))
            if not (0 <= layer < layers and 0 <= index < width):
                has = f"it has {layers} layers of {width}, counted from 0" if layers else f"it has no site {site}"
                raise InputError(
                    f"picked_neurons names {site} layer {layer} neuron {index}, which is not in this model: {has}. "
                    "Name one that it has or leave it out."
                )
        sites = {site: shapes[site] for site, _, _ in self.picked_neurons}
        return Mask.from_neurons(sites, self.picked_neurons) if sites else Mask({})

    def pool(self, ranking: pd.DataFrame, shapes: Shapes) -> pd.DataFrame:
        """What a random cut draws from: `candidates`, and the sites that were not ranked but hold picked neurons.

        Raises:
            InputError: as `candidates`.
        """
        import pandas as pd

        others = {site for site, _, _ in self.picked_neurons} - set(ranking["site"].unique())
        cut_whole = [Mask({site: np.zeros(shapes[site], dtype=bool)}).neurons() for site in sorted(others)]
        of_others = [_without(rows, rows, self.excluded_neurons) for rows in cut_whole]
        candidates = self.candidates(ranking)
        return pd.concat([candidates, *of_others], ignore_index=True) if of_others else candidates

    def layer_counts(self, ranking: pd.DataFrame, shapes: Shapes) -> pd.DataFrame:
        """By layer of the ranking `free`, its neurons that may be cut, and `cut`, those that a share takes.

        Neurons picked by hand are counted where a share takes them too.

        Raises:
            InputError: as `mask`.
        """
        import pandas as pd

        candidates = self.candidates(ranking)
        cut = self.of_candidates(candidates, shapes, self.ratio).neurons()
        layers = pd.RangeIndex(int(ranking["layer"].max()) + 1, name="layer")
        counts = {"free": candidates["layer"].value_counts(), "cut": cut["layer"].value_counts()}
        return pd.DataFrame({name: found.reindex(layers, fill_value=0) for name, found in counts.items()})

    def follows_ratio(self, candidates: pd.DataFrame) -> pd.Series:
        """Bool, a row of `candidates` each: whether its layer has no share of its own."""
        return ~candidates["layer"].isin([layer for layer, _ in self.layer_ratios])

    def shortest(self, ranking: pd.DataFrame, shapes: Shapes) -> CutSettings:
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
            InputError: a layer or a neuron is unknown, two settings contradict each other, or none is left.
        """
        self._check_layers(ranking)
        self.check_picked(set(ranking["site"].unique()))
        left = _without(self._outside_protected_layers(ranking), ranking, self.excluded_neurons)
        if left.empty and not ranking.empty:
            raise InputError("All ranked neurons are protected or excluded, so nothing can be cut. Free some of them.")
        return left

    def _outside_protected_layers(self, ranking: pd.DataFrame) -> pd.DataFrame:
        if not self.protected_layers:
            return ranking
        left = ranking[~ranking["layer"].isin(self.protected_layers)]
        if left.empty:
            layers = int(ranking["layer"].max()) + 1
            raise InputError(f"All {layers} layers are protected, so nothing can be cut. Give at least one layer free.")
        return left

    def _check_layers(self, ranking: pd.DataFrame) -> None:
        layers = int(ranking["layer"].max()) + 1 if len(ranking) else 0
        named = {"protected_layers": self.protected_layers, "layer_ratios": [layer for layer, _ in self.layer_ratios]}
        for key, some in named.items():
            if unknown := [layer for layer in some if not 0 <= layer < layers]:
                raise InputError(
                    f"{key} names layer {unknown[0]}; the ranking has the layers 0 to {layers - 1}. Name one of them "
                    "or leave it out."
                )
        if both := sorted(set(self.protected_layers) & set(named["layer_ratios"])):
            raise InputError(
                f"layer_ratios gives layer {both[0]} a share, and protected_layers says that nothing is cut there. "
                "Leave it out of one of them."
            )

    def check_picked(self, ranked: set[str]) -> None:
        """Refuse neurons picked by hand that other settings keep; layers are protected at the sites that were `ranked`.

        Raises:
            InputError: there is one; names it.
        """
        excluded, protected = set(self.excluded_neurons), set(self.protected_layers)
        for neuron in self.picked_neurons:
            site, layer, index = neuron
            other = "excluded_neurons says that no cut touches it" if neuron in excluded else ""
            if not other and layer in protected and site in ranked:
                other = f"protected_layers says that nothing is cut in layer {layer}"
            if other:
                raise InputError(
                    f"picked_neurons names {site} layer {layer} neuron {index}, and {other}. Leave it out of one of "
                    "them."
                )


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
