"""Learned gates: one gate a neuron, trained on frozen weights to lose the concept and keep everything else.

A gate is a number from 0 (the neuron is cut) to 1 that multiplies the neuron, drawn from a hard-concrete distribution,
which has mass at exactly 0 and 1 and passes gradients to its parameter log alpha ("Learning Sparse Neural Networks
through L0 Regularization", Louizos et al., ICLR 2018). What is minimised ("Discovering Knowledge-Critical Subnetworks
in Pretrained Language Models", Bayazit et al. 2023, with the loss capped token by token):

    - mean over concept tokens of min(rise of the negative log-likelihood, cap)
    + keep x mean over all other tokens, neighbours by their weight, of KL(base || gated)
    + few x expected number of closed gates / 1 % of the neurons

score = - log alpha: the most surely closed first. Only the first candidates of a cheap ranking (`taylor`) get a gate,
and start the more closed the higher they stand there; the others follow as gates that were never trained. Each sentence
draws gates of its own, so that one step tries many cuts. A cut acts at every position, so the alignment makes no
difference.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from unlearning_core.progress import ProgressCallback
from unlearning_core.rankers import taylor
from unlearning_core.rankers.ablation import first, massive

if TYPE_CHECKING:
    from unlearning_core.activations.collect import Activations
    from unlearning_core.rankers.ranking_input import Subject


class Params(BaseModel):
    """Parameters of the method."""

    model_config = ConfigDict(extra="forbid")

    steps: int = Field(90, ge=1, le=100_000, description="Optimizer steps.")
    batch: int = Field(8, ge=1, description="Sentences with, and as many without the concept, a step.")
    candidates: int = Field(4000, ge=1, description="Neurons that get a gate: the first of the cheap ranking.")
    cap: float = Field(4.0, gt=0, description="Rise of a concept token's loss, in nats, beyond which nothing is won.")
    keep: float = Field(6.0, ge=0, description="Weight of the divergence from the base model at all other tokens.")
    few: float = Field(0.1, ge=0, description="Nats that closing 1 % of the neurons costs.")
    learning_rate: float = Field(0.2, gt=0, description="Adam's, for log alpha; it falls to a tenth at the end.")
    sentences: int = Field(300, ge=2, description="Training sentences with, and as many without the concept, at most.")
    precision: Literal["float32", "bfloat16"] = Field(
        "float32",
        description="Of the passes; bfloat16 is faster on a GPU and on a CPU that multiplies it itself.",
    )


def score(
    activations: Activations,
    outgoing_norm: np.ndarray,
    params: Params,
    *,
    seed: int,
    progress: ProgressCallback,
    subject: Subject,
) -> np.ndarray:
    """- log alpha, `[layers, width]`."""
    from unlearning_core.rankers.gate_training import OPEN, GateTraining
    from unlearning_core.rankers.token_batches import some

    cheap = taylor.score(activations, outgoing_norm, taylor.Params(), seed=seed, progress=progress, subject=subject)
    chosen = first(cheap, params.candidates, massive(activations))
    less = replace(subject, items=some(subject.items, params.sentences, seed))
    log_alpha = GateTraining(less, activations.site, chosen, params, seed, progress).run(progress)
    place = np.empty(cheap.size)
    place[np.argsort(-cheap.ravel(), kind="stable")] = np.arange(cheap.size)
    score = (-OPEN - place / cheap.size).reshape(cheap.shape)
    score[chosen[:, 0], chosen[:, 1]] = -log_alpha
    return score
