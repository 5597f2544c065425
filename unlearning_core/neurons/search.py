"""Find neurons in a ranking by what a person types."""

import re
from collections.abc import Collection, Iterable

import numpy as np
import pandas as pd

from unlearning_core.errors import InputError
from unlearning_core.neurons.neuron import Neuron

_RANGE = re.compile(r"(?:(\d+|shared)\s*:\s*)?(\d+)(?:\s*-\s*(\d+))?")


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
        indices: "17", "17, 30" or "100-200"; in a mixture of experts also "5:17" or "shared:0-9", neurons of that
            expert by their place in it; empty: any.
        protected: only those that are, or are not.
        among: only these neurons.

    Raises:
        InputError: `indices` holds something that is no number and no range, or an expert where there are none.
    """
    rows = ranking
    if layers:
        rows = rows[rows["layer"].isin(list(layers))]
    if ranges := _ranges(indices):
        rows = rows[np.logical_or.reduce([_within(rows, *one) for one in ranges])]
    if protected is not None:
        rows = rows[rows["protected"] == protected]
    if among is not None:
        wanted = [neuron.key for neuron in among]
        rows = rows[pd.MultiIndex.from_frame(rows[["site", "layer", "index"]]).isin(wanted)]
    return rows.sort_values("rank", kind="stable")


def _within(rows: pd.DataFrame, expert: str | None, low: int, high: int) -> np.ndarray:
    if expert is None:
        return rows["index"].between(low, high).to_numpy()
    if "expert" not in rows.columns:
        raise InputError(f"The index names expert {expert}, but this model has no experts. Write 17 or 100-200.")
    return ((rows["expert"].astype(str) == expert) & rows["neuron"].between(low, high)).to_numpy()


def _ranges(text: str) -> list[tuple[str | None, int, int]]:
    found = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        match = _RANGE.fullmatch(part)
        if match is None:
            raise InputError(f"The index {part!r} is no number. Write 17, or 17, 30, or 100-200.")
        low = int(match[2])
        found.append((match[1], low, int(match[3]) if match[3] else low))
    return found
