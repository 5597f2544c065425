"""Run a model from one of its blocks on, from the hidden state that an earlier pass left there.

What is changed in a block changes nothing below it, so many changes are tried on one text for half the work. The model
is shared: its body is copied without its weights, and in the copy the blocks that need not run give the known state.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from unlearning_core.activations.hooks import listening
from unlearning_core.evaluation.next_token import NextToken
from unlearning_core.models.loading import LoadedModel
from unlearning_core.models.placement import input_device
from unlearning_core.rankers.token_batches import TokenBatch

log = logging.getLogger(__name__)

Form = Callable[[torch.Tensor], Any]

FORMS: tuple[Form, ...] = (lambda state: state, lambda state: (state, None))
"""What the blocks of a family give: the hidden state, or a tuple that begins with it."""


class Restart:
    """Passes from a block on.

    Attributes:
        works: whether this model's passes can begin at a block with the same outcome; if not they begin at the first,
            which is slower.
    """

    def __init__(self, loaded: LoadedModel, predictor: NextToken) -> None:
        self._loaded, self._predictor = loaded, predictor
        self._path = self._path_of_blocks()
        self._form = next((form for form in FORMS if self._path and self._same(form)), None)
        self.works = self._form is not None
        if not self.works:
            log.warning("This model cannot be run from one of its blocks on: running it whole, which is slower")

    def recorded(self, batch: TokenBatch) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """The logits at the batch's positions, and the hidden states that the blocks and the final norm read."""
        states: list[torch.Tensor] = []
        if not self._path:
            return self._predictor.logits(batch.ids, batch.attention_mask, batch.positions), states
        with listening(self._loaded.map, "residual", lambda layer, state: states.append(state)):
            return self._predictor.logits(batch.ids, batch.attention_mask, batch.positions), states

    def logits(self, batch: TokenBatch, states: Sequence[torch.Tensor], block: int, copies: int) -> torch.Tensor:
        """The logits at the batch's positions when all blocks before `block` did what they did in `recorded`.

        The batch stands `copies` times side by side, copy after copy: `[copies x positions, vocabulary]`.
        """
        ids, mask, positions = (part.repeat(copies, 1) for part in (batch.ids, batch.attention_mask, batch.positions))
        if self._form is None or block == 0:
            return self._predictor.logits(ids, mask, positions)
        body = self._from(block, self._form(states[block].repeat(copies, 1, 1)))
        return self._predictor.logits(ids, mask, positions, body)

    def _path_of_blocks(self) -> list[str]:
        """Names from the body to its list of blocks; empty where there is no such way."""
        found, model = self._loaded.map, self._loaded.model
        path = found.architecture.blocks.removeprefix(f"{model.base_model_prefix}.")
        steps, module = path.split("."), found.body
        if not self._predictor.by_head or "residual" not in found.shapes:
            return []
        for step in steps:
            # A forward of its own (accelerate's) would go on running the module that was copied.
            if "forward" in vars(module) or step not in module._modules:
                return []
            module = module.get_submodule(step)
        return steps

    def _from(self, block: int, given: Any) -> nn.Module:
        blocks = self._loaded.map.blocks
        stand_ins = [_Given(one, given) for one in blocks[:block]]
        return _replaced(self._loaded.map.body, self._path, nn.ModuleList([*stand_ins, *blocks[block:]]))

    def _same(self, form: Form) -> bool:
        """Whether a pass from a block on gives the logits of a whole pass if blocks give this form."""
        device = input_device(self._loaded.model)
        ids = torch.arange(4, device=device)[None] % self._predictor.vocabulary
        everywhere = torch.ones_like(ids, dtype=torch.bool)
        ones, none = torch.ones_like(ids), ~everywhere
        batch = TokenBatch(ids, ones, everywhere, none, none, ones.float(), [0])
        with torch.inference_mode():
            whole, states = self.recorded(batch)
            for block in {1, len(self._loaded.map.blocks)}:
                try:
                    body = self._from(block, form(states[block]))
                    found = self._predictor.logits(batch.ids, batch.attention_mask, batch.positions, body)
                except (AttributeError, IndexError, RuntimeError, TypeError, ValueError):
                    return False  # this family's body does more with its blocks than to run them in turn
                if found.shape != whole.shape or bool((found - whole).abs().max() > 1e-3 * whole.abs().max()):
                    return False
        return True


class _Given(nn.Module):
    """Stands in for a block: gives what is given, and is otherwise the block (its attention type, its device)."""

    def __init__(self, block: nn.Module, given: Any) -> None:
        super().__init__()
        self.block, self.given = block, given

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.given

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("block"), name)


def _replaced(module: nn.Module, path: Sequence[str], by: nn.Module) -> nn.Module:
    """A copy of `module` that shares everything with it but the submodule at `path`."""
    copied = copy.copy(module)
    inner = by if len(path) == 1 else _replaced(module.get_submodule(path[0]), path[1:], by)
    copied.__dict__["_modules"] = {**module._modules, path[0]: inner}
    return copied
