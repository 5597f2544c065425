"""Where neurons stand by every method that needs no more than the statistics which a run's pass kept."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from unlearning_core.activations.collect import Activations
from unlearning_core.activations.statistics import Statistics
from unlearning_core.config import ExperimentConfig
from unlearning_core.rankers.ranking import rank
from unlearning_core.rankers.ranking_input import RankingInput
from unlearning_core.rankers.registry import RANKERS
from unlearning_core.runs.context import RunContext


@dataclass(frozen=True)
class Standing:
    """Every neuron of a site by one method.

    Attributes:
        score: float64 [layers, width], as the method gives it.
        place: int64 [layers, width], 0 is the most concept-relevant; protected neurons stand last.
    """

    score: np.ndarray
    place: np.ndarray

    @classmethod
    def of(cls, ranking: pd.DataFrame, shape: tuple[int, int]) -> "Standing":
        """A ranking of one site as two grids."""
        where = (ranking["layer"].to_numpy(), ranking["index"].to_numpy())
        score, place = np.full(shape, np.nan), np.full(shape, -1, np.int64)
        score[where], place[where] = ranking["score"], ranking["rank"]
        return cls(score, place)


def kept_pass(folder: Path, config: ExperimentConfig) -> Activations:
    """What the pass of a ranking kept in `folder`, made with these settings: statistics and massive neurons, no rows.

    How many tokens it read is not among it: that is 0.

    Raises:
        InputError: no statistics are there.
    """
    probing = config.neural_probing
    return Activations(
        site=probing.site,
        statistics=Statistics.load(folder / "statistics.npz"),
        rows=None,
        massive=pd.read_parquet(folder / "massive.parquet"),
        tokens=0,
        alignment=probing.alignment,
        aggregation=probing.aggregation,
        skip_first=probing.skip_first_position,
    )


def by_every_ranker(context: RunContext, outgoing_norm: np.ndarray) -> dict[str, Standing]:
    """The run's own ranking, and those that the other methods give with their defaults on the same statistics.

    Args:
        work: a run whose neurons are ranked.
        outgoing_norm: L2 norm of the weights that leave each neuron, [layers, width].

    Returns:
        By name, the run's own method first. Methods that need more than the statistics are left out.

    Raises:
        InputError: the run keeps no statistics.
    """
    probing, kept = context.config.neural_probing, kept_pass(context.run.ranking_folder(), context.config)
    shape = kept.statistics.shape
    given = RankingInput(kept, outgoing_norm, context.config.seed)
    found = {probing.ranker: Standing.of(context.ranking, shape)}
    for name, ranker in RANKERS.items():
        if name in found or ranker.needs_rows or ranker.needs_model or ranker.unavailable():
            continue
        ranking = rank(given, ranker, protect=probing.protect_massive)
        found[name] = Standing.of(ranking, shape)
    return found
