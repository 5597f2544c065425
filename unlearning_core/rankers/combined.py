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
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from pydantic import Field

from unlearning_core.concepts.labelling import LabelledSet, LabelledText
from unlearning_core.progress import ProgressCallback, duration
from unlearning_core.rankers import parameters
from unlearning_core.rankers.gain_for_cost import first, gain_for_cost, rise
from unlearning_core.rankers.ranking_input import RankingInput

if TYPE_CHECKING:
    from unlearning_core.evaluation.measurement import Measurement
    from unlearning_core.models.precision import Precision
    from unlearning_core.rankers.derivatives import Derivatives
    from unlearning_core.rankers.token_batches import Sentences

Neurons = Int[np.ndarray, "neurons 2"]
"""(layer, index) of some neurons."""

log = logging.getLogger(__name__)

CHECKED = 0.4
"""Share of the sentences that sets are measured on; gradients are taken on the rest."""

FULL = 0.9
"""Share of a round's budget at which no more is tried in it."""

PASSES = 4.0
"""Forward passes that a gradient pass costs: one, and one back each for the concept and the rest, through the
activations alone."""


class Params(parameters.Params):
    rounds: int = Field(4, ge=1, le=100, description="How often neurons are ranked, tried and cut.")
    most: int = Field(100, ge=1, description="Neurons that are cut each round, at most.")
    tests: int = Field(8, ge=1, description="Sets that are cut and measured each round, at most.")
    budget: float = Field(
        0.1, gt=0, description="Rise of the other tokens' loss that all rounds together may cost, nats a token."
    )
    cost: parameters.CostParameter = "both"
    eps: parameters.EpsParameter = 1.0
    sentences: parameters.SentencesParameter = 200
    precision: parameters.PrecisionParameter = "auto"


def passes(params: Params, sentences: int) -> float:
    """Forward passes over so many sentences that a ranking costs, roughly: half of the tests are made."""
    a_round = PASSES * (1 - CHECKED) + params.tests / 2 * CHECKED
    return 1 + params.rounds * a_round * parameters.share(params.sentences, sentences)


class Change(NamedTuple):
    """What a cut changes: rise of the concept tokens' mean negative log-likelihood and of the others', nats a token.

    With neighbours the latter is the mean of what the rest and what the neighbours pay, by their share.
    """

    forget: float
    retain: float


def score(given: RankingInput, params: Params) -> Float[np.ndarray, "layers width"]:
    """The neurons that were cut, in their order, above what the last round's gradients give the others."""
    from unlearning_core.rankers.token_batches import Sentences

    to_choose, to_check = divided(given.sample(params.sentences))
    sentences, begun = Sentences(replace(given, items=to_choose)), time.monotonic()
    change = _change_of(replace(given, items=to_check), params.precision)
    passes = params.rounds * (PASSES * len(to_choose) / len(to_check) + params.tests)
    expected = duration(passes * (time.monotonic() - begun))
    kept, cut, now = np.ones(given.activations.statistics.shape, bool), np.empty((0, 2), int), Change(0.0, 0.0)
    for number in range(1, params.rounds + 1):
        progress = _prefixed(given.progress, f"round {number} of {params.rounds} (all: {expected} at most)")
        found = _derivatives(replace(given, progress=progress), sentences, kept, params.precision)
        loss = rise(-found.retain, -found.neighbour, given.neighbour_share)
        cheap = gain_for_cost(-found.concept, loss, found.retain_square / 2, params.cost, params.eps)
        best = first(cheap, params.most, given.massive() | ~kept)
        best = best[cheap[best[:, 0], best[:, 1]] > 0]

        def measured(neurons: Neurons, kept: np.ndarray = kept, progress: ProgressCallback = progress) -> Change:
            return change(without(kept, neurons), progress)

        limit = params.budget * number / params.rounds
        chosen, too_costly, now = affordable(best, measured, now, limit, params.tests)
        kept, cut = without(kept, chosen), np.concatenate([cut, chosen])
        log.info("Round %d of %d: %d of %d neurons cut, %s", number, params.rounds, len(chosen), len(best), now)
    return in_order(cut, too_costly, cheap)


