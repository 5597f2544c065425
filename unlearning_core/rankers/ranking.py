"""From what a pass kept to a ranking: one line a neuron, the most concept-relevant first."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from pydantic import BaseModel

from unlearning_core.activations.statistics import CONCEPT
from unlearning_core.errors import InputError, WorkFailed
from unlearning_core.rankers.ranking_input import RankingInput
from unlearning_core.rankers.registry import Ranker, get_ranker

COLUMNS = ("site", "layer", "index", "score", "rank", "protected")

log = logging.getLogger(__name__)


def rank(
    given: RankingInput,
    ranker: str | Ranker,
    params: Mapping[str, Any] | BaseModel | None = None,
    *,
    protect: bool = True,
) -> pd.DataFrame:
    """Rank every neuron of the site that was read.

    Args:
        given: what `collect` returned, and what else the method needs.
        ranker: a method or its name.
        params: its parameters; missing ones take their defaults.
        protect: put the neurons that carry massive activations last, so that a cut reaches them last.

    Returns:
        site (str), layer, index, score, rank (0 is the most concept-relevant), protected (bool), sorted by rank.
        Equal scores stand in the order of (layer, index). In a mixture of experts the MLP's neurons are named too:
        expert (its number, or "shared") and neuron (its place in that expert).

    Raises:
        InputError: an unknown method or parameter, a class without rows, activations of another model, or no model
            for a method that runs it.
        WorkFailed: a score is not a number.
    """
    method = get_ranker(ranker) if isinstance(ranker, str) else ranker
    checked, shape = method.check(params), given.activations.statistics.shape
    _check(given)
    score = method.score(given, checked)
    if score.shape != shape or np.isnan(score).any():
        raise WorkFailed(f"The ranker {method.name!r} gave scores that are not numbers for {shape} neurons.")
    protected = given.massive() if protect else np.zeros(shape, bool)
    # lexsort is stable over neurons in the order (layer, index), so ties need no further key.
    order = np.lexsort((-score.ravel(), protected.ravel()))
    layer, index = np.unravel_index(order, shape)
    log.info(
        "Ranked %d %s neurons with %s %s, %d protected, seed %d",
        *(score.size, given.site, method.name, checked.model_dump(), protected.sum(), given.seed),
    )
    ranking = pd.DataFrame(
        {
            "site": pd.Series([given.site] * len(order), dtype=object),
            "layer": layer.astype(np.int64),
            "index": index.astype(np.int64),
            "score": score.ravel()[order].astype(np.float64),
            "rank": np.arange(len(order), dtype=np.int64),
            "protected": protected.ravel()[order],
        }
    )
    experts = given.model.map.experts if given.model is not None and given.site == "mlp" else None
    if experts is not None:
        ranking["expert"], ranking["neuron"] = experts.split(index.astype(np.int64))
    return ranking


def _check(given: RankingInput) -> None:
    activations, site, shape = given.activations, given.site, given.activations.statistics.shape
    shapes = {site: shape} if given.model is None else given.model.map.shapes
    if tuple(shapes.get(site, ())) != shape:
        raise InputError(
            f"The activations are of {shape} neurons at site {site!r}, the model has {shapes.get(site, 'none')}. "
            "Collect them again with this model."
        )
    for label, name in enumerate(("retain", "concept")):
        if activations.statistics.count[label] == 0:
            where = "before a concept word" if activations.alignment == "before" else "at a concept word"
            hint = f"no position {where} was read" if label == CONCEPT else "every position belongs to the concept"
            raise InputError(
                f"There are no {name} rows to rank with: {hint}. Give more sentences"
                f"{', in which the word is not the first' if label == CONCEPT and activations.skip_first else ''}."
            )
