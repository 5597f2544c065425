"""Gradient ascent: the loss on the text to forget is made larger, and nothing says what must stay.

    minimise  -(1 / N) sum over the N counted tokens of -log p(token | text before it)

Jang et al. 2023 (arXiv 2210.01504); in collections of methods (Maini et al. 2024, arXiv 2401.06121) it stands as the
baseline that everything else must beat. It has no lower bound: with enough steps any model falls apart.
"""

from typing import TYPE_CHECKING

from pydantic import Field

from unlearning_core.methods.fine_tuning import FineTuning, fine_tune, likelihood_objective
from unlearning_core.methods.method import MethodInput, Summary

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor


class Parameters(FineTuning):
    """Its budget."""

    learning_rate: float = Field(1e-5, ge=1e-12, le=1, description="peak learning rate")


def forget_loss(
    nats: "Float[Tensor, ' texts']", tokens: "Float[Tensor, ' texts']", reference: "Float[Tensor, ' texts']"
) -> "Tensor":
    """Minus the mean loss of a counted token; the reference plays no part."""
    return -nats.sum() / tokens.sum()


def make(given: MethodInput, parameters: Parameters) -> Summary:
    """Train; raises as `fine_tune`."""
    return fine_tune(given, parameters, likelihood_objective(forget_loss, 0.0, needs_reference=False))
