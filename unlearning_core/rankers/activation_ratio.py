"""Activation ratio: how much more active a neuron is for the concept than for everything else.

score = (a_concept + e) / (a_retain + e), where a is the root mean square or the mean absolute activation and e is a
small share of the middle neuron's a_retain in the same layer, so that a neuron that is nearly silent for both does not
win by division. A ratio has no scale: layers compare as they are. A neuron that serves retain text as much as the
concept scores 1 however active it is, which is what makes a cut by this score selective.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from unlearning_core.activations.statistics import CONCEPT, RETAIN
from unlearning_core.progress import ProgressCallback

if TYPE_CHECKING:
    from unlearning_core.activations.collect import Activations


class Params(BaseModel):
    """Parameters of the method."""

    model_config = ConfigDict(extra="forbid")

    measure: Literal["rms", "mean_absolute"] = Field(
        "rms",
        description="How activity is measured: root mean square (rare strong activations count more) or mean absolute.",
    )
    eps: float = Field(
        0.01,
        gt=0,
        le=10,
        description="Added to both sides of the ratio, as a share of the middle neuron's retain activity in the layer.",
    )


def score(
    activations: Activations, outgoing_norm: np.ndarray, params: Params, *, seed: int, progress: ProgressCallback
) -> np.ndarray:
    """Concept activity over retain activity, `[layers, width]`; 1 for a neuron that is never active."""
    statistics = activations.statistics
    active = statistics.rms() if params.measure == "rms" else statistics.mean_abs()
    floor = params.eps * np.median(active[RETAIN], axis=1, keepdims=True)
    above, below = active[CONCEPT] + floor, active[RETAIN] + floor
    # A layer whose middle neuron is silent (ReLU, few texts) has no floor: the smallest float keeps the ratio defined.
    tiny = np.finfo(np.float64).tiny
    return np.where((above == 0) & (below == 0), 1.0, above / np.maximum(below, tiny))
