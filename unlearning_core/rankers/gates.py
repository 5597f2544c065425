"""Learned gates: one gate a neuron, trained on frozen weights to lose the concept and keep everything else.

A gate is a number from 0 (the neuron is cut) to 1 that multiplies the neuron, drawn from a hard-concrete distribution,
which has mass at exactly 0 and 1 and passes gradients to its parameter log alpha ("Learning Sparse Neural Networks
through L0 Regularization", Louizos et al., ICLR 2018). What is minimised ("Discovering Knowledge-Critical Subnetworks
in Pretrained Language Models", Bayazit et al. 2023, with the loss capped token by token):

    - mean over concept tokens of min(rise of the negative log-likelihood, cap)
    + keep x mean over all other tokens, neighbours by their weight, of KL(base || gated)
    + few x expected number of closed gates / 1 % of the neurons

score = - log alpha: the most surely closed first. Only the first candidates of a cheap ranking (`taylor`) get a gate,
and start the more closed the higher they stand there; the others follow as gates that were never trained. Each sentence
draws gates of its own, so that one step tries many cuts. A cut acts at every position, so the alignment makes no
difference.
"""

import numpy as np
from jaxtyping import Float

from unlearning_core.rankers import parameters, taylor
from unlearning_core.rankers.gain_for_cost import first, positions
from unlearning_core.rankers.parameters import GateParams as Params
from unlearning_core.rankers.ranking_input import RankingInput


def passes(params: Params, sentences: int) -> float:
    """Forward passes over so many sentences that a ranking costs, roughly: `taylor`, and three for each batch."""
    return taylor.passes(taylor.Params(), sentences) + 3 * params.steps * parameters.share(params.batch, sentences)


def score(given: RankingInput, params: Params) -> Float[np.ndarray, "layers width"]:
    """- log alpha."""
    from unlearning_core.rankers.gate_training import OPEN, GateTraining

    cheap = taylor.score(given, taylor.Params())
    chosen = first(cheap, params.candidates, given.massive())
    log_alpha = GateTraining(given.sample(params.sentences), chosen, params).run()
    score = -OPEN - positions(cheap) / cheap.size
    score[chosen[:, 0], chosen[:, 1]] = -log_alpha
    return score
