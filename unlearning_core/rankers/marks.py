"""A ranking marked against the neurons that are known to carry the concept."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from unlearning_core.errors import InputError
from unlearning_core.models.ground_truth import GroundTruth


@dataclass(frozen=True)
class Marks:
    """How well a ranking finds the true neurons; shares from 0 to 1.

    Attributes:
        known: how many neurons are true.
        found: of the first `known`, how many are.
        chance: the share of true ones among all neurons, which a ranking by chance has as precision at any depth.
        average_precision: mean over the true neurons of the precision down to each (as scikit-learn's
            average_precision_score, with the ranking's order as the score).
    """

    known: int
    found: int
    chance: float
    average_precision: float

    @property
    def precision(self) -> float:
        """Share of true ones among the first `known`, which is the recall there too."""
        return self.found / self.known


def applies(ranking: pd.DataFrame, truth: GroundTruth) -> bool:
    """Whether the ranking is of the site that the truth is about."""
    return bool((ranking["site"] == truth.site).all())


def mark(ranking: pd.DataFrame, truth: GroundTruth) -> Marks:
    """Mark a ranking of all neurons of a site, as `rank` returns it.

    Raises:
        InputError: the ranking is of another site, or lacks one of the true neurons.
    """
    hits = _hits(ranking, truth)
    places = np.flatnonzero(hits)
    precisions = np.arange(1, len(places) + 1) / (places + 1)
    known = len(truth.neurons)
    return Marks(known, int(hits[:known].sum()), known / len(ranking), float(precisions.mean()))


def recall(ranking: pd.DataFrame, truth: GroundTruth, count: int) -> float:
    """Share of the true neurons that are among the first `count` of the ranking; raises InputError as `mark` does."""
    return float(_hits(ranking, truth)[:count].sum()) / len(truth.neurons)


def _hits(ranking: pd.DataFrame, truth: GroundTruth) -> np.ndarray:
    """Bool [neurons]: whether the neuron of this rank is a true one."""
    hits = np.array([key in truth.neurons for key in zip(ranking["layer"], ranking["index"], strict=True)], bool)
    if not applies(ranking, truth) or hits.sum() != len(truth.neurons):
        raise InputError(
            f"The ranking holds {int(hits.sum())} of the {len(truth.neurons)} {truth.site} neurons that are known to "
            f"carry {truth.concept}, at site {ranking['site'].iloc[0]}; rank all neurons of {truth.site} of that model."
        )
    return hits
