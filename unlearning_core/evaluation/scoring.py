"""What a model's next-token distribution says about a given text: nats and hits, token by token."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from unlearning_core.errors import WorkFailed
from unlearning_core.evaluation.next_token import NextToken
from unlearning_core.models.loading import LoadedModel


@dataclass(frozen=True)
class TokenScores:
    """Scores of one text; entry t is about token t + 1, so that there is one place less than tokens.

    Attributes:
        nats: negative log-likelihood in nats.
        hits: whether the token is the most probable one.
    """

    nats: Float[np.ndarray, " places"]
    hits: Bool[np.ndarray, " places"]


class Scorer:
    """Scores batches of token ids."""

    def __init__(self, loaded: LoadedModel) -> None:
        self._next_token = NextToken(loaded)

    def score(self, texts: list[list[int]]) -> list[TokenScores]:
        """Scores of each text in the batch.

        Raises:
            WorkFailed: the model's output is not a number.
        """
        parts = [score_logits(logits, targets) for logits, targets in self._next_token.slices(texts)]
        nats = np.concatenate([some for some, _ in parts] or [np.empty(0)])
        hits = np.concatenate([some for _, some in parts] or [np.empty(0, bool)])
        if not np.isfinite(nats).all():
            raise not_a_number()
        ends = np.cumsum([max(len(ids) - 1, 0) for ids in texts])[:-1]
        return [TokenScores(n, h) for n, h in zip(np.split(nats, ends), np.split(hits, ends), strict=True)]


def score_logits(
    logits: Float[torch.Tensor, "n vocabulary"], targets: Int[torch.Tensor, " n"]
) -> tuple[Float[np.ndarray, " n"], Bool[np.ndarray, " n"]]:
    """(nats, hits) of the targets; the log-softmax is taken in float32."""
    with torch.inference_mode():
        logits = logits.float()
        targets = targets.to(logits.device)
        nats = torch.logsumexp(logits, dim=-1) - logits.gather(1, targets[:, None])[:, 0]
        return nats.double().cpu().numpy(), (logits.argmax(dim=-1) == targets).cpu().numpy()


def not_a_number() -> WorkFailed:
    """What to say of a model whose output cannot be measured."""
    return WorkFailed(
        "The model gives a text a likelihood that is not a number (NaN or infinite). Load it in float32, or check its "
        "weights."
    )
