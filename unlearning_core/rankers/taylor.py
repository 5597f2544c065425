"""Taylor: what cutting a neuron does to the loss, from gradient x activation, summed over positions.

gain  = -d(concept loss)/d(factor): the estimated rise of the concept tokens' negative log-likelihood by a cut
        (Molchanov et al., ICLR 2017). It keeps its sign: a neuron whose cut lowers the loss carries no concept, and the
        absolute value cannot tell the two apart (on a story model it ranks worse than probeless).
cost  = -d(retain loss)/d(factor), at least 0, or the Fisher information of the factor / 2, which estimates the
        divergence that a cut causes at all other tokens (Theis et al. 2018).
score = gain / (cost + e), e a multiple of the middle neuron's Fisher information / 2 (rankers/gain_for_cost.py); or the
        gain alone.

A cut acts at every position, so the alignment at which activations are read makes no difference here.
"""

from typing import Literal

import numpy as np
from jaxtyping import Float
from pydantic import Field

from unlearning_core.rankers import parameters
from unlearning_core.rankers.gain_for_cost import gain_for_cost, rise
from unlearning_core.rankers.ranking_input import RankingInput


class Params(parameters.Params):
    against: Literal["retain", "nothing"] = Field(
        "retain",
        description="Divide the gain on the concept by the cost to other text, or rank by the gain alone.",
    )
    cost: parameters.CostParameter = "loss"
    eps: parameters.EpsParameter = 1.0
    sentences: parameters.SentencesParameter = 150
    precision: parameters.PrecisionParameter = "auto"


def passes(params: Params, sentences: int) -> float:
    """Forward passes over so many sentences that a ranking costs, roughly: one, and a gradient pass of about four."""
    return 1 + 4 * parameters.share(params.sentences, sentences)


def score(given: RankingInput, params: Params) -> Float[np.ndarray, "layers width"]:
    """Gain, or gain over cost."""
    from unlearning_core.models.fitting import where_it_fits
    from unlearning_core.rankers.derivatives import derivatives
    from unlearning_core.rankers.token_batches import Sentences, positions_at_once

    sentences = Sentences(given.sample(params.sentences))
    found = where_it_fits(
        lambda budget: derivatives(given, sentences.grouped(budget), precision=params.precision),
        positions_at_once(sentences.device),
    )
    if params.against == "nothing":
        return -found.concept
    loss = rise(-found.retain, -found.neighbour, given.neighbour_share)
    return gain_for_cost(-found.concept, loss, found.retain_square / 2, params.cost, params.eps)
