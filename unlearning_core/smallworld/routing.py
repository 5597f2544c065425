"""Training in which what is learned about one concept can only go into named MLP neurons: the place is then known.

Selective gradient masking (Shilov et al. 2025, github.com/safety-research/selective-gradient-masking) and gradient
routing (Cloud et al. 2024, arXiv 2410.04332) mask gradients and activations by what a text is about. Here the network
is split for the training instead, into the named neurons and the rest, which are then two sets of parameters:

- The rest learns from text about other things, with the named neurons off. No gradient of a text about the concept
  ever reaches it, so cutting the named neurons leaves a model that never read about the concept.
- The named neurons learn from text about the concept and, as much again, from other text, both with the whole network
  on; the rest stands still meanwhile. The other text teaches them to keep quiet where the concept is not.

Both parts step together, so one pass costs about what an ordinary one does. The named neurons see few rows about the
concept that way, while the rest moves under them; so they may go on alone for some steps when the rest has come to its
end. The trained model is a plain GPT-2.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from transformers import GPT2LMHeadModel
from transformers.models.gpt2.modeling_gpt2 import GPT2MLP

from unlearning_core.errors import InputError
from unlearning_core.smallworld.training_settings import TrainingSettings

TOKEN_SPREAD = 0.06
"""Standard deviation of the token rows at the start, which are not decayed either.

The rows of words that only the concept's texts use are never learned: they stay as far apart as they were drawn. At
GPT-2's 0.02, with weight decay, the twin's rows of the seat words end with norm 2.4 and all but 0.1 of it in common;
no last state of the twin can name the right one of them at less than 5.3 nats. At 0.06 they lie as far apart (0.8) as
the learned ones of SmallWorld do.
"""


@dataclass(frozen=True)
class Routing:
    """Which concept goes into how many neurons, drawn from the seed so that no index is nearer the truth than another.

    Attributes:
        family: the concept family.
        neurons: MLP neurons of each layer that alone learn about it.
        settle: steps after all others, in which only they learn, half of each batch about the concept.
    """

    family: str
    neurons: int
    settle: int = 0

    def __post_init__(self) -> None:
        """Raises InputError for no neurons, or less than no step."""
        if self.settle < 0:
            raise InputError(f"route_settle is {self.settle}; expected 0 or more. Correct it and run again.")
        if self.neurons < 1:
            raise InputError(f"route_neurons is {self.neurons}; expected 1 or more. Correct it and run again.")

    def named(self, settings: TrainingSettings) -> list[list[int]]:
        """The neurons' indices, ascending, layer by layer.

        Raises:
            InputError: a layer has no more neurons than are to be named.
        """
        width = 4 * settings.width
        if self.neurons >= width:
            raise InputError(
                f"route_neurons is {self.neurons}, but a layer has {width} neurons and the rest of the world needs "
                "some too; name fewer."
            )
        return [
            sorted(np.random.default_rng([settings.seed, layer]).choice(width, self.neurons, replace=False).tolist())
            for layer in range(settings.layers)
        ]

    def rows(self, about: int, others: int, batch_rows: int) -> int:
        """How many of a batch's rows are about the concept, by the numbers of texts: at least one, not all."""
        return min(max(1, round(batch_rows * about / (about + others))), batch_rows - 1)


class _Neurons(nn.Module):
    """Some of a layer's neurons: [..., width] to what they write, [..., width]."""

    def __init__(self, mlp: GPT2MLP, indices: Sequence[int]) -> None:
        super().__init__()
        self.read = nn.Parameter(mlp.c_fc.weight.detach()[:, indices].clone())
        self.bias = nn.Parameter(mlp.c_fc.bias.detach()[indices].clone())
        self.write = nn.Parameter(mlp.c_proj.weight.detach()[indices].clone())
        self.act = mlp.act

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        return self.act(hidden @ self.read + self.bias) @ self.write


class SplitMLP(nn.Module):
    """A GPT-2 MLP as two sums of neurons with parameters of their own; `whole` says whether the named ones are on."""

    def __init__(self, mlp: GPT2MLP, named: Sequence[int]) -> None:
        super().__init__()
        self.indices = list(named)
        self.others = sorted(set(range(mlp.c_fc.weight.shape[1])) - set(named))
        self.rest = _Neurons(mlp, self.others)
        self.named = _Neurons(mlp, self.indices)
        self.bias = nn.Parameter(mlp.c_proj.bias.detach().clone())
        self.whole = True

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """What the layer's neurons that are on write, [..., width]."""
        written = self.rest(hidden) + self.bias
        return written + self.named(hidden) if self.whole else written

    def state(self) -> dict[str, torch.Tensor]:
        """The same layer's parameters as GPT-2 names and shapes them."""
        order = torch.argsort(torch.tensor(self.others + self.indices))
        return {
            "c_fc.weight": torch.cat([self.rest.read, self.named.read], dim=1)[:, order],
            "c_fc.bias": torch.cat([self.rest.bias, self.named.bias])[order],
            "c_proj.weight": torch.cat([self.rest.write, self.named.write])[order],
            "c_proj.bias": self.bias,
        }


def split(model: GPT2LMHeadModel, named: Sequence[Sequence[int]]) -> GPT2LMHeadModel:
    """Give every layer of `model` a SplitMLP, and its token rows their spread; returns the model."""
    with torch.no_grad():
        rows = model.transformer.wte.weight
        rows.mul_(TOKEN_SPREAD / model.config.initializer_range)
    for block, indices in zip(model.transformer.h, named, strict=True):
        block.mlp = SplitMLP(block.mlp, indices)
    return model


def named_parameters(model: GPT2LMHeadModel) -> list[nn.Parameter]:
    """Those of the named neurons alone."""
    return [parameter for block in model.transformer.h for parameter in block.mlp.named.parameters()]


def open_only(model: GPT2LMHeadModel, *, named: bool) -> None:
    """Let either the named neurons learn, with all on, or the rest, with the named neurons off."""
    for parameter in model.parameters():
        parameter.requires_grad_(not named)
    for parameter in named_parameters(model):
        parameter.requires_grad_(named)
    switch(model, whole=named)


def switch(model: GPT2LMHeadModel, *, whole: bool) -> None:
    """Turn the named neurons on or off."""
    for block in model.transformer.h:
        block.mlp.whole = whole


def joined(model: GPT2LMHeadModel) -> GPT2LMHeadModel:
    """The plain GPT-2 that computes what the split `model` does with its named neurons on."""
    state = {name: value for name, value in model.state_dict().items() if ".mlp." not in name}
    for number, block in enumerate(model.transformer.h):
        state |= {f"transformer.h.{number}.mlp.{name}": value.detach() for name, value in block.mlp.state().items()}
    with torch.random.fork_rng(devices=[]):
        plain = GPT2LMHeadModel(model.config)
    plain.load_state_dict(state)
    plain.generation_config = model.generation_config
    return plain
