"""Find neurons in a ranking by what a person types."""

import re
from collections.abc import Collection, Iterable

import numpy as np
import pandas as pd

from unlearning_core.errors import InputError
from unlearning_core.neurons.neuron import Neuron

_RANGE = re.compile(r"(\d+)(?:\s*-\s*(\d+))?")


def search(
    ranking: pd.DataFrame,
    *,
    layers: Collection[int] = (),
    indices: str = "",
    protected: bool | None = None,
    among: Iterable[Neuron] | None = None,
) -> pd.DataFrame:
    """The rows of a ranking that fit everything asked for, first ranks first.

    Args:
        ranking: columns site, layer, index, rank, protected.
        layers: in one of these; none named: in any.
        indices: "17", "17, 30" or "100-200"; empty: any.
        protected: only those that are, or are not.
        among: only these neurons.

    Raises:
        InputError: `indices` holds something that is no number and no range.
    """
    rows = ranking
    if layers:
        rows = rows[rows["layer"].isin(list(layers))]
    if ranges := _ranges(indices):
        index = rows["index"].to_numpy()
        rows = rows[np.logical_or.reduce([(low <= index) & (index <= high) for low, high in ranges])]
    if protected is not None:
        rows = rows[rows["protected"] == protected]
    if among is not None:
        wanted = [neuron.key for neuron in among]
        rows = rows[pd.MultiIndex.from_frame(rows[["site", "layer", "index"]]).isin(wanted)]
    return rows.sort_values("rank", kind="stable")


def _ranges(text: str) -> list[tuple[int, int]]:
    found = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        match = _RANGE.fullmatch(part)
        if match is None:
            raise InputError(f"The index {part!r} is no number. Write 17, or 17, 30, or 100-200.")
        low = int(match[1])
        found.append((low, int(match[2]) if match[2] else low))
    return found
