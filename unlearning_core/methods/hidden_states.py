"""Hidden states of the run's training sentences, which methods are fitted on that take a concept out of them."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

from unlearning_core.methods.method import MethodInput

if TYPE_CHECKING:
    from jaxtyping import Bool, Float
    from torch import Tensor

    from unlearning_core.models.loading import LoadedModel


class Parameters(BaseModel):
    """Which hidden states."""

    model_config = ConfigDict(extra="forbid")

    depth: float = Field(
        0.5, gt=0, le=1, description="depth of the hidden states that it is fitted on, as a share of the layers"
    )
    alignment: Literal["before", "at"] = Field(
        "before", description="hidden states that predict the concept's tokens, or those at these tokens"
    )


def training_states(
    given: MethodInput, loaded: "LoadedModel", parameters: Parameters
) -> "Iterator[tuple[Float[Tensor, 'tokens d_model'], Bool[Tensor, ' tokens']]]":
    """The hidden states of the training sentences, a batch at a time.

    Yields:
        (hidden states in float64, which of them are the concept's), both on the model's device.

    Raises:
        InputError: this model has no hidden states that are read through norms.
    """
    import torch

    from unlearning_core.activations.residuals import hidden_states

    layer, items = loaded.map.hidden_state_at(parameters.depth), given.sentences("train").items
    for states, concept in hidden_states(loaded, items, layer, parameters.alignment, given.progress):
        yield states.double(), torch.from_numpy(concept).to(states.device)
