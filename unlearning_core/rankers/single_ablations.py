"""What cutting each of many neurons alone does to the loss, measured: exact, and one neuron at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from unlearning_core.edits.hooks import multiplied
from unlearning_core.errors import WorkFailed
from unlearning_core.evaluation.next_token import NextToken
from unlearning_core.progress import Progress
from unlearning_core.rankers.ranking_input import RankingInput
from unlearning_core.rankers.restart import Restart
from unlearning_core.rankers.token_batches import TokenBatch, positions_at_once

TASK = "cutting neurons one by one"


@dataclass(frozen=True)
class SingleAblations:
    """By neuron, in the order given, float64, nats a token.

    Attributes:
        forget: change of the concept tokens' mean negative log-likelihood.
        retain: change of all other tokens' mean negative log-likelihood; of neighbours' too, unless they have a share
            of their own.
        neighbour: change of the neighbours'; 0 where they have no share of their own.
        divergence: mean Kullback-Leibler divergence at the other tokens and the neighbours, by their weight, of the
            predictions without the neuron from those with it.
    """

    forget: Float[np.ndarray, " neurons"]
    retain: Float[np.ndarray, " neurons"]
    neighbour: Float[np.ndarray, " neurons"]
    divergence: Float[np.ndarray, " neurons"]


def ablate_each(
    given: RankingInput,
    batches: Sequence[TokenBatch],
    neurons: Int[np.ndarray, "neurons 2"],
    *,
    token_budget: int | None = None,
) -> SingleAblations:
    """Cut one neuron after the other.

    A batch stands as many times side by side as the budget has room for, in each copy with another neuron of one layer
    cut, and passes begin at that layer's block.

    Args:
        given: the model, which is left as it is, and the site; its progress is told after every pass.
        batches: the sentences.
        neurons: (layer, index) of each.
        token_budget: positions run at once, padding included.

    Raises:
        Stopped: `given.progress` raised it.
        WorkFailed: the loss is not a number.
    """
    restart = Restart(given.loaded, NextToken(given.loaded))
    budget = token_budget or positions_at_once(batches[0].ids.device)
    sums, counts, done = np.zeros((4, len(neurons))), np.zeros(3), 0
    for batch in batches:
        baseline = _Baseline(given, restart, batch)
        counts += baseline.counts
        for chosen in _groups(neurons, max(1, budget // batch.ids.numel())):
            sums[:, chosen] += baseline.changes(neurons[chosen])
            done += len(chosen)
            given.progress(Progress(TASK, done // len(batches), len(neurons), "neurons"))
    if not np.isfinite(sums).all():
        raise WorkFailed("A cut gives a text a likelihood that is not a number. Load the model in float32.")
    forget, retain, neighbour = sums[:3] / np.maximum(counts, 1)[:, None]
    return SingleAblations(forget, retain, neighbour, sums[3] / counts[1:].sum())


def _groups(neurons: Int[np.ndarray, "neurons 2"], size: int) -> Iterator[Int[np.ndarray, " group"]]:
    """Which neurons are of one layer, at most `size` at a time."""
    for layer in np.unique(neurons[:, 0]):
        here = np.flatnonzero(neurons[:, 0] == layer)
        yield from (here[start : start + size] for start in range(0, len(here), size))


class _Baseline:
    """What the model predicts of one batch before a cut, to compare with.

    Attributes:
        counts: positions of each of the batch's kinds, int64 `[3]`.
    """

    def __init__(self, given: RankingInput, restart: Restart, batch: TokenBatch) -> None:
        self._given, self._restart, self._batch = given, restart, batch
        self._others = ~batch.concept[batch.positions]
        self._weight = batch.weight[batch.positions][self._others].cpu().double()
        self._kinds = [kind.cpu() for kind in batch.kinds]
        self.counts = np.array([int(kind.sum()) for kind in self._kinds])
        with torch.inference_mode():
            logits, self._states = restart.recorded(batch)
            self._nll = batch.nll(logits)
            self._log_p = torch.log_softmax(logits[self._others].float(), -1)

    def changes(self, neurons: Int[np.ndarray, "neurons 2"]) -> Float[np.ndarray, "4 neurons"]:
        """Summed changes (as in `SingleAblations`) when each of these, of one layer, is cut."""
        layer, copies = int(neurons[0, 0]), len(neurons)
        site, model_map = self._given.site, self._given.loaded.map
        factors = torch.ones(copies, model_map.require(site)[1])
        factors[torch.arange(copies), torch.from_numpy(neurons[:, 1])] = 0
        own = factors.repeat_interleave(len(self._batch.ids), 0)[:, None]
        with torch.inference_mode(), multiplied(model_map, {(site, layer): own}):
            logits = self._restart.logits(self._batch, self._states, layer, copies)
            return np.stack([self._change(some) for some in logits.chunk(copies)], axis=1)

    def _change(self, logits: Float[Tensor, "positions vocabulary"]) -> Float[np.ndarray, " 4"]:
        change = (self._batch.nll(logits) - self._nll).cpu().double()
        log_q = torch.log_softmax(logits[self._others].float(), -1)
        divergence = (self._log_p.exp() * (self._log_p - log_q)).sum(-1).cpu().double()
        parts = [change[kind] for kind in self._kinds] + [self._weight * divergence]
        return np.array([float(part.sum()) for part in parts])
