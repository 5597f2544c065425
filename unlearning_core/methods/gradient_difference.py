"""Gradient difference: gradient ascent on the text to forget, descent on the text to keep.

    minimise  -(mean loss a token to forget) + retain_weight * (mean loss a token to keep)

Liu et al. 2022 (arXiv 2203.12817); `GradDiff` of open-unlearning. The ascent has no lower bound here either.
"""

from pydantic import Field

from unlearning_core.methods.fine_tuning import WithRetainTerm, fine_tune, likelihood_objective
from unlearning_core.methods.gradient_ascent import forget_loss
from unlearning_core.methods.method import MethodInput, Summary


class Parameters(WithRetainTerm):
    """Its budget, and the weight of what must stay."""

    learning_rate: float = Field(3e-5, ge=1e-12, le=1, description="peak learning rate")


def make(given: MethodInput, parameters: Parameters) -> Summary:
    """Train; raises as `fine_tune`."""
    objective = likelihood_objective(forget_loss, parameters.retain_weight, needs_reference=False)
    return fine_tune(given, parameters, objective)
