"""The residual stream between blocks: read at some places of a text, or replaced there by another model's.

Activation patching (Vig et al. 2020; Meng et al. 2022, "causal tracing"; Ghandeharioun et al. 2024, "Patchscopes"): a
model reads a text, and at some places the residual stream after one block is replaced by what another model holds there
for the same text. What changes in the output is what that state of that layer was needed for.

*Layer* k is the residual stream after k blocks: 0 is what the first block reads, the last one what the final norm
reads. Hooks stay silent for anyone else who runs the same model meanwhile (a cached model is shared).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor, nn

from unlearning_core.activations.batches import length_sorted
from unlearning_core.evaluation.next_token import NextToken, check_finite, score_logits
from unlearning_core.evaluation.targets import Targets
from unlearning_core.models.loading import LoadedModel
from unlearning_core.models.placement import input_device

BATCH = 512
"""Positions a batch, padding included; fewer where the vocabulary is large."""

_open: ContextVar[object] = ContextVar("open", default=None)


@dataclass(frozen=True)
class PlaceBatch:
    """Some texts side by side, and the places where their chosen tokens are predicted (the position before each).

    Attributes:
        members: which of the texts, as numbers of the sequence that `place_batches` was given.
        ids: token ids, padded on the right.
        seen: 1 at real tokens.
        places: where a chosen token is predicted.
        targets: the chosen tokens, text by text.
        counts: how many of them each text has.
    """

    members: list[int]
    ids: Int[Tensor, "texts tokens"]
    seen: Int[Tensor, "texts tokens"]
    places: Bool[Tensor, "texts tokens"]
    targets: Int[Tensor, " places"]
    counts: list[int]

    def means(self, values: Float[np.ndarray, " places"]) -> Float[np.ndarray, " texts"]:
        """The mean of each text's places."""
        return np.array([own.mean() for own in self.by_text(values)])

    def by_text(self, values: Shaped[np.ndarray, " places"]) -> list[Shaped[np.ndarray, " own"]]:
        """The values of each text's places."""
        return np.split(values, np.cumsum(self.counts)[:-1])


def place_batches(model: NextToken, texts: Sequence[Targets]) -> Iterator[PlaceBatch]:
    """The texts in batches of like length that keep the logits of all places within the model's own limit."""
    for group in length_sorted([len(text.ids) for text in texts], min(BATCH, model.rows)):
        members = group.tolist()
        ids, seen = model.padded([texts[i].ids for i in members])
        places = torch.zeros_like(seen, dtype=torch.bool)
        for row, i in enumerate(members):
            places[row, : len(texts[i].ids) - 1] = torch.from_numpy(texts[i].chosen[1:]).to(places.device)
        targets = ids[:, 1:][places[:, :-1]]
        yield PlaceBatch(members, ids, seen, places, targets, [texts[i].count for i in members])


def token_nats(model: NextToken, batch: PlaceBatch) -> Float[np.ndarray, " places"]:
    """Negative log-likelihood of each chosen token, nats.

    Raises:
        WorkFailed: the model's output is not a number.
    """
    with torch.inference_mode():
        nats, _ = score_logits(model.logits(batch.ids, batch.seen, batch.places), batch.targets)
    check_finite(nats)
    return nats


def residuals(loaded: LoadedModel, batch: PlaceBatch) -> Float[Tensor, "layers places width"]:
    """The residual stream at the places of the batch, layers 0 to the number of blocks, as the model stores it."""
    found: dict[int, Tensor] = {}

    def keep(layer: int, value: Tensor) -> Tensor | None:
        found[layer] = value[batch.places.to(value.device)].cpu()
        return None

    blocks = range(len(loaded.map.blocks) + 1)
    with _hooked(loaded.map.blocks, dict.fromkeys(blocks, keep)), torch.inference_mode():
        device = input_device(loaded.model)
        loaded.map.body(input_ids=batch.ids.to(device), attention_mask=batch.seen.to(device), use_cache=False)
    return torch.stack([found[layer] for layer in blocks])


@contextmanager
def patched(
    loaded: LoadedModel, layer: int, places: Bool[Tensor, "texts tokens"], states: Float[Tensor, "places width"]
) -> Iterator[None]:
    """While open, runs of the model on texts of the shape of `places` in this context hold `states` there at `layer`.

    Args:
        layer: 1 to the number of blocks, or 0 for what the first block reads.
        states: text by text, in the order of the tokens.
    """

    def replace(layer: int, value: Tensor) -> Tensor:
        value = value.clone()
        value[places.to(value.device)] = states.to(value)
        return value

    with _hooked(loaded.map.blocks, {layer: replace}):
        yield


@contextmanager
def _hooked(blocks: Sequence[nn.Module], heard: dict[int, Any]) -> Iterator[None]:
    """Call `heard[layer](layer, residual stream)` as it passes; what that returns, if anything, takes its place."""
    token = object()

    def before(module: nn.Module, args: Any, kwargs: Any) -> Any:
        if _open.get() is not token:
            return None
        new = heard[0](0, args[0] if args else kwargs["hidden_states"])
        if new is None:
            return None
        return ((new, *args[1:]), kwargs) if args else (args, {**kwargs, "hidden_states": new})

    def after(layer: int, module: nn.Module, args: Any, output: Any) -> Any:
        if _open.get() is not token:
            return None
        whole = isinstance(output, Tensor)
        new = heard[layer](layer, output if whole else output[0])
        return new if whole or new is None else (new, *output[1:])

    handles: list[Any] = []
    previous = _open.set(token)
    try:
        for layer in heard:
            if layer:
                handles.append(blocks[layer - 1].register_forward_hook(partial(after, layer)))
            else:
                handles.append(blocks[0].register_forward_pre_hook(before, with_kwargs=True))
        yield
    finally:
        for handle in handles:
            handle.remove()
        _open.reset(previous)
