"""Combined: rank by gradient, cut what proves cheap together, and begin again on what is left.

Each round works on the model as the rounds before it have cut it:

1. Gradients rank all neurons that are left by what a cut gains on the concept for what it costs elsewhere (as in
   `taylor`; one pass ranks them all).
2. The first of them are cut together and measured, on sentences that the gradients were not taken on: a neuron that is
   cheap only on the sentences it was chosen by shows there. A set that forgets nothing, or breaks the budget of the
   rounds so far (round r of n: r/n of the whole), is halved and each half tried, the better one first; a single neuron
   that breaks it is left out, and those behind it are tried all the same.

So a neuron that only stands in for one already cut shows its worth when that one is gone, and two that do the same are
not both paid for. Neurons stand in the order in which they were cut; then come the others as the last round ranked
them, and last those that the last round found too costly. A cut acts at every position, so the alignment makes no
difference.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from unlearning_core.progress import Progress, ProgressCallback, duration
from unlearning_core.rankers.ablation import first, massive
from unlearning_core.rankers.gain_for_cost import COST, Cost, gain_for_cost, rise

if TYPE_CHECKING:
    from unlearning_core.activations.collect import Activations
    from unlearning_core.evaluation.measurement import Measurement
    from unlearning_core.rankers.ranking_input import Subject

log = logging.getLogger(__name__)

CHECKED = 0.4
"""Share of the sentences that sets are measured on; gradients are taken on the rest."""

FULL = 0.9
"""Share of a round's budget at which no more is tried in it."""

PASSES = 4.0
"""Forward passes that a gradient pass costs: one, and one back each for the concept and the rest, through the
activations alone."""


class Params(BaseModel):
    """Parameters of the method."""

    model_config = ConfigDict(extra="forbid")

    rounds: int = Field(4, ge=1, le=100, description="How often neurons are ranked, tried and cut.")
    most: int = Field(100, ge=1, description="Neurons that are cut each round, at most.")
    tests: int = Field(8, ge=1, description="Sets that are cut and measured each round, at most.")
    budget: float = Field(
        0.1, gt=0, description="Rise of the other tokens' loss that all rounds together may cost, nats a token."
    )
    cost: Cost = Field("both", description=COST)
    eps: float = Field(1.0, gt=0, le=100, description="Added to the cost, as a multiple of the middle neuron's.")
    sentences: int = Field(200, ge=2, description="Training sentences with, and as many without the concept, at most.")


class Change(NamedTuple):
    """What a cut changes: rise of the concept tokens' mean negative log-likelihood and of the others', nats a token.

    With neighbours the latter is the mean of what the rest and what the neighbours pay, by their share.
    """

    forget: float
    retain: float


def score(
    activations: Activations,
    outgoing_norm: np.ndarray,
    params: Params,
    *,
    seed: int,
    progress: ProgressCallback,
    subject: Subject,
) -> np.ndarray:
    """The neurons that were cut, in their order, above what the last round's gradients give the others."""
    from unlearning_core.rankers.derivatives import derivatives
    from unlearning_core.rankers.token_batches import token_batches

    chosen_on, checked = divided(subject, params.sentences, seed)
    batches, begun = token_batches(chosen_on), time.monotonic()
    change = _change_of(checked, activations.site, progress)
    passes = params.rounds * (PASSES * len(chosen_on.items) / len(checked.items) + params.tests)
    expected = duration(passes * (time.monotonic() - begun))
    kept, order, now = np.ones(activations.statistics.shape, bool), [np.empty((0, 2), int)], Change(0.0, 0.0)
    for number in range(1, params.rounds + 1):
        told = _renamed(progress, f"round {number} of {params.rounds} (all: {expected} at most)")
        found = derivatives(subject.loaded, batches, activations.site, at=kept.astype(np.float64), progress=told)
        loss = rise(-found.retain, -found.neighbour, subject.neighbour_share)
        cheap = gain_for_cost(-found.concept, loss, found.retain_square / 2, params.cost, params.eps)
        best = first(cheap, params.most, massive(activations) | ~kept)
        best = best[cheap[best[:, 0], best[:, 1]] > 0]
        limit = params.budget * number / params.rounds

        def tried(neurons: np.ndarray, kept: np.ndarray = kept, told: ProgressCallback = told) -> Change:
            return change(without(kept, neurons), told)

        cut, too_costly, now = affordable(best, tried, now, limit, params.tests)
        kept = without(kept, cut)
        order.append(cut)
        log.info("Round %d of %d: %d of %d neurons cut, %s", number, params.rounds, len(cut), len(best), now)
    return in_order(np.concatenate(order), too_costly, cheap)


