"""The base model as a teacher: what it says of a text, and what it makes of another model's inner state."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from unlearning_core.edits.hooks import applied
from unlearning_core.edits.token_rows import TokenRows
from unlearning_core.evaluation.next_token import NextToken
from unlearning_core.evaluation.patching import patched
from unlearning_core.models.loading import LoadedModel

Call = tuple[tuple[Any, ...], dict[str, Any]]
"""What a block was called with."""


@dataclass(frozen=True, eq=False)
class Reading:
    """Texts that the teacher has read.

    Attributes:
        ids: token ids, padded on the right.
        seen: 1 at real tokens.
        places: where the next token is predicted.
        states: what the head reads at the places (of a family whose logits are not its head's output: the logits).
        calls: what each block above the asked layer was called with.
    """

    ids: Int[Tensor, "texts tokens"]
    seen: Int[Tensor, "texts tokens"]
    places: Bool[Tensor, "texts tokens"]
    states: Float[Tensor, "places inputs"]
    calls: list[Call]


class Teacher:
    """A frozen model; gradients flow through it only to a state that is put into it.

    Attributes:
        blocks: how many it has.
        calls_blocks: whether its upper blocks can be called by themselves, which spares the lower ones.
    """

    def __init__(self, loaded: LoadedModel, rows: TokenRows | None = None) -> None:
        """`rows` are the token rows that are reset where it is to read as one who never heard the words."""
        self._loaded, self._rows = loaded, rows
        self._model: Any = loaded.model
        self._model.eval().requires_grad_(False)
        self._next = NextToken(loaded)
        self._dtype = next(self._model.parameters()).dtype
        self.blocks = len(loaded.map.blocks)
        self.calls_blocks = self._next.by_head and self._blocks_can_be_called()

    def head(self, states: Float[Tensor, "n inputs"]) -> Float[Tensor, "n vocabulary"]:
        """The logits that it makes of such states as `Reading` holds; the caller may change them."""
        return self._next.head_logits(states) if self._next.by_head else states.clone()

    @torch.no_grad()
    def read(
        self,
        ids: Int[Tensor, "texts tokens"],
        seen: Int[Tensor, "texts tokens"],
        places: Bool[Tensor, "texts tokens"],
        *,
        above: int | None = None,
        rows_reset: bool = False,
    ) -> Reading:
        """Read texts.

        Args:
            above: the layer (1 to `blocks`) whose state will be replaced in `upper`, if any.
            rows_reset: read with the token rows reset.
        """
        calls: list[Call] = []

        def hear(module: nn.Module, args: Any, kwargs: Any) -> None:
            calls.append((args, kwargs))

        with ExitStack() as stack:
            if rows_reset and self._rows is not None:
                stack.enter_context(applied(self._model, None, self._loaded.map, rows=self._rows))
            if above is not None and self.calls_blocks:
                for block in self._loaded.map.blocks[above:]:
                    handle = block.register_forward_pre_hook(hear, with_kwargs=True)
                    stack.callback(handle.remove)
            return Reading(ids, seen, places, self._last(ids, seen)[places], calls)

    def upper(
        self, reading: Reading, layer: int, state: Float[Tensor, "texts tokens width"]
    ) -> Float[Tensor, "places inputs"]:
        """What the head would read if the residual stream after block `layer` had been `state`.

        Only the blocks above it run. `reading` must have been made with `above=layer`.
        """
        state = state.to(self._dtype)
        if self.calls_blocks:
            return self._through(reading.calls, layer, state)[reading.places]
        everywhere = torch.ones_like(reading.places)
        with patched(self._loaded, layer, everywhere, state.flatten(0, 1)):
            return self._last(reading.ids, reading.seen)[reading.places]

    def _last(self, ids: Tensor, seen: Tensor) -> Tensor:
        if not self._next.by_head:
            return self._model(input_ids=ids, attention_mask=seen, use_cache=False).logits
        return self._loaded.map.body(input_ids=ids, attention_mask=seen, use_cache=False)[0]

    def _through(self, calls: Sequence[Call], layer: int, state: Tensor) -> Tensor:
        for block, (args, kwargs) in zip(self._loaded.map.blocks[layer:], calls, strict=True):
            given = ((state, *args[1:]), kwargs) if args else ((), {**kwargs, "hidden_states": state})
            output = block(*given[0], **given[1])
            state = output if isinstance(output, Tensor) else output[0]
        norm = self._loaded.map.final_norm
        return state if norm is None else norm(state)

    @torch.no_grad()
    def _blocks_can_be_called(self) -> bool:
        """Whether the blocks above the first one, called by themselves, make of its output what the model makes."""
        embedding = self._model.get_input_embeddings().weight
        ids = (torch.arange(10, device=embedding.device) % len(embedding)).reshape(2, 5)
        seen = torch.ones_like(ids)
        seen[1, 3:] = 0
        states: list[Tensor] = []

        def hear(module: nn.Module, args: Any, output: Any) -> None:
            states.append(output if isinstance(output, Tensor) else output[0])

        handle = self._loaded.map.blocks[0].register_forward_hook(hear)
        self.calls_blocks = True
        try:
            reading = self.read(ids, seen, seen.bool(), above=1)
            found = self.upper(reading, 1, states[0])
        except (TypeError, ValueError, RuntimeError, IndexError):  # a family whose blocks cannot be called so
            return False
        finally:
            handle.remove()
        if found.shape != reading.states.shape:  # the body has a projection after its norm
            return False
        return bool((found - reading.states).abs().max() <= 1e-2 * reading.states.abs().max())
