"""The integral behind `integrated_gradients`: gradients of the loss on the path of one layer from whole to nothing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from unlearning_core.edits.hooks import multiplied
from unlearning_core.errors import WorkFailed
from unlearning_core.evaluation.next_token import NextToken
from unlearning_core.progress import Progress
from unlearning_core.rankers.derivatives import NOT_FINITE, gradients
from unlearning_core.rankers.ranking_input import RankingInput
from unlearning_core.rankers.restart import Restart
from unlearning_core.rankers.token_batches import TokenBatch, positions_at_once

TASK = "integrating gradients layer by layer"


def shares(
    given: RankingInput, batches: Sequence[TokenBatch], steps: int, *, token_budget: int | None = None
) -> Float[np.ndarray, "3 layers width"]:
    """Each neuron's share of what cutting its whole layer does, nats a token.

    The first is of the concept tokens' mean negative log-likelihood, the second of all other tokens', the third of the
    neighbours' where these have a share of their own (else they are in the second). Steps stand side by side as copies
    of the batch, as many as the budget has room for, and begin at the layer's block.

    In a mixture of experts the shares add up but for what changes where a router sends a token elsewhere on the way:
    there the loss jumps, and no gradient sees a jump.

    Args:
        given: the model, whose weights get no gradient, and the site; its progress is told after every layer.
        batches: the sentences.
        steps: of the midpoint rule.
        token_budget: positions run at once, padding included.

    Raises:
        Stopped: `given.progress` raised it.
        WorkFailed: a gradient is not a number.
    """
    layers, width = given.loaded.map.require(given.site)
    restart = Restart(given.loaded, NextToken(given.loaded))
    budget = token_budget or positions_at_once(batches[0].ids.device)
    factors = (torch.arange(steps) + 0.5) / steps
    found, counts = np.zeros((3, layers, width)), np.zeros(3)
    for number, batch in enumerate(batches):
        counts += [int(kind.sum()) for kind in batch.kinds]
        with torch.no_grad():
            _, states = restart.recorded(batch)
        for layer in range(layers):
            for some in factors.split(max(1, budget // batch.ids.numel())):
                found[:, layer] -= _slopes(given, restart, batch, states, layer, some) / steps
            given.progress(Progress(TASK, number * layers + layer + 1, len(batches) * layers, "layers"))
    if not np.isfinite(found).all():
        raise WorkFailed(NOT_FINITE)
    return found / np.maximum(counts, 1)[:, None, None]


def _slopes(
    given: RankingInput,
    restart: Restart,
    batch: TokenBatch,
    states: Sequence[Tensor],
    layer: int,
    factors: Float[Tensor, " steps"],
) -> Float[np.ndarray, "3 width"]:
    """Derivatives of the summed loss in the layer's factors, summed over steps and sentences."""
    loaded, site = given.loaded, given.site
    own = factors.repeat_interleave(len(batch.ids)).to(batch.ids.device, loaded.model.dtype)
    leaf = own[:, None, None].repeat(1, 1, loaded.map.require(site)[1]).requires_grad_()
    with torch.enable_grad(), multiplied(loaded.map, {(site, layer): leaf}):
        logits = restart.logits(batch, states, layer, len(factors))
        nll = torch.stack([batch.nll(some) for some in logits.chunk(len(factors))]).sum(0)
    slopes = np.zeros((3, leaf.shape[-1]))
    for kind, (gradient,) in gradients([nll[chosen] for chosen in batch.kinds], [leaf]):
        slopes[kind] = gradient.cpu().double().sum((0, 1)).numpy()
    return slopes
