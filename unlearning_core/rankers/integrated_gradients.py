"""Integrated gradients over the activation: knowledge neurons (Dai et al., ACL 2022; Sundararajan et al., ICML 2017).

All neurons of one layer are scaled together from what they hold to nothing, and each is given its share of what that
does to the loss:

    share = - integral over a from 0 to 1 of d(loss)/d(factor of the neuron), at factors a throughout the layer

The shares of a layer add up to the rise of the loss when the whole layer is cut (completeness). Differences to the
paper: the loss in place of the probability, so that tokens add; a cut's factor at all positions in place of the one
before the word; the midpoint rule, which needs fewer steps than the paper's sum over the right ends.

gain  = the neuron's share of the concept tokens' loss, cost = its share of all other tokens' loss, at least 0;
score = gain / (cost + e), e a multiple of the middle neuron's |share| of the other tokens' loss.

A cut acts at every position, so the alignment makes no difference.
"""

import numpy as np
from jaxtyping import Float
from pydantic import Field

from unlearning_core.rankers import parameters
from unlearning_core.rankers.gain_for_cost import gain_for_cost, odds, rise
from unlearning_core.rankers.ranking_input import RankingInput


class Params(parameters.Params):
    steps: int = Field(4, ge=1, le=1000, description="Steps from the whole activation to none.")
    eps: parameters.EpsParameter = 1.0
    sentences: parameters.SentencesParameter = 24


def passes(params: Params, sentences: int) -> float:
    """Forward passes over so many sentences that a ranking costs, roughly: one, and a gradient pass a step."""
    return 1 + 4 * params.steps * parameters.share(params.sentences, sentences)


def score(given: RankingInput, params: Params) -> Float[np.ndarray, "layers width"]:
    """Gain over cost."""
    from unlearning_core.rankers.path_gradients import shares
    from unlearning_core.rankers.token_batches import token_batches

    batches = token_batches(given.sample(params.sentences))
    gain, loss, neighbour = shares(given, batches, params.steps)
    either_way = np.abs(loss) + odds(given.neighbour_share) * np.abs(neighbour)
    return gain_for_cost(gain, rise(loss, neighbour, given.neighbour_share), either_way, "loss", params.eps)
