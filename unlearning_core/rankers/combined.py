"""Combined: rank by gradient, try the best by exact ablation, cut a little within a retain budget, and begin again.

Each round works on the model as the rounds before it have cut it:

1. `taylor` ranks all neurons that are left; the first of them are candidates.
2. Each candidate is cut alone, and scored by what it gains on the concept for what it costs elsewhere (`ablation`).
3. The best are cut: as many as keep the rise of the other tokens' loss within the budget of the rounds so far (round r
   of n: r/n of the whole), found by bisection, at least one.

So a neuron that only stands in for one already cut shows its worth when that one is gone, and two that do the same are
not both paid for. Neurons stand in the order in which they were cut; then come candidates of the last round, neurons
that were not tried, and candidates whose cut did not help (`ablation`). A cut acts at every position, so the alignment
makes no difference.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from unlearning_core.progress import Progress, ProgressCallback
from unlearning_core.rankers.ablation import first, massive, placed
from unlearning_core.rankers.gain_for_cost import COST, Cost, gain_for_cost

if TYPE_CHECKING:
    from unlearning_core.activations.collect import Activations
    from unlearning_core.rankers.subject import Subject

log = logging.getLogger(__name__)


class Params(BaseModel):
    """Parameters of the method."""

    model_config = ConfigDict(extra="forbid")

    rounds: int = Field(4, ge=1, le=100, description="How often neurons are ranked, tried and cut.")
    candidates: int = Field(100, ge=1, description="Neurons that are tried each round.")
    most: int = Field(50, ge=1, description="Neurons that are cut each round, at most.")
    budget: float = Field(
        0.1, gt=0, description="Rise of the other tokens' loss that all rounds together may cost, nats a token."
    )
    cost: Cost = Field("loss", description=COST)
    eps: float = Field(3.0, gt=0, le=100, description="Added to the cost, as a multiple of the middle candidate's.")
    sentences: int = Field(
        16, ge=2, description="Sentences with, and as many without the concept, each cut is tried on."
    )
    checked: int = Field(60, ge=2, description="Sentences of each kind that gradients and the budget are taken on.")


@dataclass(frozen=True)
class _Tried:
    """One round's candidates: (layer, index) `[n, 2]`, their score `[n]`, and the cheap score of all neurons."""

    chosen: np.ndarray
    score: np.ndarray
    cheap: np.ndarray


def score(
    activations: Activations,
    outgoing_norm: np.ndarray,
    params: Params,
    *,
    seed: int,
    progress: ProgressCallback,
    subject: Subject,
) -> np.ndarray:
    """The neurons that were cut, in their order, above the score that `ablation` gives the others."""
    from unlearning_core.rankers.token_batches import some

    checked = replace(subject, items=some(subject.items, params.checked, seed))
    tried_on = replace(subject, items=some(subject.items, params.sentences, seed))
    rise = _rise_of(checked, activations.site)
    kept = np.ones(activations.statistics.shape, bool)
    order: list[np.ndarray] = []
    for number in range(1, params.rounds + 1):
        told = _in_round(progress, number, params.rounds)
        tried = _try(checked, tried_on, activations, kept, params, told)
        best = tried.chosen[np.argsort(-tried.score, kind="stable")][: min(params.most, int((tried.score > 0).sum()))]
        if not len(best):
            break
        cut = best[: _within(best, kept, rise, params.budget * number / params.rounds, told)]
        kept[cut[:, 0], cut[:, 1]] = False
        order.append(cut)
        log.info("Round %d of %d: %d neurons cut", number, params.rounds, len(cut))
    return _in_order(np.concatenate([*order, np.empty((0, 2), int)]), tried)


def _try(
    checked: Subject,
    tried_on: Subject,
    activations: Activations,
    kept: np.ndarray,
    params: Params,
    progress: ProgressCallback,
) -> _Tried:
    """Rank what is left by gradient, and cut the first ones one by one."""
    from unlearning_core.rankers.cuts_alone import cut_each
    from unlearning_core.rankers.derivatives import derivatives
    from unlearning_core.rankers.token_batches import token_batches

    found = derivatives(
        checked.loaded, token_batches(checked), activations.site, at=kept.astype(np.float64), progress=progress
    )
    cheap = gain_for_cost(-found.concept, -found.retain, found.retain_square / 2, params.cost, 1.0)
    chosen = first(cheap, params.candidates, massive(activations) | ~kept)
    if not len(chosen):
        return _Tried(chosen, np.empty(0), cheap)
    alone = cut_each(tried_on.loaded, token_batches(tried_on), activations.site, chosen, kept=kept, progress=progress)
    measured = gain_for_cost(alone.forget, alone.retain, alone.divergence, params.cost, params.eps)
    return _Tried(chosen, measured, cheap)


def _rise_of(subject: Subject, site: str) -> Callable[[np.ndarray, ProgressCallback], float]:
    """A function that measures what a mask, bool `[layers, width]`, costs the other tokens, nats a token."""
    from unlearning_core.evaluation.metrics import Meter
    from unlearning_core.pruning.mask import Mask

    meter = Meter(subject.loaded, subject.items)
    return lambda kept, progress: meter.measure(Mask({site: kept}), progress).retain_nll - meter.base.retain_nll


def _within(
    best: np.ndarray,
    kept: np.ndarray,
    rise: Callable[[np.ndarray, ProgressCallback], float],
    budget: float,
    progress: ProgressCallback,
) -> int:
    """How many of `best`, from the first on, can be cut together within the budget; at least 1."""

    def affordable(count: int) -> bool:
        cut = kept.copy()
        cut[best[:count, 0], best[:count, 1]] = False
        return rise(cut, progress) <= budget

    if affordable(len(best)):
        return len(best)
    enough, beyond = 1, len(best)
    while beyond - enough > max(1, len(best) // 16):
        middle = (enough + beyond) // 2
        enough, beyond = (middle, beyond) if affordable(middle) else (enough, middle)
    return enough


def _in_order(cut: np.ndarray, tried: _Tried) -> np.ndarray:
    """The last round's scores, `[layers, width]`, with the neurons that were cut above them, the first one highest."""
    score = placed(tried.cheap, tried.chosen, tried.score)
    score[cut[:, 0], cut[:, 1]] = score.max() + np.arange(len(cut), 0, -1)
    return score


def _in_round(progress: ProgressCallback, number: int, rounds: int) -> ProgressCallback:
    def told(update: Progress) -> None:
        progress(replace(update, task=f"round {number} of {rounds}: {update.task}"))

    return told
