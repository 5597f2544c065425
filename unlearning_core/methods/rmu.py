"""RMU, representation misdirection: at one depth, text to forget is steered to a random vector, other text stays.

    minimise  mean over counted positions of |h - c u|^2 / s^2  +  retain_weight * mean of |h - h_before|^2 / s^2

h is the hidden state at the depth, h_before the one of the model before the training, u a random unit vector, s the
root mean square norm of hidden states of text to keep, c = coefficient * s. Li et al. 2024 (arXiv 2403.03218) train the
MLP output weights of the layer that is steered and of the two before it, and so does this. There c is a number for one
7B model, and the squares are not divided by s^2; relative to the norm it carries over to small models.

Position 0 is left out: its norm, the attention sink's, would drown all others. What is not trained is not held twice:
h_before is read with the weights before the training put in for the pass.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pydantic import Field

from unlearning_core.errors import InputError
from unlearning_core.methods.fine_tuning import WithRetainTerm, fine_tune
from unlearning_core.methods.method import MethodInput, Summary

if TYPE_CHECKING:
    from jaxtyping import Bool, Float
    from torch import Tensor, nn

    from unlearning_core.models.loading import LoadedModel
    from unlearning_core.training.unlearn import Corpus, Objective, TextBatch

LAYERS_TRAINED = 3


class Parameters(WithRetainTerm):
    """Its budget, where it steers and how far."""

    learning_rate: float = Field(1e-3, ge=1e-12, le=1, description="peak learning rate")
    retain_weight: float = Field(10.0, ge=0, le=1e6, description="weight of the distance on the text to keep")
    depth: float = Field(0.5, gt=0, le=1, description="depth that is steered, as a share of the layers")
    coefficient: float = Field(4.0, gt=0, le=1000, description="length of the vector, in norms of a hidden state there")


def misdirection(
    hidden: "Float[Tensor, 'texts tokens d']", towards: "Float[Tensor, '...']", counted: "Bool[Tensor, 'texts tokens']"
) -> "Tensor":
    """Mean over the counted positions of the squared distance from `hidden` to `towards`."""
    return (hidden - towards)[counted].square().sum(-1).mean()


def make(given: MethodInput, parameters: Parameters) -> Summary:
    """Train; raises as `fine_tune`, and InputError for a mixture of experts."""

    def trained(loaded: "LoadedModel") -> "Sequence[nn.Parameter]":
        if loaded.map.experts:
            raise InputError("RMU trains MLP output weights, and this model is a mixture of experts. Choose another.")
        last = loaded.map.hidden_state_at(parameters.depth)
        return [
            part.weight
            for layer in range(max(0, last - LAYERS_TRAINED), last)
            for part in loaded.map.parts("mlp", layer)
        ]

    def objective(loaded: "LoadedModel", forget: "Corpus") -> "Objective":
        return _Misdirection(loaded, parameters, trained(loaded), given.seed)

    return fine_tune(given, parameters, objective, trained)


class _Misdirection:
    """The objective; the vector and the norm are set by the first batch and the seed."""

    def __init__(
        self, loaded: "LoadedModel", parameters: Parameters, trained: "Sequence[nn.Parameter]", seed: int
    ) -> None:
        import torch

        self._loaded, self._parameters, self._trained = loaded, parameters, trained
        self._layer = loaded.map.hidden_state_at(parameters.depth)
        self._before = [parameter.detach().clone() for parameter in trained]
        width = loaded.map.require("residual")[1]
        drawn = torch.rand(width, generator=torch.Generator().manual_seed(seed))
        self._direction = (drawn / drawn.norm()).to(trained[0].device)
        self._norm: Tensor | None = None

    def __call__(self, forget: "TextBatch", retain: "TextBatch") -> "tuple[Tensor, Tensor]":
        import torch

        with torch.no_grad(), self._untrained():
            before = self._hidden(retain)
        kept = _without_first(retain.counted)
        if self._norm is None:
            self._norm = before[kept].square().sum(-1).mean().sqrt()
        target = self._parameters.coefficient * self._norm * self._direction
        square = self._norm.square()
        loss = misdirection(self._hidden(forget), target, _without_first(forget.counted)) / square
        return loss, self._parameters.retain_weight * misdirection(self._hidden(retain), before, kept) / square

    def _hidden(self, batch: "TextBatch") -> "Float[Tensor, 'texts tokens d']":
        """The hidden state at the depth; the layers above it do not run."""
        from unlearning_core.activations.hooks import listening

        found: list[Tensor] = []

        def stop(layer: int, state: "Tensor") -> None:
            found.append(state)
            raise _DeepEnough

        try:
            with listening(self._loaded.map, "residual", stop, only=self._layer):
                self._loaded.map.body(
                    input_ids=batch.ids, attention_mask=batch.attention_mask, use_cache=False
                )  # fmt: skip
        except _DeepEnough:
            pass
        return found[0]

    @contextmanager
    def _untrained(self) -> "Iterator[None]":
        """Inside the `with` the weights are those before the training."""
        now = [parameter.data for parameter in self._trained]
        try:
            for parameter, before in zip(self._trained, self._before, strict=True):
                parameter.data = before
            yield
        finally:
            for parameter, data in zip(self._trained, now, strict=True):
                parameter.data = data


class _DeepEnough(Exception):
    """Ends a pass at the depth that is read."""


def _without_first(counted: "Bool[Tensor, 'texts tokens']") -> "Bool[Tensor, 'texts tokens']":
    left = counted.clone()
    left[:, 0] = False
    return left
