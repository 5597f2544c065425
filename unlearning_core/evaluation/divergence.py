"""How far apart two models' next-token predictions are along the same text: Kullback-Leibler divergence in nats.

The direction is KL(reference || model), the reference's probabilities as the weights: how many nats a token are lost
when the model's predictions stand in for the reference's. With a never-knew model as the reference it is large where
the model still expects the concept, because what the never-knew model expects there gets little probability; and large
where a cut has spoilt what both should know. It is zero only where the two predict the same.
"""

import logging
from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float

from unlearning_core.activations.alignment import encode
from unlearning_core.activations.batches import length_sorted
from unlearning_core.concepts.labelling import LabelledText
from unlearning_core.errors import InputError
from unlearning_core.evaluation.next_token import NextToken, check_finite
from unlearning_core.models.loading import LoadedModel
from unlearning_core.progress import Progress, ProgressCallback, silent

logger = logging.getLogger(__name__)


def check_vocabularies(reference: LoadedModel, loaded: LoadedModel, called: str = "never-knew model") -> None:
    """Raise InputError where a token number does not mean the same to both models; `called` is what one of them is."""
    theirs, ours = reference.tokenizer.get_vocab(), loaded.tokenizer.get_vocab()
    different = sum(theirs.get(token) != number for token, number in ours.items())
    different += sum(token not in ours for token in theirs)
    rows = [int(model.model.get_input_embeddings().weight.shape[0]) for model in (reference, loaded)]
    if not different and rows[0] == rows[1]:
        return
    seen = f"{different:,} of their tokens differ" if different else f"they predict {rows[0]:,} and {rows[1]:,} tokens"
    one, other = (loaded, reference) if called == "candidate model" else (reference, loaded)
    raise InputError(
        f"The {called} {one.info.source} has another vocabulary than {other.info.source}: {seen}, so their predictions "
        f"cannot be compared. Give a {called} with the same tokenizer."
    )


def divergences(
    reference: LoadedModel,
    loaded: LoadedModel,
    texts: Sequence[str],
    *,
    token_budget: int = 2048,
    progress: ProgressCallback = silent,
) -> pd.DataFrame:
    """KL(reference || loaded) along each text, summed over its tokens; for models of one vocabulary.

    Every token that has a predecessor counts, under the whole text before it; tokens that the tokenizer adds do not. A
    text longer than the shorter of the two contexts is cut there.

    Args:
        texts: what both models read.
        token_budget: positions in a batch, padding included.
        progress: told after every batch; may raise Stopped.

    Returns:
        A row a text, in the order given: `text`, `tokens`, and `nats`, the sum of their divergences.

    Raises:
        WorkFailed: a model's output is not a number.
    """
    contexts = [getattr(model.model.config, "max_position_embeddings", None) for model in (reference, loaded)]
    shorter = min((context for context in contexts if context is not None), default=None)
    encoded = encode(loaded.tokenizer, [LabelledText(text) for text in texts], shorter)
    models = NextToken(reference), NextToken(loaded)
    rows = min(model.rows for model in models)
    # Where only one of the two cuts its slices at the end of a text, texts given one by one keep them side by side.
    budget = token_budget if models[0].by_head == models[1].by_head else 1
    nats, tokens = np.zeros(len(texts)), np.zeros(len(texts), np.int64)
    done = 0
    logger.info("Comparing next-token distributions on %d texts", len(texts))
    for group in length_sorted([len(text) for text in encoded], budget):
        ids = [encoded[i].input_ids.tolist() for i in group]
        slices = zip(*(model.slices(ids, rows) for model in models), strict=True)
        parts = [kl_of_logits(theirs, ours) for (theirs, _), (ours, _) in slices]
        flat, start = np.concatenate(parts), 0
        for index in group:
            places = len(encoded[index]) - 1
            counted = ~encoded[index].special[1:]
            nats[index] = flat[start : start + places][counted].sum()
            tokens[index] = counted.sum()
            start += places
        done += len(group)
        progress(Progress("comparing with the never-knew model", done, len(texts), "texts"))
    check_finite(nats)
    return pd.DataFrame({"text": list(texts), "tokens": tokens, "nats": nats})


def kl_of_logits(
    reference: Float[torch.Tensor, "n vocabulary"], other: Float[torch.Tensor, "n vocabulary"]
) -> Float[np.ndarray, " n"]:
    """KL(softmax(reference) || softmax(other)) in nats, taken in float32."""
    with torch.inference_mode():
        wanted = torch.log_softmax(reference.float(), dim=-1)
        found = torch.log_softmax(other.float().to(wanted.device), dim=-1)
        return (wanted.exp() * (wanted - found)).sum(dim=-1).double().cpu().numpy()
