"""What cutting each of many neurons alone does to the loss, measured: exact, and one neuron at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from unlearning_core.edits.hooks import multiplied
from unlearning_core.errors import WorkFailed
from unlearning_core.evaluation.next_token import NextToken
from unlearning_core.models.loading import LoadedModel
from unlearning_core.progress import Progress, ProgressCallback
from unlearning_core.rankers.restart import Restart
from unlearning_core.rankers.token_batches import TokenBatch, positions_at_once

TASK = "cutting neurons one by one"


@dataclass(frozen=True)
class CutsAlone:
    """By neuron, in the order given, float64 `[neurons]`, nats a token.

    Attributes:
        forget: change of the concept tokens' mean negative log-likelihood.
        retain: change of all other tokens' mean negative log-likelihood; of neighbours' too, unless they have a share
            of their own.
        neighbour: change of the neighbours'; 0 where they have no share of their own.
        divergence: mean Kullback-Leibler divergence at the other tokens and the neighbours, by their weight, of the
            predictions without the neuron from those with it.
    """

    forget: np.ndarray
    retain: np.ndarray
    neighbour: np.ndarray
    divergence: np.ndarray


def cut_each(
    loaded: LoadedModel,
    batches: Sequence[TokenBatch],
    site: str,
    neurons: np.ndarray,
    *,
    kept: np.ndarray | None = None,
    token_budget: int | None = None,
    progress: ProgressCallback,
) -> CutsAlone:
    """Cut one neuron after the other.

    A batch stands as many times side by side as the budget has room for, in each copy with another neuron of one layer
    cut, and passes begin at that layer's block.

    Args:
        loaded: the model; it is left as it is.
        batches: the sentences.
        site: which kind of neuron.
        neurons: (layer, index), int `[neurons, 2]`.
        kept: bool `[layers, width]`, False for neurons that are cut already, in what is compared with too.
        token_budget: positions run at once, padding included.
        progress: told after every pass; may raise Stopped.

    Raises:
        WorkFailed: the loss is not a number.
    """
    predictor = NextToken(loaded)
    restart = Restart(loaded, predictor)
    budget = token_budget or positions_at_once(batches[0].ids.device)
    kept = np.ones(loaded.map.require(site), bool) if kept is None else kept
    sums, counts, done = np.zeros((4, len(neurons))), np.zeros(3), 0
    for batch in batches:
        sheet = _Sheet(loaded, restart, batch, site, kept)
        counts += sheet.counts
        for chosen in _groups(neurons, max(1, budget // batch.ids.numel())):
            sums[:, chosen] += sheet.cut(neurons[chosen])
            done += len(chosen)
            progress(Progress(TASK, done // len(batches), len(neurons), "neurons"))
    if not np.isfinite(sums).all():
        raise WorkFailed("A cut gives a text a likelihood that is not a number. Load the model in float32.")
    forget, retain, neighbour = sums[:3] / np.maximum(counts, 1)[:, None]
    return CutsAlone(forget, retain, neighbour, sums[3] / counts[1:].sum())


def _groups(neurons: np.ndarray, size: int) -> Iterator[np.ndarray]:
    """Numbers of neurons of one layer, at most `size` at a time."""
    for layer in np.unique(neurons[:, 0]):
        here = np.flatnonzero(neurons[:, 0] == layer)
        yield from (here[start : start + size] for start in range(0, len(here), size))


class _Sheet:
    """One batch as it is, and what is needed to see what a cut changes."""

    def __init__(self, loaded: LoadedModel, restart: Restart, batch: TokenBatch, site: str, kept: np.ndarray) -> None:
        self._restart, self._batch, self._site, self._map = restart, batch, site, loaded.map
        self._factors = torch.from_numpy(kept).float()
        self._is_concept = batch.concept[batch.places]
        self._weight = batch.weight[batch.places][~self._is_concept].cpu().double()
        self._kinds = [kind.cpu() for kind in batch.kinds]
        self.counts = np.array([int(kind.sum()) for kind in self._kinds])
        with torch.inference_mode(), multiplied(self._map, self._cuts()):
            logits, self._states = restart.recorded(batch)
            self._nats = batch.nats(logits)
            self._known = torch.log_softmax(logits[~self._is_concept].float(), -1)

    def cut(self, neurons: np.ndarray) -> np.ndarray:
        """Summed changes `[4, neurons]` (as in `CutsAlone`) when each of these, of one layer, is cut."""
        layer, copies = int(neurons[0, 0]), len(neurons)
        factors = self._factors[layer].repeat(copies, 1)
        factors[torch.arange(copies), torch.from_numpy(neurons[:, 1])] = 0
        own = factors.repeat_interleave(len(self._batch.ids), 0)[:, None]
        found = np.empty((4, copies))
        with torch.inference_mode(), multiplied(self._map, self._cuts() | {(self._site, layer): own}):
            logits = self._restart.logits(self._batch, self._states, layer, copies)
            for number, mine in enumerate(logits.chunk(copies)):
                change = (self._batch.nats(mine) - self._nats).cpu().double()
                other = torch.log_softmax(mine[~self._is_concept].float(), -1)
                apart = (self._known.exp() * (self._known - other)).sum(-1).cpu().double()
                parts = [change[kind] for kind in self._kinds] + [self._weight * apart]
                found[:, number] = [float(part.sum()) for part in parts]
        return found

    def _cuts(self) -> dict[tuple[str, int], torch.Tensor]:
        """What is cut already."""
        layers = (self._factors == 0).any(1).nonzero().flatten().tolist()
        return {(self._site, layer): self._factors[layer] for layer in layers}
