"""Random: the control. A method that beats no random cut of the same size has found nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict

from unlearning_core.progress import ProgressCallback

if TYPE_CHECKING:
    from unlearning_core.activations.collect import Activations


class Params(BaseModel):
    """The method has no parameters; its seed is the ranking's."""

    model_config = ConfigDict(extra="forbid")


def score(
    activations: Activations, outgoing_norm: np.ndarray, params: Params, *, seed: int, progress: ProgressCallback
) -> np.ndarray:
    """Uniform numbers in [0, 1), `[layers, width]`."""
    return np.random.default_rng(seed).random(activations.statistics.shape)
