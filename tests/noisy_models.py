"""A copy of a model with noise in every weight: one that has lost what the base predicts."""

import copy
from dataclasses import replace
from typing import Any

import torch

from unlearning_core.models.mapping import map_model


def noisy(loaded: Any, scale: float, seed: int = 1) -> Any:
    """The loaded model with normal noise of that standard deviation added to each weight; `loaded` stays as it is."""
    model = copy.deepcopy(loaded.model)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(scale * torch.randn(weight.shape, generator=generator))
    return replace(loaded, model=model, map=map_model(model))
