"""First derivatives of the loss in each neuron's activation: what a cut costs, to first order, without cutting.

A cut multiplies a neuron by 0 instead of 1. The derivative of the loss in that factor at 1 is the sum over positions
of gradient x activation, so one backward pass gives for every neuron at once what a cut of it alone would change
("Pruning Convolutional Neural Networks for Resource Efficient Inference", Molchanov et al., ICLR 2017).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from unlearning_core.activations.reduce import all_reduced, processes
from unlearning_core.edits.hooks import multiplied
from unlearning_core.errors import WorkFailed
from unlearning_core.evaluation.next_token import NextToken
from unlearning_core.models.precision import Precision, computing
from unlearning_core.progress import Progress
from unlearning_core.rankers.ranking_input import RankingInput
from unlearning_core.rankers.token_batches import TokenBatch

TASK = "following the loss back"
NOT_FINITE = "The gradients of the loss are not finite numbers. Load the model in float32."


@dataclass(frozen=True)
class Derivatives:
    """Of the loss in the factor that every neuron of a site is multiplied by, float64.

    Attributes:
        concept: of the mean negative log-likelihood of the concept tokens, nats a token.
        retain: the same of all other tokens; of neighbours too, unless they have a share of their own.
        neighbour: the same of the neighbours; 0 where they have no share of their own.
        retain_square: sum over sentences of the squared derivative of the sentence's retain loss, a retain token: the
            empirical Fisher information of the factor. Half of it estimates the divergence from the model as it is
            that a cut causes ("Faster gaze prediction with dense networks and Fisher pruning", Theis et al. 2018).
            Neighbours' squares are added by their weight.
    """

    concept: Float[np.ndarray, "layers width"]
    retain: Float[np.ndarray, "layers width"]
    neighbour: Float[np.ndarray, "layers width"]
    retain_square: Float[np.ndarray, "layers width"]


def derivatives(
    given: RankingInput,
    batches: Sequence[TokenBatch],
    at: Float[np.ndarray, "layers width"] | None = None,
    *,
    precision: Precision = "float32",
) -> Derivatives:
    """One forward pass, and a backward pass each for the concept's, the neighbours' and all other tokens.

    Under torch.distributed each process runs every n-th batch and the sums are reduced: all end with the same.

    Args:
        given: the model, whose weights get no gradient, and the site; its progress is told after every batch.
        batches: the sentences; a batch in which no token is of a kind costs no backward pass for that kind.
        at: factors at which the derivatives are taken; ones if not given.
        precision: of the matrix products (models/precision.py).

    Raises:
        Stopped: `given.progress` raised it.
        WorkFailed: a derivative is not a number.
    """
    loaded, site = given.loaded, given.site
    shape = loaded.map.require(site)
    point = torch.ones(shape) if at is None else torch.from_numpy(at).float()
    predictor = NextToken(loaded)
    sums, square, counts, done = np.zeros((3, *shape)), np.zeros(shape), np.zeros(3), 0
    total = sum(batch.tokens for batch in batches)
    rank, world = processes()
    with computing(loaded.model, precision):
        for number, batch in enumerate(batches):
            done += batch.tokens
            if number % world != rank:
                continue
            # A leaf `[texts, 1, width]` a layer: each sentence has factors, and so derivatives, of its own.
            rows = point.to(batch.ids.device, loaded.model.dtype)
            factors = [row.expand(len(batch.ids), 1, -1).clone().requires_grad_() for row in rows]
            with torch.enable_grad(), multiplied(loaded.map, {(site, layer): f for layer, f in enumerate(factors)}):
                losses = losses_by_kind(predictor, batch)
            for kind, found in gradients(losses, factors):
                by_text = torch.stack([gradient[:, 0] for gradient in found], dim=1).cpu().double()
                sums[kind] += by_text.sum(0).numpy()
                counts[kind] += len(losses[kind])
                if kind:
                    weight = float(batch.weight[batch.of_kind[kind]][0])
                    square += weight * by_text.square().sum(0).numpy()
            given.progress(Progress(TASK, done, total, "tokens"))
    sums, square, counts = (all_reduced(own) for own in (sums, square, counts))
    if not (np.isfinite(sums).all() and np.isfinite(square).all()):
        raise WorkFailed(NOT_FINITE)
    concept, retain, neighbour = sums / np.maximum(counts, 1)[:, None, None]
    return Derivatives(concept, retain, neighbour, square / counts[1:].sum())


def losses_by_kind(predictor: NextToken, batch: TokenBatch) -> list[Float[Tensor, " positions"]]:
    """Negative log-likelihood, nats, at the positions of each of `batch.of_kind`, from one pass through the body.

    Each kind has logits of its own, so that a way back from the few concept tokens is through their logits alone.
    """
    if not predictor.by_head:
        logits = predictor.logits(batch.ids, batch.attention_mask, batch.positions)
        return [batch.nll(logits[where[batch.positions]], where) for where in batch.of_kind]
    states = predictor.states(batch.ids, batch.attention_mask)
    return [batch.nll(predictor.head_logits(states[where]), where) for where in batch.of_kind]


def gradients(
    losses: Sequence[Float[Tensor, " positions"]], leaves: Sequence[Tensor]
) -> Iterator[tuple[int, tuple[Tensor, ...]]]:
    """For each kind of which there is a position: its number, and the gradients of its summed loss."""
    present = [kind for kind, loss in enumerate(losses) if len(loss)]
    for kind in present:
        settings: Any = {"retain_graph": kind != present[-1], "allow_unused": True, "materialize_grads": True}
        yield kind, torch.autograd.grad(losses[kind].sum(), leaves, **settings)
