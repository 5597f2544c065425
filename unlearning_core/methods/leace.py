"""LEACE: the affine map of a hidden state, the smallest in mean square, after which no linear classifier finds the
concept in it, written into the weights.

Belrose et al. 2023 (arXiv 2306.03819), fitted by their library (`concept-erasure`) on hidden states of one depth: at
tokens of the concept against all other tokens of the run's training sentences. With one concept the map is

    x -> x - P (x - mean),      P of rank 1, oblique: it takes the covariance of x into account

It is written into the embedding and into what the layers below that depth write (edits/residual_map.py), so the layers
below it read mapped states as well, and what they write changes. The guarantee is for the hidden states that it was
fitted on. What a linear function of the hidden state still tells in the model that is made stands in the summary.
"""

from typing import TYPE_CHECKING

from unlearning_core.methods.hidden_states import Parameters, training_states
from unlearning_core.methods.method import MethodInput, Summary

if TYPE_CHECKING:
    from concept_erasure import LeaceFitter

    from unlearning_core.models.loading import LoadedModel


def make(given: MethodInput, parameters: Parameters) -> Summary:
    """Fit, write and save.

    Raises:
        InputError: this family's weights cannot carry the map.
    """
    from unlearning_core.edits.residual_map import ResidualMap, bake

    loaded = given.load()
    layer = loaded.map.hidden_state_at(parameters.depth)
    before = fitted(given, loaded, parameters)
    eraser = before.eraser
    left, right = eraser.proj_left.float(), eraser.proj_right.T.float().contiguous()
    bake(loaded.model, ResidualMap(left, right, before.mean_x.float(), layer), loaded.map)
    after = fitted(given, loaded, parameters)
    given.save(loaded)
    return {"layer": layer, "explained_before": explained(before), "explained_after": explained(after)}


def fitted(given: MethodInput, loaded: "LoadedModel", parameters: Parameters) -> "LeaceFitter":
    """What LEACE needs to know of the hidden states of the training sentences and of which are the concept's."""
    import torch
    from concept_erasure import LeaceFitter

    _, width = loaded.map.require("residual")
    device = loaded.model.get_input_embeddings().weight.device
    # Without the constraint on the trace the map is a projection: what the weights take away once stays away.
    fitter = LeaceFitter(width, 1, dtype=torch.float64, device=device, constrain_cov_trace=False)
    for states, concept in training_states(given, loaded, parameters):
        fitter.update(states, concept.double())
    return fitter


def explained(fitter: "LeaceFitter") -> float:
    """R squared: the share of the label's variance that the best linear function of the hidden state explains."""
    import torch

    share = float(fitter.mean_z)
    covariance = fitter.sigma_xx_ / (fitter.n - 1)
    inverse = torch.linalg.pinv(covariance, hermitian=True, rtol=1e-8)
    cross = fitter.sigma_xz[:, 0]
    return round(float(cross @ inverse @ cross) / (share * (1 - share)), 4)
