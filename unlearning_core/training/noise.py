"""Weights shrunk towards fresh ones before a distillation: what is left of a concept is then harder to bring back.

UNDO, "Distillation Robustifies Unlearning" (Lee et al. 2025, AddieFoote/distillation-robustify-unlearning, MIT).
"""

import math

import torch
from torch import nn


def shrink_towards_fresh(model: nn.Module, share: float, scale: float, seed: int) -> None:
    """In place, for every matrix w of `model`: `w <- (1 - share) w + share * scale * x`; vectors stay as they are.

    `x` is a fresh matrix, uniform within +-sqrt(6 / (inputs + outputs)) (Glorot and Bengio 2010); of a weight that
    holds all experts each expert is a matrix of its own.

    Args:
        share: 0 leaves everything as it is, 1 leaves nothing of the model.
        scale: of the fresh weights.
        seed: of the fresh weights; their values depend on the order and the shapes of the parameters alone.
    """
    if share == 0:
        return
    drawn = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in model.parameters():  # tied ones come once
            if weight.dim() < 2:
                continue
            bound = math.sqrt(6 / (weight.shape[-1] + weight.shape[-2]))
            fresh = torch.rand(weight.shape, generator=drawn).mul_(2).sub_(1).mul_(bound)
            weight.mul_(1 - share).add_(fresh.to(weight), alpha=share * scale)
