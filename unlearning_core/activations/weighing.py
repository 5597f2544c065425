"""Neighbours in the statistics: so few tokens that a mean over all of the retain side hardly sees them.

A sentence of fifteen tokens has one or two of a neighbour, so that even where half of the sentences have one (see
`LabelledSet.take`) they are a twentieth of the retain rows, and a neuron of both the concept and its neighbours looks
selective. Their rows are therefore given a share of the retain side's weight: sums are scaled as if its rows, as many
as before, were drawn with that share of neighbours (post-stratification, Cochran, Sampling Techniques, 1977, 5A.9).
Methods that run the model have losses to weigh, not activations: rankers/gain_for_cost.py.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from unlearning_core.activations.collect import Activations, collect
from unlearning_core.activations.statistics import CONCEPT, RETAIN, Statistics
from unlearning_core.concepts.labelling import LabelledText
from unlearning_core.concepts.neighbours import as_concept
from unlearning_core.progress import ProgressCallback, silent

if TYPE_CHECKING:
    from unlearning_core.models.loading import LoadedModel

log = logging.getLogger(__name__)

SUMS = ("sum", "sumsq", "sumabs", "positive")


def weigh_neighbours(
    activations: Activations,
    loaded: LoadedModel,
    items: Sequence[LabelledText],
    share: float,
    progress: ProgressCallback = silent,
) -> Activations:
    """The activations of `items` with neighbours as `share` of the retain side, unless they are that much already.

    Takes a second pass over the sentences that have a neighbour. Sampled rows are not weighed.

    Args:
        activations: what `collect` gave for `items`.
        share: 0 to below 1; 0 leaves everything as it is.
    """
    near = [as_concept(item) for item in (_apart(item) for item in items) if item.neighbours]
    if not near or not share:
        return activations
    settings: Any = {name: getattr(activations, name) for name in ("site", "alignment", "aggregation", "skip_first")}
    apart = collect(loaded, near, **settings, progress=progress)
    return replace(activations, statistics=weighed(activations.statistics, apart.statistics, share))


def _apart(item: LabelledText) -> LabelledText:
    """Without the neighbours that share a space-separated word with the concept ("chair/table"): a row of such a word
    counts for the concept."""
    words = [word.span() for word in re.finditer("[^ ]+", item.text)]
    mixed = [word for word in words if any(_overlap(word, span) for span in item.spans)]
    kept = tuple(near for near in item.neighbours if not any(_overlap(near, word) for word in mixed))
    return replace(item, neighbours=kept, neighbour_words=())


def _overlap(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return one[0] < other[1] and other[0] < one[1]


def weighed(whole: Statistics, near: Statistics, share: float) -> Statistics:
    """`whole` with the rows that are of class 1 in `near`, all of them retain rows of `whole`, as `share` of those.

    Counts, smallest and largest values stay.
    """
    rows, of_near = int(whole.count[RETAIN]), int(near.count[CONCEPT])
    if not 0 < of_near < rows or of_near >= share * rows:
        return whole
    log.info("neighbours weigh %.3g of the retain rows, %.3g as they come", share, of_near / rows)
    up, down = share * rows / of_near, (1 - share) * rows / (rows - of_near)
    sums = {}
    for name in SUMS:
        total, part = getattr(whole, name).copy(), getattr(near, name)[CONCEPT]
        rest = total[RETAIN] - part
        # Two passes differ in their last bits; what cannot be negative must not become so.
        total[RETAIN] = up * part + down * (rest if name == "sum" else np.maximum(rest, 0.0))
        sums[name] = total
    return replace(whole, **sums)
