"""First derivatives of the loss in each neuron's activation: what a cut costs, to first order, without cutting.

A cut multiplies a neuron by 0 instead of 1. The derivative of the loss in that factor at 1 is the sum over positions
of gradient x activation, so one backward pass gives for every neuron at once what a cut of it alone would change
("Pruning Convolutional Neural Networks for Resource Efficient Inference", Molchanov et al., ICLR 2017).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from unlearning_core.errors import WorkFailed
from unlearning_core.evaluation.next_token import NextToken
from unlearning_core.models.loading import LoadedModel
from unlearning_core.progress import Progress, ProgressCallback
from unlearning_core.pruning.hooks import multiplied
from unlearning_core.rankers.token_batches import TokenBatch

TASK = "following the loss back"


@dataclass(frozen=True)
class Derivatives:
    """Of the loss in the factor that every neuron of a site is multiplied by, float64 `[layers, width]`.

    Attributes:
        concept: of the mean negative log-likelihood of the concept tokens, nats a token.
        retain: the same of all other tokens, by their weight.
        retain_square: sum over sentences of the squared derivative of the sentence's retain loss, a retain token: the
            empirical Fisher information of the factor. Half of it estimates the divergence from the model as it is
            that a cut causes ("Faster gaze prediction with dense networks and Fisher pruning", Theis et al. 2018). A
            token enters by the root of its weight, so that its square has the weight.
    """

    concept: np.ndarray
    retain: np.ndarray
    retain_square: np.ndarray


def derivatives(
    loaded: LoadedModel,
    batches: Sequence[TokenBatch],
    site: str,
    *,
    at: np.ndarray | None = None,
    progress: ProgressCallback,
) -> Derivatives:
    """One forward pass, and a backward pass each for the concept's and the other tokens; one more with weights.

    Args:
        loaded: the model; its weights get no gradient.
        batches: the sentences.
        site: which kind of neuron.
        at: factors at which the derivatives are taken, `[layers, width]`; ones if not given.
        progress: told after every batch; may raise Stopped.

    Raises:
        WorkFailed: a derivative is not a number.
    """
    shape = loaded.map.require(site)
    point = torch.ones(shape) if at is None else torch.from_numpy(at).float()
    predictor = NextToken(loaded)
    sums, counts, done = np.zeros((3, *shape)), np.zeros(2), 0
    total = sum(batch.tokens for batch in batches)
    for batch in batches:
        factors = _factors(loaded, site, point, len(batch.ids))
        with torch.enable_grad(), multiplied(loaded.map, {(site, layer): f for layer, f in enumerate(factors)}):
            nats = batch.nats(predictor.logits(batch.ids, batch.seen, batch.places))
        is_concept, weight = batch.concept[batch.places], batch.weight[batch.places]
        counts += int(is_concept.sum()), int((~is_concept).sum())
        if bool(is_concept.any()):
            sums[0] += _by_text(nats[is_concept].sum(), factors, last=bool(is_concept.all())).sum(0)
        if not bool(is_concept.all()):
            nats, weight = nats[~is_concept], weight[~is_concept]
            even = bool((weight == 1).all())
            weighted = _by_text((weight * nats).sum(), factors, last=even)
            sums[1] += weighted.sum(0)
            root = weighted if even else _by_text((weight.sqrt() * nats).sum(), factors, last=True)
            sums[2] += (root**2).sum(0)
        done += batch.tokens
        progress(Progress(TASK, done, total, "tokens"))
    if not np.isfinite(sums).all():
        raise WorkFailed("The gradients of the loss are not finite numbers. Load the model in float32.")
    return Derivatives(sums[0] / counts[0], sums[1] / counts[1], sums[2] / counts[1])


def _by_text(loss: torch.Tensor, factors: list[torch.Tensor], *, last: bool) -> np.ndarray:
    """Derivatives by sentence, float64 `[texts, layers, width]`; after the `last` ones the pass is forgotten."""
    found = torch.autograd.grad(loss, factors, retain_graph=not last, allow_unused=True, materialize_grads=True)
    return torch.stack([gradient[:, 0] for gradient in found], dim=1).cpu().double().numpy()


def _factors(loaded: LoadedModel, site: str, point: torch.Tensor, texts: int) -> list[torch.Tensor]:
    """A leaf `[texts, 1, width]` a layer: each sentence has its own factors, so that it gets its own derivatives."""
    device, dtype = loaded.model.get_input_embeddings().weight.device, loaded.model.dtype
    rows = point.to(device, dtype)
    return [row.expand(texts, 1, -1).clone().requires_grad_() for row in rows]
