"""Taylor: what cutting a neuron does to the loss, from gradient x activation, summed over positions.

gain  = -d(concept loss)/d(factor): the estimated rise of the concept tokens' negative log-likelihood by a cut
        (Molchanov et al., ICLR 2017). It keeps its sign: a neuron whose cut lowers the loss carries no concept. On a
        story model the absolute value ranks worse than chance, because it cannot tell the two apart.
cost  = -d(retain loss)/d(factor) + 1/2 x its Fisher information, at least 0: the estimated rise of all other tokens'
        negative log-likelihood (Theis et al. 2018). The first term alone takes what little text happens to reward
        for free; a neuron that a cut seems to improve gets no credit for it, since that is not forgetting.
score = gain / (cost + e), e a multiple of the middle neuron's Fisher term: as in a knapsack, what is gained for each
        unit of a limited retain budget. Or the gain alone.

A cut acts at every position, so the alignment at which activations are read makes no difference here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from unlearning_core.progress import ProgressCallback

if TYPE_CHECKING:
    from unlearning_core.activations.collect import Activations
    from unlearning_core.rankers.derivatives import Derivatives
    from unlearning_core.rankers.subject import Subject


class Params(BaseModel):
    """Parameters of the method."""

    model_config = ConfigDict(extra="forbid")

    against: Literal["retain", "nothing"] = Field(
        "retain",
        description="Divide the gain on the concept by the cost to everything else, or rank by the gain alone.",
    )
    sentences: int = Field(150, ge=2, description="Training sentences with, and as many without the concept, at most.")
    eps: float = Field(
        1.0, gt=0, le=100, description="Added to the cost, as a multiple of the middle neuron's Fisher information / 2."
    )


def score(
    activations: Activations,
    outgoing_norm: np.ndarray,
    params: Params,
    *,
    seed: int,
    progress: ProgressCallback,
    subject: Subject,
) -> np.ndarray:
    """Gain, or gain over cost, `[layers, width]`."""
    from dataclasses import replace

    from unlearning_core.rankers.derivatives import derivatives
    from unlearning_core.rankers.token_batches import some, token_batches

    batches = token_batches(replace(subject, items=some(subject.items, params.sentences, seed)))
    found = derivatives(subject.loaded, batches, activations.site, task="following the loss back", progress=progress)
    return -found.concept if params.against == "nothing" else gain_for_cost(found, params.eps)


def gain_for_cost(found: Derivatives, eps: float) -> np.ndarray:
    """gain / (cost + e), `[layers, width]`."""
    curvature = found.retain_square / 2
    cost = np.maximum(curvature - found.retain, 0)
    return -found.concept / np.maximum(cost + eps * np.median(curvature), np.finfo(np.float64).tiny)
