"""Low-rank adapters for a model too large to be trained whole: LoRA by peft, merged into the weights in the end.

"LoRA: Low-Rank Adaptation of Large Language Models" (Hu et al. 2021): beside a weight W that stays as it is, two thin
matrices learn, and the layer computes with `W + (alpha / rank) B A`. Gradients and the optimizer's state are theirs
alone, and W may stay in the number format that it was saved in.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from peft import LoraConfig, PeftModel
from torch import nn
from transformers.pytorch_utils import Conv1D

from unlearning_core.edits.weights import Cut
from unlearning_core.errors import InputError
from unlearning_core.models.mapping import ModelMap

_log = logging.getLogger(__name__)
_NAME = "default"


@dataclass(frozen=True)
class Lora:
    """How large the adapters are.

    Attributes:
        rank: of B A; at most the smaller side of a weight is of use.
        alpha: what the product counts, over the rank.
    """

    rank: int
    alpha: float


class Adapters:
    """Adapters on every linear map of the blocks (attention, MLP, routers that are linear maps); all else is frozen.

    Experts whose weights transformers keeps in one tensor get none, nor do norms, the embedding and the output head:
    these stay bit for bit what they were.

    Attributes:
        model: what is trained: the model, wrapped by peft. The model itself computes with the adapters too.
    """

    def __init__(self, model: Any, model_map: ModelMap, lora: Lora, seed: int) -> None:
        """Put adapters into `model`, in place; `model_map` is of the model before it. B is 0: it computes as before.

        Args:
            seed: of A (uniform, as peft draws it); the state of torch's random numbers is left as it was.

        Raises:
            InputError: the blocks have no linear map that can be adapted.
        """
        blocks = {id(module) for block in model_map.blocks for module in block.modules()}
        linear = {
            name: module
            for name, module in model.named_modules()
            if id(module) in blocks and type(module) in (nn.Linear, Conv1D)
        }
        if not linear:
            raise InputError(
                f"retraining.lora_rank is {lora.rank}, but the blocks of this {type(model).__name__} have no linear "
                "map that takes an adapter. Leave it out to train all weights."
            )
        adapted = {id(module.weight): name for name, module in linear.items()}
        config = LoraConfig(
            r=lora.rank,
            lora_alpha=lora.alpha,  # type: ignore[arg-type]  # peft divides it, whole or not
            target_modules=list(linear),
            fan_in_fan_out=all(isinstance(module, Conv1D) for module in linear.values()),
        )
        with torch.random.fork_rng(), _of_no_family(model.config):
            torch.manual_seed(seed)
            self.model = PeftModel(model, config)
        self._layers: dict[int, Any] = {weight: model.get_submodule(name) for weight, name in adapted.items()}
        self._lora = lora
        _log.info("Adapters on %d linear maps: %s", len(linear), self.figures())

    def cuts(self, found: Sequence[Cut]) -> list[Cut]:
        """What has to be silent in the adapters so that a merge leaves `found` silent: the inputs of A.

        Of a weight without an adapter nothing moves, so nothing has to be held. B times columns of zeros is zero, so
        in the merged weight the entries stay what they are without adapters.
        """
        return [
            replace(cut, parameter=self._inner(cut).weight, axis=1)
            for cut in found
            if id(cut.parameter) in self._layers
        ]

    def figures(self) -> dict[str, Any]:
        """Their size, and how many numbers learn, for those who read of the training."""
        learning = sum(weight.numel() for weight in self.model.parameters() if weight.requires_grad)
        return {**asdict(self._lora), "parameters": learning}

    def merge(self) -> None:
        """Add B A to the weights and take the adapters out, in place: the model is an ordinary one again."""
        self.model.merge_and_unload()

    def _inner(self, cut: Cut) -> Any:
        return self._layers[id(cut.parameter)].lora_A[_NAME]


@contextmanager
def _of_no_family(config: Any) -> Iterator[None]:
    """Inside the `with`, the configuration names no family, so that adapters go where they are asked for.

    In families whose experts were once modules by those names (DeepSeek, GLM-4), peft takes `down_proj` of the shared
    expert for theirs and would have all the experts learn in its place.
    """
    family, config.model_type = config.model_type, ""
    try:
        yield
    finally:
        config.model_type = family
