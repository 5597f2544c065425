"""Exact ablation: neurons that a cheap ranking puts first are cut one by one, and the loss is measured each time.

gain  = change of the concept tokens' mean negative log-likelihood when the neuron alone is cut.
cost  = change of all other tokens' mean negative log-likelihood, at least 0; or the Kullback-Leibler divergence there.
score = gain / (cost + e), e a multiple of the middle candidate's divergence (rankers/gain_for_cost.py).

What gradients only estimate is measured here, neuron by neuron as in NeuroX's ablation (Dalvi et al. 2019). Candidates
whose cut helps come first, by score; neurons that were not tried follow in the order of the cheap ranking (`taylor`);
last come candidates whose cut does not raise the concept's loss. A cut acts at every position, so the alignment makes
no difference.
"""

import numpy as np
from jaxtyping import Float, Int
from pydantic import Field

from unlearning_core.rankers import parameters, taylor
from unlearning_core.rankers.gain_for_cost import first, gain_for_cost, positions, rise
from unlearning_core.rankers.ranking_input import RankingInput


class Params(parameters.Params):
    candidates: int = Field(300, ge=1, description="Neurons that are tried: the first of the cheap ranking.")
    cost: parameters.CostParameter = "loss"
    eps: parameters.EpsParameter = 3.0
    sentences: parameters.SentencesParameter = 24


def passes(params: Params, sentences: int) -> float:
    """Forward passes over so many sentences that a ranking costs, roughly: `taylor`, and half a pass a neuron."""
    return 5 + 0.5 * params.candidates * parameters.share(params.sentences, sentences)


def score(given: RankingInput, params: Params) -> Float[np.ndarray, "layers width"]:
    """Gain over cost where it was measured, and the cheap ranking's order elsewhere."""
    from unlearning_core.rankers.single_ablations import ablate_each
    from unlearning_core.rankers.token_batches import token_batches

    cheap = taylor.score(given, taylor.Params(cost=params.cost))
    chosen = first(cheap, params.candidates, given.massive())
    batches = token_batches(given.sample(params.sentences))
    found = ablate_each(given, batches, chosen)
    loss = rise(found.retain, found.neighbour, given.neighbour_share)
    return merged(cheap, chosen, gain_for_cost(found.forget, loss, found.divergence, params.cost, params.eps))


def merged(
    cheap: Float[np.ndarray, "layers width"], chosen: Int[np.ndarray, "n 2"], measured: Float[np.ndarray, " n"]
) -> Float[np.ndarray, "layers width"]:
    """One score of both: measured above 0, then what was not measured in the order of `cheap`, then the rest.

    Args:
        cheap: score of all neurons.
        chosen: (layer, index) of those that were measured.
        measured: their score.
    """
    helping = measured[measured > 0]
    least = helping.min() if len(helping) else 1.0
    score = least * (1 - (positions(cheap) + 1) / (cheap.size + 1))
    score[chosen[:, 0], chosen[:, 1]] = np.where(measured > 0, measured, np.minimum(measured, 0))
    return score