def divided(subject: Subject, sentences: int, seed: int) -> tuple[Subject, Subject]:
    """At most so many sentences of each kind: what gradients are taken on, and what sets are measured on.

    A single sentence with the concept serves for both.
    """
    from unlearning_core.concepts.labelling import LabelledSet
    from unlearning_core.rankers.token_batches import some

    items = LabelledSet(list(some(subject.items, sentences, seed)))
    if len(items.with_concept) < 2:
        return replace(subject, items=items.items), replace(subject, items=items.items)
    chosen_on, checked = items.split(CHECKED, seed)
    return replace(subject, items=chosen_on.items), replace(subject, items=checked.items)


def affordable(
    best: np.ndarray, tried: Callable[[np.ndarray], Change], now: Change, limit: float, tests: int
) -> tuple[np.ndarray, np.ndarray, Change]:
    """Which of `best` can be cut together, within `limit` and `tests` measurements.

    Args:
        best: (layer, index), the best first, int `[n, 2]`.
        tried: what a cut of these, beside all that is cut already, changes in all.
        now: what is changed already.
        limit: of the retain part, nats a token.
        tests: how often `tried` is called, at most.

    Returns:
        Those that can, in the order they were taken, those that are too costly one by one, and what is changed then.
    """
    cut, out = best[:0], best[:0]
    waiting = [best] if len(best) else []
    for _ in range(tests):
        if not waiting or now.retain >= FULL * limit:
            break
        some = waiting.pop()
        found = tried(np.concatenate([cut, some]))
        if found.retain <= limit and found.forget > now.forget:
            cut, now = np.concatenate([cut, some]), found
        elif len(some) > 1:
            half = (len(some) + 1) // 2
            waiting += [some[half:], some[:half]]
        else:
            out = np.concatenate([out, some])
    return cut, out, now


def without(kept: np.ndarray, neurons: np.ndarray) -> np.ndarray:
    """A copy of `kept`, bool `[layers, width]`, in which `neurons`, (layer, index), are cut as well."""
    less = kept.copy()
    less[neurons[:, 0], neurons[:, 1]] = False
    return less


def change_between(base: Measurement, after: Measurement, share: float) -> Change:
    """What a cut changed, from two measurements of the same sentences.

    Args:
        share: of the neighbours, if the sentences have any.
    """
    from unlearning_core.evaluation.measurement import nll_delta

    forget = nll_delta(base, after, "concept").value
    if not (share and base.has_neighbours):
        return Change(forget, nll_delta(base, after, "retain").value)
    rest, near = nll_delta(base, after, "rest").value, nll_delta(base, after, "neighbour").value
    # A part of which there is no token among these sentences has no mean.
    rest, near = (0.0 if math.isnan(part) else part for part in (rest, near))
    return Change(forget, (1 - share) * float(rise(rest, near, share)))


def _change_of(
    subject: Subject, site: str, progress: ProgressCallback
) -> Callable[[np.ndarray, ProgressCallback], Change]:
    """A function that measures what a mask, bool `[layers, width]`, changes; the base model is measured at once."""
    from unlearning_core.edits.mask import Mask
    from unlearning_core.evaluation.likelihood import Meter

    meter = Meter(subject.loaded, subject.items)
    base = meter.measure(progress=progress)

    def change(kept: np.ndarray, told: ProgressCallback) -> Change:
        return change_between(base, meter.measure(Mask({site: kept}), told), subject.neighbour_share)

    return change


def in_order(cut: np.ndarray, too_costly: np.ndarray, cheap: np.ndarray) -> np.ndarray:
    """`cheap` with the neurons that were cut above all others, the first one highest, and the costly ones below."""
    score = cheap.copy()
    score[too_costly[:, 0], too_costly[:, 1]] = cheap.min() - 1
    # Where most neurons do nothing at all, gain over cost can be so large that 1 more is the same number.
    step = max(1.0, 2 * float(np.spacing(cheap.max())))
    score[cut[:, 0], cut[:, 1]] = cheap.max() + step * np.arange(len(cut), 0, -1)
    return score


def _renamed(progress: ProgressCallback, name: str) -> ProgressCallback:
    def told(update: Progress) -> None:
        progress(replace(update, task=f"{name}: {update.task}"))

    return told
