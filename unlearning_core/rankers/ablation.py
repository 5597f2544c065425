"""Exact ablation: neurons that a cheap ranking puts first are cut one by one, and the loss is measured each time.

gain  = change of the concept tokens' mean negative log-likelihood when the neuron alone is cut.
cost  = change of all other tokens' mean negative log-likelihood, at least 0; or the Kullback-Leibler divergence there.
score = gain / (cost + e), e a multiple of the middle candidate's divergence (rankers/gain_for_cost.py).

What gradients only estimate is measured here, neuron by neuron as in NeuroX's ablation (Dalvi et al. 2019). Candidates
whose cut helps come first, by score; neurons that were not tried follow in the order of the cheap ranking (`taylor`);
last come candidates whose cut does not raise the concept's loss. A cut acts at every position, so the alignment makes
no difference.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from unlearning_core.progress import ProgressCallback
from unlearning_core.rankers import taylor
from unlearning_core.rankers.gain_for_cost import COST, Cost, gain_for_cost, rise

if TYPE_CHECKING:
    from unlearning_core.activations.collect import Activations
    from unlearning_core.rankers.ranking_input import Subject


class Params(BaseModel):
    """Parameters of the method."""

    model_config = ConfigDict(extra="forbid")

    candidates: int = Field(300, ge=1, description="Neurons that are tried: the first of the cheap ranking.")
    cost: Cost = Field("loss", description=COST)
    eps: float = Field(3.0, gt=0, le=100, description="Added to the cost, as a multiple of the middle candidate's.")
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
    """Gain over cost where it was measured, and the cheap ranking's order elsewhere, `[layers, width]`."""
    from unlearning_core.rankers.single_ablations import cut_each
    from unlearning_core.rankers.token_batches import some, token_batches

    cheap = taylor.score(
        activations, outgoing_norm, taylor.Params(cost=params.cost), seed=seed, progress=progress, subject=subject
    )
    chosen = first(cheap, params.candidates, massive(activations))
    batches = token_batches(replace(subject, items=some(subject.items, params.sentences, seed)))
    found = cut_each(subject.loaded, batches, activations.site, chosen, progress=progress)
    loss = rise(found.retain, found.neighbour, subject.neighbour_share)
    return placed(cheap, chosen, gain_for_cost(found.forget, loss, found.divergence, params.cost, params.eps))


def massive(activations: Activations) -> np.ndarray:
    """bool `[layers, width]`: the neurons that write the attention sink, which no method needs to try."""
    found = np.zeros(activations.statistics.shape, bool)
    found[activations.massive["layer"].to_numpy(int), activations.massive["index"].to_numpy(int)] = True
    return found


def first(score: np.ndarray, count: int, but: np.ndarray) -> np.ndarray:
    """(layer, index) of the `count` neurons with the largest score that are not among `but`, int `[count, 2]`."""
    order = np.lexsort((-score.ravel(), but.ravel()))[: min(count, int((~but).sum()))]
    return np.stack(np.unravel_index(order, score.shape), axis=1)


def placed(cheap: np.ndarray, chosen: np.ndarray, measured: np.ndarray) -> np.ndarray:
    """One score of both: measured above 0, then what was not measured in the order of `cheap`, then the rest.

    Args:
        cheap: score of all neurons, `[layers, width]`.
        chosen: (layer, index) of those that were measured, `[n, 2]`.
        measured: their score, `[n]`.
    """
    place = np.empty(cheap.size)
    place[np.argsort(-cheap.ravel(), kind="stable")] = np.arange(1, cheap.size + 1)
    helping = measured[measured > 0]
    least = helping.min() if len(helping) else 1.0
    score = (least * (1 - place / (cheap.size + 1))).reshape(cheap.shape)
    score[chosen[:, 0], chosen[:, 1]] = np.where(measured > 0, measured, np.minimum(measured, 0))
    return score
