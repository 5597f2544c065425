"""Reset token rows that learn another sense of their words, while nothing else learns from those texts."""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from unlearning_core.edits.row_weights import row_parameters
from unlearning_core.errors import InputError
from unlearning_core.evaluation.next_token import NextToken
from unlearning_core.training.distill_data import head_end


class LearningRows:
    """Some rows of a model's head (where that is the embedding too, of both), with a learning rate of their own."""

    def __init__(self, model: Any, predictor: NextToken, tokens: Sequence[int], rate: float) -> None:
        """`rate` is in multiples of the other weights'.

        Raises:
            InputError: the model's logits are not its head's output.
        """
        if not predictor.by_head:
            raise InputError(
                "retraining.rows_learn is 'other_sense', and this model's logits are not its head's output alone, so "
                "that its rows cannot be trained by themselves. Choose 'nothing' or 'all'."
            )
        self._predictor, self._rate = predictor, rate
        self._weight: nn.Parameter = row_parameters(model)[head_end(model)]
        self._bias = getattr(model.get_output_embeddings(), "bias", None)
        self._softcap = getattr(model.config, "final_logit_softcapping", None)
        self._tokens = torch.tensor(tokens, device=self._weight.device)
        self._before: Tensor | None = None

    def logits(self, states: Float[Tensor, "n width"]) -> Float[Tensor, "n vocabulary"]:
        """What the head makes of these states; gradients flow to the rows alone."""
        with torch.no_grad():
            others = self._predictor.head_logits(states)
        bias = None if self._bias is None else self._bias[self._tokens].detach()
        own = nn.functional.linear(states.detach(), self._weight[self._tokens], bias)
        if self._softcap:
            own = torch.tanh(own / self._softcap) * self._softcap
        return others.index_copy(1, self._tokens, own.to(others.dtype))

    def begin(self) -> None:
        """Before an optimizer step: remember the rows."""
        self._before = self._weight.detach()[self._tokens].clone()

    def end(self) -> None:
        """After it: go as many times as far as the rate says."""
        if self._before is not None and self._rate != 1:
            with torch.no_grad():
                now = self._weight[self._tokens]
                self._weight[self._tokens] = self._before + self._rate * (now - self._before)
        self._before = None