def _derivatives(
    given: RankingInput, sentences: Sentences, kept: Bool[np.ndarray, "layers width"], precision: Precision
) -> Derivatives:
    """Of the model as it is cut so far, in batches that memory has room for."""
    from unlearning_core.models.fitting import where_it_fits
    from unlearning_core.rankers.derivatives import derivatives
    from unlearning_core.rankers.token_batches import positions_at_once

    return where_it_fits(
        lambda budget: derivatives(given, sentences.grouped(budget), kept.astype(np.float64), precision=precision),
        positions_at_once(sentences.device),
    )


def divided(given: RankingInput) -> tuple[Sequence[LabelledText], Sequence[LabelledText]]:
    """The sentences that gradients are taken on, and those that sets are measured on.

    A single sentence with the concept serves for both.
    """
    items = LabelledSet(list(given.items))
    if len(items.with_concept) < 2:
        return items.items, items.items
    to_choose, to_check = items.split(CHECKED, given.seed)
    return to_choose.items, to_check.items


def affordable(
    best: Neurons, measured: Callable[[Neurons], Change], now: Change, limit: float, tests: int
) -> tuple[Int[np.ndarray, "cut 2"], Int[np.ndarray, "costly 2"], Change]:
    """Which of `best` can be cut together, within `limit` and `tests` measurements.

    Args:
        best: the best first.
        measured: what a cut of these, beside all that is cut already, changes in all.
        now: what is changed already.
        limit: of the retain part, nats a token.
        tests: sets that are looked at, at most; each is measured once.

    Returns:
        Those that can, in the order they were taken, those that are too costly one by one, and what is changed then.
    """
    cut, out = best[:0], best[:0]
    waiting, known = ([best] if len(best) else []), {}
    for _ in range(tests):
        if not waiting or now.retain >= FULL * limit:
            break
        some = waiting.pop()
        together = np.concatenate([cut, some])
        # Where the better half of a set was cut, the other half beside it is that set again.
        if (key := frozenset(map(tuple, together.tolist()))) not in known:
            known[key] = measured(together)
        found = known[key]
        if found.retain <= limit and found.forget > now.forget:
            cut, now = np.concatenate([cut, some]), found
        elif len(some) > 1:
            half = (len(some) + 1) // 2
            waiting += [some[half:], some[:half]]
        else:
            out = np.concatenate([out, some])
    return cut, out, now


def without(kept: Bool[np.ndarray, "layers width"], neurons: Neurons) -> Bool[np.ndarray, "layers width"]:
    """A copy of `kept` in which `neurons` are cut as well."""
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
    rest, neighbour = (nll_delta(base, after, part).value for part in ("rest", "neighbour"))
    # A part of which there is no token among these sentences has no mean.
    rest, neighbour = (0.0 if math.isnan(part) else part for part in (rest, neighbour))
    return Change(forget, (1 - share) * float(rise(rest, neighbour, share)))


def _change_of(
    given: RankingInput, precision: Precision
) -> Callable[[Bool[np.ndarray, "layers width"], ProgressCallback], Change]:
    """A function that measures what a mask changes; the base model is measured at once."""
    from unlearning_core.edits.mask import Mask
    from unlearning_core.evaluation.likelihood import Meter
    from unlearning_core.models.precision import computing

    meter = Meter(given.loaded, given.items, shared=True)
    with computing(given.loaded.model, precision):
        base = meter.measure(progress=given.progress)

    def change(kept: Bool[np.ndarray, "layers width"], progress: ProgressCallback) -> Change:
        with computing(given.loaded.model, precision):
            after = meter.measure(Mask({given.site: kept}), progress)
        return change_between(base, after, given.neighbour_share)

    return change


def in_order(
    cut: Int[np.ndarray, "cut 2"], too_costly: Int[np.ndarray, "costly 2"], cheap: Float[np.ndarray, "layers width"]
) -> Float[np.ndarray, "layers width"]:
    """`cheap` with the neurons that were cut above all others, the first one highest, and the costly ones below."""
    score = cheap.copy()
    # Where most neurons do nothing at all, gain over cost can be so far from 0 that 1 more or less is the same number.
    step = max(1.0, 2 * float(np.spacing(np.abs(cheap).max())))
    score[too_costly[:, 0], too_costly[:, 1]] = cheap.min() - step
    score[cut[:, 0], cut[:, 1]] = cheap.max() + step * np.arange(len(cut), 0, -1)
    return score


def _prefixed(progress: ProgressCallback, name: str) -> ProgressCallback:
    return lambda update: progress(replace(update, task=f"{name}: {update.task}"))
