"""Mean select: the distance of the class means as a share of the neuron's whole range.

score = (m_concept - m_retain) / (max - min) over all rows: the selectivity index that NeuroX has as
`selectivity_probe` and Fan et al. compare under the names Selectivity and MeanSelect ("Evaluating Neuron
Interpretation Methods of NLP Models", NeurIPS 2023; their repository, fdalvi/neuron-comparative-analysis). It is
between -1 and 1 and has no scale; one outlying row widens the range and lowers it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from unlearning_core.activations.statistics import CONCEPT, RETAIN
from unlearning_core.progress import ProgressCallback
from unlearning_core.rankers.sampled import DIRECTION, Direction, directed

if TYPE_CHECKING:
    from unlearning_core.activations.collect import Activations


class Params(BaseModel):
    """Parameters of the method."""

    model_config = ConfigDict(extra="forbid")

    direction: Direction = Field("either", description=DIRECTION)


def score(
    activations: Activations, outgoing_norm: np.ndarray, params: Params, *, seed: int, progress: ProgressCallback
) -> np.ndarray:
    """The difference as a share of the range, `[layers, width]`; 0 for a neuron that never changes."""
    statistics = activations.statistics
    mean = statistics.mean()
    difference = mean[CONCEPT] - mean[RETAIN]
    width = statistics.max.max(0) - statistics.min.min(0)
    share = np.divide(difference, width, out=np.zeros_like(difference), where=width > 0)
    return directed(share, -share, params.direction)
