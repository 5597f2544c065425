"""Steering by ablation: the direction in which hidden states of the concept differ from all others is taken out.

    x -> x - r r' (x - mean),      r = (mean_concept - mean) / |mean_concept - mean|

mean and mean_concept are means of the hidden states of one depth over the run's training sentences: at tokens of the
concept, and at all others. The map is applied at every depth, by writing it into the embedding and into all that the
layers write (edits/residual_map.py): the directional ablation of Arditi et al. 2024 (arXiv 2406.11717), which they too
write into the weights, here onto the mean of the others in place of 0, which costs other text less.
"""

from typing import TYPE_CHECKING

from unlearning_core.methods.hidden_states import Parameters, training_states
from unlearning_core.methods.method import MethodInput, Summary

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from unlearning_core.models.loading import LoadedModel


def make(given: MethodInput, parameters: Parameters) -> Summary:
    """Read the direction, write the ablation and save.

    Raises:
        InputError: this family's weights cannot carry the map.
    """
    from unlearning_core.edits.residual_map import ResidualMap, bake

    loaded = given.load()
    others, concept = class_means(given, loaded, parameters)
    length = (concept - others).norm()
    direction = ((concept - others) / length)[:, None]
    bake(loaded.model, ResidualMap(direction, direction, others, len(loaded.map.blocks)), loaded.map)
    given.save(loaded)
    return {
        "layer": loaded.map.hidden_state_at(parameters.depth),
        "difference": round(float(length), 4),
        "norm_of_the_others": round(float(others.norm()), 4),
    }


def class_means(
    given: MethodInput, loaded: "LoadedModel", parameters: Parameters
) -> "tuple[Float[Tensor, ' d_model'], Float[Tensor, ' d_model']]":
    """Mean hidden state at all other tokens, and at those of the concept."""
    import torch

    _, width = loaded.map.require("residual")
    device = loaded.model.get_input_embeddings().weight.device
    sums, counts = torch.zeros(2, width, dtype=torch.float64, device=device), [0, 0]
    for states, mine in training_states(given, loaded, parameters):
        for number, chosen in enumerate((~mine, mine)):
            sums[number] += states[chosen].sum(0)
            counts[number] += int(chosen.sum())
    return (sums[0] / counts[0]).float(), (sums[1] / counts[1]).float()
