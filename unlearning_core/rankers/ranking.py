"""From what a pass kept to a ranking: one line a neuron, the most concept-relevant first."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pydantic import BaseModel

from unlearning_core.activations.statistics import CONCEPT
from unlearning_core.errors import InputError, WorkFailed
from unlearning_core.progress import ProgressCallback, silent
from unlearning_core.rankers.registry import Ranker, get_ranker

if TYPE_CHECKING:
    from unlearning_core.activations.collect import Activations
    from unlearning_core.rankers.ranking_input import Subject

COLUMNS = ("site", "layer", "index", "score", "rank", "protected")

log = logging.getLogger(__name__)


def rank(
    activations: Activations,
    ranker: str | Ranker,
    params: Mapping[str, Any] | BaseModel | None = None,
    *,
    shapes: Mapping[str, tuple[int, int]] | None = None,
    outgoing_norm: np.ndarray | None = None,
    protect: bool = True,
    seed: int = 0,
    progress: ProgressCallback = silent,
    subject: Subject | None = None,
) -> pd.DataFrame:
    """Rank every neuron of the site that was read.

    Args:
        activations: what `collect` returned.
        ranker: a method or its name.
        params: its parameters; missing ones take their defaults.
        shapes: (layers, width) a site of the model, to check that the activations are of that model.
        outgoing_norm: L2 norm of the weights that leave each neuron, `[layers, width]`; ones if not given.
        protect: put the neurons that carry massive activations last, so that a cut reaches them last.
        seed: of methods that draw numbers.
        progress: told how far a method that takes long is; may raise Stopped.
        subject: model and sentences, for a method that runs the model itself.

    Returns:
        site (str), layer, index, score, rank (0 is the most concept-relevant), protected (bool), sorted by rank.
        Equal scores stand in the order of (layer, index).

    Raises:
        InputError: an unknown method or parameter, a class without rows, activations of another model, or no model
            for a method that runs it.
        WorkFailed: a score is not a number.
    """
    method = get_ranker(ranker) if isinstance(ranker, str) else ranker
    shape = activations.statistics.shape
    _check(activations, shapes)
    norm = np.ones(shape) if outgoing_norm is None else np.asarray(outgoing_norm, np.float64)
    given = dict(method.check(params))
    score = method.score(activations, norm, seed=seed, progress=progress, subject=subject, **given)
    if score.shape != shape or np.isnan(score).any():
        raise WorkFailed(f"The ranker {method.name!r} gave scores that are not numbers for {shape} neurons.")
    protected = np.zeros(shape, bool)
    if protect:
        protected[activations.massive["layer"].to_numpy(int), activations.massive["index"].to_numpy(int)] = True
    # lexsort is stable over neurons in the order (layer, index), so ties need no further key.
    order = np.lexsort((-score.ravel(), protected.ravel()))
    layer, index = np.unravel_index(order, shape)
    log.info(
        "Ranked %d %s neurons with %s %s, %d protected, seed %d",
        *(score.size, activations.site, method.name, method.check(params).model_dump(), protected.sum(), seed),
    )
    return pd.DataFrame(
        {
            "site": pd.Series([activations.site] * len(order), dtype=object),
            "layer": layer.astype(np.int64),
            "index": index.astype(np.int64),
            "score": score.ravel()[order].astype(np.float64),
            "rank": np.arange(len(order), dtype=np.int64),
            "protected": protected.ravel()[order],
        }
    )


def _check(activations: Activations, shapes: Mapping[str, tuple[int, int]] | None) -> None:
    site, shape = activations.site, activations.statistics.shape
    if shapes is not None and tuple(shapes.get(site, ())) != shape:
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
