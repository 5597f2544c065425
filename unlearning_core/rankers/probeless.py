"""Probeless: the distance between the mean activations of the two classes (Antverg and Belinkov, ICLR 2022).

The seed system's method and NeuroX's `interpretation.probeless`: with two classes NeuroX's sum over pairs of classes
is one difference, so the order is that of |mean over concept rows - mean over retain rows|.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from unlearning_core.activations.statistics import CONCEPT, RETAIN
from unlearning_core.progress import ProgressCallback

if TYPE_CHECKING:
    from unlearning_core.activations.collect import Activations


class Params(BaseModel):
    """Parameters of the method."""

    model_config = ConfigDict(extra="forbid")

    standardise: bool = Field(
        False,
        description="Divide each neuron's difference by its standard deviation, so that layers of different scale "
        "compare. Off: the published method, as NeuroX calculates it.",
    )


def score(
    activations: Activations, outgoing_norm: np.ndarray, params: Params, *, seed: int, progress: ProgressCallback
) -> np.ndarray:
    """|difference of the class means|, `[layers, width]`; 0 for a neuron that never changes."""
    mean = activations.statistics.mean()
    difference = np.abs(mean[CONCEPT] - mean[RETAIN])
    if not params.standardise:
        return difference
    spread = activations.statistics.pooled_std()
    return np.divide(difference, spread, out=np.zeros_like(difference), where=spread > 0)
