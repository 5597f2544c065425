"""Taylor: what cutting a neuron does to the loss, from gradient x activation, summed over positions.

gain  = -d(concept loss)/d(factor): the estimated rise of the concept tokens' negative log-likelihood by a cut
        (Molchanov et al., ICLR 2017). It keeps its sign: a neuron whose cut lowers the loss carries no concept, and the
        absolute value cannot tell the two apart (on a story model it ranks worse than probeless).
cost  = -d(retain loss)/d(factor), at least 0, or the Fisher information of the factor / 2, which estimates the
        divergence that a cut causes at all other tokens (Theis et al. 2018).
score = gain / (cost + e), e a multiple of the middle neuron's Fisher information / 2 (rankers/gain_for_cost.py); or the
        gain alone.

A cut acts at every position, so the alignment at which activations are read makes no difference here.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from unlearning_core.progress import ProgressCallback
from unlearning_core.rankers.gain_for_cost import COST, Cost, gain_for_cost, rise

if TYPE_CHECKING:
    from unlearning_core.activations.collect import Activations
    from unlearning_core.rankers.ranking_input import Subject


class Params(BaseModel):
    """Parameters of the method."""

    model_config = ConfigDict(extra="forbid")

    against: Literal["retain", "nothing"] = Field(
        "retain",
        description="Divide the gain on the concept by the cost to everything else, or rank by the gain alone.",
    )
    cost: Cost = Field("loss", description=COST)
    eps: float = Field(1.0, gt=0, le=100, description="Added to the cost, as a multiple of the middle neuron's.")
    sentences: int = Field(150, ge=2, description="Training sentences with, and as many without the concept, at most.")


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
    from unlearning_core.rankers.derivatives import derivatives
    from unlearning_core.rankers.token_batches import some, token_batches

    batches = token_batches(replace(subject, items=some(subject.items, params.sentences, seed)))
    found = derivatives(subject.loaded, batches, activations.site, progress=progress)
    if params.against == "nothing":
        return -found.concept
    loss = rise(-found.retain, -found.neighbour, subject.neighbour_share)
    return gain_for_cost(-found.concept, loss, found.retain_square / 2, params.cost, params.eps)
