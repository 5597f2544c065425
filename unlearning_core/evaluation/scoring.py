"""What a model's next-token distribution says about a given text: nats and hits, token by token."""

from dataclasses import dataclass

import numpy as np
import torch

from unlearning_core.errors import WorkFailed
from unlearning_core.evaluation.next_token import NextToken
from unlearning_core.models.loading import LoadedModel


@dataclass(frozen=True)
class TokenScores:
    """Scores of one text of T tokens; entry t is about token t + 1, the first one that has a predecessor.

    Attributes:
        nats: [T - 1] negative log-likelihood in nats.
        hits: [T - 1] bool, whether the token is the most probable one.
    """

    nats: np.ndarray
    hits: np.ndarray


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


def score_logits(logits: torch.Tensor, targets: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """(nats, hits) of [n] targets under [n, vocabulary] logits; the log-softmax is taken in float32."""
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
