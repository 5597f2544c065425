"""Rankings by every method that needs no more than the statistics which a ranking's pass kept."""

import numpy as np
import pandas as pd
from jaxtyping import Float

from unlearning_core.activations.collect import Activations
from unlearning_core.config.schema import ExperimentConfig
from unlearning_core.rankers.ranking import rank
from unlearning_core.rankers.ranking_input import RankingInput
from unlearning_core.rankers.registry import RANKERS


def rankings_by_method(
    ranking: pd.DataFrame,
    kept: Activations,
    outgoing_norm: Float[np.ndarray, "layers width"],
    config: ExperimentConfig,
) -> dict[str, pd.DataFrame]:
    """`ranking`, and those that the other methods give with their defaults on the same statistics.

    Args:
        ranking: of one site, made with these settings.
        kept: what its pass kept.
        outgoing_norm: L2 norm of the weights that leave each neuron.

    Returns:
        By name, the settings' own method first. Methods that need more than the statistics are left out.
    """
    probing, given = config.neural_probing, RankingInput(kept, outgoing_norm, config.seed)
    found = {probing.ranker: ranking}
    for name, ranker in RANKERS.items():
        if not (name in found or ranker.needs_rows or ranker.needs_model or ranker.unavailable()):
            found[name] = rank(given, ranker, protect=probing.protect_massive)
    return found
