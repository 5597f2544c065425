"""How far two rankings of the same neurons agree: what their tops share, and whether the whole orders are alike."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from unlearning_core.errors import InputError
from unlearning_core.neurons.neuron import expert_columns

_KEY = ["site", "layer", "index"]
_POINTS = 120
"""Lengths of the top, evenly spread over the logarithm, at which a curve is told; fewer where numbers repeat."""


class Overlap(NamedTuple):
    """What the first neurons of two rankings share.

    Attributes:
        first: how many neurons of each are looked at.
        both: how many of them are the same.
        share: `both` of `first`.
        chance: the share to expect of two rankings that have nothing to do with each other: first / all neurons.
    """

    first: int
    both: int
    share: float
    chance: float


@dataclass(frozen=True, eq=False)
class Agreement:
    """Two rankings of the same neurons.

    Attributes:
        neurons: a line a neuron in the order of the first ranking: site, layer, index, rank_one, rank_other, score_one,
            score_other, protected (in either); in a mixture of experts also expert and neuron.
    """

    neurons: pd.DataFrame

    @classmethod
    def of(cls, one: pd.DataFrame, other: pd.DataFrame) -> Agreement:
        """Lay two rankings (columns site, layer, index, score, rank, protected) beside each other.

        Raises:
            InputError: they are of different neurons, or a rank is missing or given twice.
        """
        for name, ranking in (("first", one), ("second", other)):
            if not np.array_equal(np.sort(ranking["rank"].to_numpy()), np.arange(len(ranking))):
                raise InputError(
                    f"The {name} ranking does not give its {len(ranking):,} neurons the ranks 0 to {len(ranking) - 1:,}"
                    ", each once. Compare rankings of one kind of neuron, as a run keeps them."
                )
        names = expert_columns(one)
        beside = one.merge(other.drop(columns=names, errors="ignore"), on=_KEY, suffixes=("_one", "_other"))
        if not len(one) == len(other) == len(beside):
            raise InputError(
                f"The rankings are of different neurons: {_described(one)} and {_described(other)}, of which "
                f"{len(beside):,} are the same. Compare rankings of the same model and kind of neuron."
            )
        beside["protected"] = beside["protected_one"] | beside["protected_other"]
        columns = [*_KEY, "rank_one", "rank_other", "score_one", "score_other", "protected", *names]
        return cls(beside[columns].sort_values("rank_one", ignore_index=True))

    def __len__(self) -> int:
        """How many neurons are ranked."""
        return len(self.neurons)

    def overlap(self, first: int) -> Overlap:
        """What the `first` neurons of both share.

        Raises:
            InputError: there are not so many.
        """
        if not 1 <= first <= len(self):
            raise InputError(f"first is {first}; it must be from 1 to {len(self):,}, the number of neurons ranked.")
        both = int(np.searchsorted(self._joint, first))
        return Overlap(first, both, both / first, first / len(self))

    def curve(self) -> pd.DataFrame:
        """The overlap (columns first, both, share, chance) of ever longer tops, from one neuron to all."""
        lengths = np.unique(np.geomspace(1, len(self), _POINTS).round().astype(int))
        return pd.DataFrame([self.overlap(int(first)) for first in lengths])

    def correlation(self) -> float:
        """Spearman's rank correlation over all neurons (1904): 1 the same order, 0 no relation, -1 upside down.

        NaN for a lone neuron.
        """
        return self._of_ranks(lambda one, other: stats.spearmanr(one, other).statistic)

    def weighted_correlation(self) -> float:
        """Kendall's tau in which exchanges at the top weigh most (Vigna 2015, additive hyperbolic weights).

        The same scale as `correlation`; the mean of the weights by either ranking. NaN for a lone neuron.
        """
        return self._of_ranks(lambda one, other: stats.weightedtau(-one, -other).statistic)

    def tops(self, first: int) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
        """(in both, only in the first ranking's, only in the second's): the `first` neurons of each, best rank first.

        Those in both stand in the order of the two ranks' sum.
        """
        one, other = self.neurons["rank_one"] < first, self.neurons["rank_other"] < first
        both = self.neurons[one & other]
        order = (both["rank_one"] + both["rank_other"]).sort_values(kind="stable").index
        return both.loc[order], self.neurons[one & ~other], self.neurons[other & ~one].sort_values("rank_other")

    @cached_property
    def _joint(self) -> np.ndarray:
        """For each neuron, ascending, the rank from which on it is in both tops."""
        return np.sort(self.neurons[["rank_one", "rank_other"]].max(axis=1).to_numpy())

    def _of_ranks(self, measure: Callable[[np.ndarray, np.ndarray], float]) -> float:
        if len(self) < 2:
            return math.nan
        return float(measure(self.neurons["rank_one"].to_numpy(), self.neurons["rank_other"].to_numpy()))


@dataclass(frozen=True, eq=False)
class AgreementMatrix:
    """Several rankings of the same neurons, each against each.

    Attributes:
        names: what the rankings are called, in the order of rows and columns.
        ranks: [rankings, neurons], 0 is the first; the neurons of each row in the same order.
    """

    names: tuple[str, ...]
    ranks: np.ndarray

    @classmethod
    def of(cls, rankings: Mapping[str, pd.DataFrame]) -> AgreementMatrix:
        """Lay rankings (as `Agreement.of` takes them) beside each other; raises InputError as that does."""
        first, *others = rankings.values()
        beside = [Agreement.of(first, other).neurons for other in (first, *others)]
        return cls(tuple(rankings), np.stack([one["rank_other"].to_numpy() for one in beside]))

    def correlations(self) -> np.ndarray:
        """Spearman's rank correlation over all neurons, [rankings, rankings]; NaN for a lone neuron."""
        if self.ranks.shape[1] < 2:
            return np.full((len(self.names), len(self.names)), math.nan)
        return np.atleast_2d(np.corrcoef(self.ranks))  # ranks are never tied: Pearson's of them is Spearman's

    def overlaps(self, first: int) -> np.ndarray:
        """The share of the `first` neurons of one that are among the `first` of the other, [rankings, rankings].

        Raises:
            InputError: there are not so many.
        """
        if not 1 <= first <= self.ranks.shape[1]:
            raise InputError(f"first is {first}; it must be from 1 to {self.ranks.shape[1]:,}, the number ranked.")
        top = (self.ranks < first).astype(np.int64)
        return (top @ top.T) / first


def _described(ranking: pd.DataFrame) -> str:
    sites = " and ".join(map(str, ranking["site"].unique()))
    return f"{len(ranking):,} of site {sites} in {ranking['layer'].nunique()} layers"
