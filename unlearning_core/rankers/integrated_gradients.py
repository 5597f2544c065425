"""Integrated gradients over the activation: knowledge neurons (Dai et al., ACL 2022; Sundararajan et al., ICML 2017).

All neurons of one layer are dimmed together from what they hold to nothing, and each is given its share of what that
does to the loss:

    share = - integral over a from 0 to 1 of d(loss)/d(factor of the neuron), at factors a throughout the layer

The shares of a layer add up to the rise of the loss when the whole layer is cut (completeness). Differences to the
paper: the loss in place of the probability, so that tokens add; a cut's factor at all positions in place of the one
before the word; the midpoint rule, which needs fewer steps than the paper's sum over the right ends.

gain  = the neuron's share of the concept tokens' loss, cost = its share of all other tokens' loss, at least 0;
score = gain / (cost + e), e a multiple of the middle neuron's |share| of the other tokens' loss.

A cut acts at every position, so the alignment makes no difference.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from unlearning_core.progress import ProgressCallback
from unlearning_core.rankers.gain_for_cost import gain_for_cost, odds, rise

if TYPE_CHECKING:
    from unlearning_core.activations.collect import Activations
    from unlearning_core.rankers.ranking_input import Subject


class Params(BaseModel):
    """Parameters of the method."""

    model_config = ConfigDict(extra="forbid")

    steps: int = Field(4, ge=1, le=1000, description="Steps from the whole activation to none.")
    eps: float = Field(1.0, gt=0, le=100, description="Added to the cost, as a multiple of the middle neuron's.")
    sentences: int = Field(24, ge=2, description="Training sentences with, and as many without the concept, at most.")


def score(
    activations: Activations,
    outgoing_norm: np.ndarray,
    params: Params,
    *,
    seed: int,
    progress: ProgressCallback,
    subject: Subject,
) -> np.ndarray:
    """Gain over cost, `[layers, width]`."""
    from unlearning_core.rankers.dimming import shares
    from unlearning_core.rankers.token_batches import some, token_batches

    batches = token_batches(replace(subject, items=some(subject.items, params.sentences, seed)))
    gain, loss, near = shares(subject.loaded, batches, activations.site, params.steps, progress=progress)
    either_way = np.abs(loss) + odds(subject.neighbour_share) * np.abs(near)
    return gain_for_cost(gain, rise(loss, near, subject.neighbour_share), either_way, "loss", params.eps)
