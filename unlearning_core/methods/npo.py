"""NPO, negative preference optimisation: ascent that ebbs away where the text is unlikely already.

    minimise  -(2 / beta) mean over texts of log sigmoid(-beta * log(p(text) / p_before(text)))
              + retain_weight * (mean loss a token to keep)

Zhang et al. 2024 (arXiv 2404.05868), with the retain term that open-unlearning adds; p_before is the model before the
training. Of a text the counted tokens alone are multiplied. For beta towards 0 it becomes gradient ascent; what bounds
the damage is that the slope falls with p(text)^beta. p_before is a number a text, read once: no second model is held.
"""

from functools import partial
from typing import TYPE_CHECKING

from pydantic import Field

from unlearning_core.methods.fine_tuning import WithRetainTerm, fine_tune, likelihood_objective
from unlearning_core.methods.method import MethodInput, Summary

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor


class Parameters(WithRetainTerm):
    """Its budget, its temperature, and the weight of what must stay."""

    learning_rate: float = Field(6e-5, ge=1e-12, le=1, description="peak learning rate")
    beta: float = Field(0.1, gt=0, le=100, description="how soon it lets go of a text that has become unlikely")


def forget_loss(
    nats: "Float[Tensor, ' texts']",
    tokens: "Float[Tensor, ' texts']",
    reference: "Float[Tensor, ' texts']",
    *,
    beta: float,
) -> "Tensor":
    """The formula above: log(p / p_before) of a text is `reference` - `nats`."""
    from torch.nn.functional import logsigmoid

    return -2 / beta * logsigmoid(beta * (nats - reference)).mean()


def make(given: MethodInput, parameters: Parameters) -> Summary:
    """Train; raises as `fine_tune`."""
    loss = partial(forget_loss, beta=parameters.beta)
    return fine_tune(given, parameters, likelihood_objective(loss, parameters.retain_weight, needs_reference=True))
