"""SimNPO: NPO without a reference, on the mean loss a token, so that long and short texts count alike.

    minimise  -(2 / beta) mean over texts of log sigmoid(-(beta / tokens) * log p(text) - gamma)
              + retain_weight * (mean loss a token to keep)

Fan et al. 2024 (arXiv 2410.07163). Of a text the counted tokens alone are multiplied and counted. The slope falls with
p(token)^beta: at a beta of 1 and more, right for answers that the model knows by heart, it has vanished where
a token already costs 4 nats, as a word in a sentence does, so the default is smaller.
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
    """Its budget, its temperature and margin, and the weight of what must stay."""

    learning_rate: float = Field(6e-5, ge=1e-12, le=1, description="peak learning rate")
    beta: float = Field(0.1, gt=0, le=100, description="how soon it lets go of a text that has become unlikely")
    gamma: float = Field(0.0, ge=0, le=100, description="margin: beta times how unlikely a token must be to be let go")


def forget_loss(
    nats: "Float[Tensor, ' texts']",
    tokens: "Float[Tensor, ' texts']",
    reference: "Float[Tensor, ' texts']",
    *,
    beta: float,
    gamma: float,
) -> "Tensor":
    """The formula above; the reference plays no part."""
    from torch.nn.functional import logsigmoid

    return -2 / beta * logsigmoid(beta * nats / tokens - gamma).mean()


def make(given: MethodInput, parameters: Parameters) -> Summary:
    """Train; raises as `fine_tune`."""
    loss = partial(forget_loss, beta=parameters.beta, gamma=parameters.gamma)
    return fine_tune(given, parameters, likelihood_objective(loss, parameters.retain_weight, needs_reference=False))
