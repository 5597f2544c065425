"""Hidden states of one depth, sentence by sentence, with which of them belong to the concept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from unlearning_core.activations.alignment import Alignment, encode
from unlearning_core.activations.batches import batches
from unlearning_core.activations.collect import context_length
from unlearning_core.activations.hooks import listening
from unlearning_core.concepts.labelling import LabelledText
from unlearning_core.models.loading import LoadedModel
from unlearning_core.models.placement import input_device
from unlearning_core.progress import Progress, ProgressCallback, silent

TOKENS_AT_ONCE = 2048


def hidden_states(
    loaded: LoadedModel,
    items: Sequence[LabelledText],
    layer: int,
    alignment: Alignment,
    progress: ProgressCallback = silent,
) -> Iterator[tuple[Float[Tensor, "tokens d_model"], Bool[np.ndarray, " tokens"]]]:
    """The hidden state `layer` at every token, a batch of sentences at a time, in float32.

    Position 0, the attention sink, is left out. With the alignment `before` a token's hidden state is the one that
    predicts it.

    Args:
        layer: 0, the embedding, to n_layer, what the final norm reads.

    Yields:
        (hidden states, whether the token is one of the concept).

    Raises:
        InputError: this model has no hidden states that are read through norms.
    """
    device = input_device(loaded.model)
    encoded = encode(loaded.tokenizer, items, context_length(loaded))
    done = 0
    for batch in batches(encoded, TOKENS_AT_ONCE, alignment, "token"):
        ids, seen = (torch.from_numpy(part).to(device) for part in (batch.input_ids, batch.attention_mask))
        states: list[Tensor] = []

        def keep(_: int, state: Tensor, states: list[Tensor] = states) -> None:
            states.append(state)

        with torch.no_grad(), listening(loaded.map, "residual", keep, only=layer):
            loaded.map.body(input_ids=ids, attention_mask=seen, use_cache=False)
        rows = torch.from_numpy(batch.reads[:, 0]).to(device)
        done += len(ids)
        progress(Progress("reading hidden states", done, len(items), "sentences"))
        if len(rows):
            yield states[0].flatten(0, 1)[rows].float(), np.arange(len(rows)) >= batch.retain
