"""What a model's next-token distribution says about a given text: nats and hits, token by token."""

import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from unlearning_core.errors import WorkFailed
from unlearning_core.models.loading import LoadedModel

logger = logging.getLogger(__name__)

SLICE_ELEMENTS = 2**24
"""Logits held at once, in numbers: 64 MB in float32, whatever the vocabulary and the batch."""


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
    """Scores batches of token ids; the language-model head runs only where a token is predicted, in slices."""

    def __init__(self, loaded: LoadedModel) -> None:
        self._model: Any = loaded.model
        self._body = loaded.map.body
        self._head = self._model.get_output_embeddings()
        self._softcap = getattr(self._model.config, "final_logit_softcapping", None)
        self._device = self._model.get_input_embeddings().weight.device
        self._by_head = self._head is not None and self._head_is_all()

    def score(self, texts: list[list[int]]) -> list[TokenScores]:
        """Scores of each text in the batch, padded on the right under an attention mask.

        Raises:
            WorkFailed: the model's output is not a number.
        """
        lengths = [len(ids) for ids in texts]
        ids, seen = self._padded(texts)
        # Places whose successor is a real token: [batch, longest - 1].
        places = seen[:, 1:].bool()
        targets = ids[:, 1:][places]
        with torch.inference_mode():
            if self._by_head:
                states = self._states(ids, seen)[:, :-1][places]
                nats, hits = self._score_states(states, targets)
            else:
                nats, hits = self._score_whole(ids, seen, places, targets)
        if not np.isfinite(nats).all():
            raise WorkFailed(
                "The model gives a text a likelihood that is not a number (NaN or infinite). Load it in float32, or "
                "check its weights."
            )
        ends = np.cumsum([max(length - 1, 0) for length in lengths])[:-1]
        return [TokenScores(n, h) for n, h in zip(np.split(nats, ends), np.split(hits, ends), strict=True)]

    def _padded(self, texts: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        """([batch, longest] ids, [batch, longest] 0/1); the pad id is any: the mask hides it."""
        longest = max(len(ids) for ids in texts)
        ids = torch.zeros(len(texts), longest, dtype=torch.long)
        seen = torch.zeros(len(texts), longest, dtype=torch.long)
        for row, text in enumerate(texts):
            ids[row, : len(text)] = torch.tensor(text)
            seen[row, : len(text)] = 1
        return ids.to(self._device), seen.to(self._device)

    def _states(self, ids: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
        """[batch, tokens, width]: what the head reads."""
        return self._body(input_ids=ids, attention_mask=seen, use_cache=False)[0]

    def _logits(self, states: torch.Tensor) -> torch.Tensor:
        logits = self._head(states.to(self._head.weight.device))
        if self._softcap:
            logits = torch.tanh(logits / self._softcap) * self._softcap
        return logits

    def _score_states(self, states: torch.Tensor, targets: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
        rows = max(1, SLICE_ELEMENTS // self._head.weight.shape[0])
        parts = [
            score_logits(self._logits(some), wanted)
            for some, wanted in zip(states.split(rows), targets.split(rows), strict=True)
        ]
        return np.concatenate([nats for nats, _ in parts]), np.concatenate([hits for _, hits in parts])

    def _score_whole(
        self, ids: torch.Tensor, seen: torch.Tensor, places: torch.Tensor, targets: torch.Tensor
    ) -> tuple[np.ndarray, np.ndarray]:
        """One text at a time through the whole model, for a family whose logits are more than its head's output."""
        counts = places.sum(dim=1).tolist()
        nats, hits = [], []
        for row, wanted in enumerate(targets.split(counts)):
            length = counts[row] + 1
            logits = self._model(input_ids=ids[row : row + 1, :length], attention_mask=seen[row : row + 1, :length])
            some_nats, some_hits = score_logits(logits.logits[0, :-1], wanted)
            nats.append(some_nats)
            hits.append(some_hits)
        return np.concatenate(nats), np.concatenate(hits)

    def _head_is_all(self) -> bool:
        """Whether body and head, as used here, give the model's own logits (a family may scale or cap them)."""
        ids = torch.arange(4, device=self._device)[None] % self._model.get_input_embeddings().weight.shape[0]
        seen = torch.ones_like(ids)
        with torch.inference_mode():
            whole = self._model(input_ids=ids, attention_mask=seen).logits.float()
            ours = self._logits(self._states(ids, seen)).float()
        # Not a number is not different: it is reported where the text is scored.
        same = not bool((whole - ours.to(whole.device)).abs().max() > 1e-2 * whole.abs().max())
        if not same:
            logger.warning("This model's logits are not its head's output alone: scoring text by text, which is slower")
        return same


def score_logits(logits: torch.Tensor, targets: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """(nats, hits) of [n] targets under [n, vocabulary] logits; the log-softmax is taken in float32."""
    logits = logits.float()
    targets = targets.to(logits.device)
    nats = torch.logsumexp(logits, dim=-1) - logits.gather(1, targets[:, None])[:, 0]
    return nats.double().cpu().numpy(), (logits.argmax(dim=-1) == targets).cpu().numpy()
