"""The tokens that a neuron promotes and suppresses: what it writes, read by the unembedding.

The logit lens (nostalgebraist 2020) reads a direction of the residual stream as if it were the last hidden state:
logits = W_U (g * (v - mean(v))), where g is the final norm's gain, and the mean is taken off only where that norm is a
LayerNorm. The norm's division by the hidden state's scale is left out: it is the same positive number for all tokens
and changes no order. For an MLP neuron v is its column of the down projection, the "value vector" of Geva et al. 2022
("Transformer Feed-Forward Layers Build Predictions by Promoting Concepts in the Vocabulary Space"). For a residual
dimension v is that dimension alone. What later layers make of v is not in it.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from unlearning_core.errors import InputError
from unlearning_core.models.loading import LoadedModel
from unlearning_core.neurons.neuron import Neuron

_AFTER_MLP = "post_feedforward_layernorm"
"""Where a family puts a norm between the MLP's output and the residual stream, this is what it is called."""


@dataclass(frozen=True)
class Lens:
    """The two ends of a neuron's logits, each a tuple of (token, logit) with the strongest first.

    Attributes:
        promoted: made likelier by a positive activation (and less likely by a negative one).
        suppressed: the other way round.
    """

    promoted: tuple[tuple[str, float], ...]
    suppressed: tuple[tuple[str, float], ...]


def no_lens(loaded: LoadedModel, site: str) -> str | None:
    """Why the neurons of a site have no tokens of their own in this model, or None."""
    if site == "head":
        return (
            "A head writes no direction of its own: what it writes depends on the words it looks at, so no list of "
            "tokens belongs to it."
        )
    head: Any = loaded.model.get_output_embeddings()
    if head is None or not isinstance(getattr(head, "weight", None), Tensor) or not head.weight.is_floating_point():
        return "This model's language model head has no plain weight to read the neuron with."
    if head.weight.shape[1] != loaded.model.config.get_text_config().hidden_size:
        return "This model maps the hidden state to another width before its language model head."
    return None


def token_logits(loaded: LoadedModel, neuron: Neuron) -> Tensor:
    """What one unit of the neuron's activation adds to each token's logit, up to a positive factor; [vocabulary].

    Raises:
        InputError: there is no such neuron, or its site cannot be read this way (`no_lens`).
    """
    if reason := no_lens(loaded, neuron.site):
        raise InputError(f"{reason} Choose the site 'mlp' or 'residual'.")
    head: Any = loaded.model.get_output_embeddings()
    with torch.inference_mode():
        direction = _written(loaded, neuron)
        norm: Any = loaded.map.final_norm
        if norm is not None:
            if isinstance(norm, nn.LayerNorm):
                direction = direction - direction.mean()
            if norm.weight is not None:
                direction = direction * (loaded.map.gain_offset + norm.weight.float())
        # In the head's own precision: a copy of a large vocabulary's rows in another one would take its memory again.
        return (head.weight @ direction.to(head.weight)).float().cpu()


def lens(loaded: LoadedModel, neuron: Neuron, count: int = 12) -> Lens:
    """The `count` tokens at either end of `token_logits`; raises as that does."""
    logits = token_logits(loaded, neuron)[: len(loaded.tokenizer)]
    count = min(count, len(logits))
    ends = (logits.topk(count), logits.topk(count, largest=False))
    promoted, suppressed = (
        tuple(
            (loaded.tokenizer.decode([token]), float(value))
            for token, value in zip(end.indices.tolist(), end.values.tolist(), strict=True)
        )
        for end in ends
    )
    return Lens(promoted, suppressed)


def _written(loaded: LoadedModel, neuron: Neuron) -> Tensor:
    """What one unit of the neuron's activation adds to the residual stream, float32 [hidden]."""
    neuron.check(loaded.map.require(neuron.site))
    if neuron.site == "residual":
        hidden = loaded.map.require("residual")[1]
        device = loaded.model.get_output_embeddings().weight.device
        return nn.functional.one_hot(torch.tensor(neuron.index, device=device), hidden).float()
    column = loaded.map.outgoing(neuron.layer, neuron.index).float()
    after: Any = getattr(loaded.map.blocks[neuron.layer], _AFTER_MLP, None)
    return column if after is None else column * (loaded.map.gain_offset + after.weight.float())
