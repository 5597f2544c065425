"""The name of one neuron."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from unlearning_core.errors import InputError

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, order=True)
class Neuron:
    """A neuron of a model.

    Attributes:
        site: which kind it is.
        layer: its layer, from 0.
        index: its place in the layer, from 0.
    """

    site: str
    layer: int
    index: int

    @property
    def key(self) -> tuple[str, int, int]:
        """(site, layer, index), as a mask and a config name it."""
        return (self.site, self.layer, self.index)

    def check(self, shape: tuple[int, int]) -> Neuron:
        """Itself, if it lies in `shape`, the (layers, width) of its site; raises InputError otherwise."""
        layers, width = shape
        if not (0 <= self.layer < layers and 0 <= self.index < width):
            raise InputError(
                f"There is no neuron {self.index} in layer {self.layer} of the site {self.site!r}: it has {layers} "
                f"layers of {width}, counted from 0. Choose one of them."
            )
        return self


EXPERT_COLUMNS = ("expert", "neuron")
"""What a ranking of a mixture of experts says beside a neuron's index in its layer."""


def expert_columns(ranking: pd.DataFrame) -> list[str]:
    """Those of `EXPERT_COLUMNS` that the ranking has: both or none."""
    return [name for name in EXPERT_COLUMNS if name in ranking.columns]


def row_name(row: Mapping[str, Any]) -> str:
    """What the neuron of a ranking's row is called: "layer 3, neuron 17", or "layer 3, expert 5, neuron 17"."""
    if "expert" not in row:
        return f"layer {row['layer']}, neuron {row['index']}"
    expert = "shared expert" if row["expert"] == "shared" else f"expert {row['expert']}"
    return f"layer {row['layer']}, {expert}, neuron {row['neuron']}"


def neuron_name(neuron: Neuron, ranking: pd.DataFrame) -> str:
    """What `neuron` is called, as `row_name` says it, where `ranking` ranks it."""
    here = ranking[(ranking["layer"] == neuron.layer) & (ranking["index"] == neuron.index)]
    row = here[here["site"] == neuron.site][["layer", "index", *expert_columns(ranking)]]
    return row_name(row.to_dict("records")[0] if len(row) else {"layer": neuron.layer, "index": neuron.index})
