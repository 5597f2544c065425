"""A model's next-token logits along given texts, a slice at a time, so that no vocabulary is too large for memory."""

import logging
from collections.abc import Iterator
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch.nn.utils.rnn import pad_sequence

from unlearning_core.errors import WorkFailed
from unlearning_core.models.loading import LoadedModel
from unlearning_core.models.placement import device_of, input_device

logger = logging.getLogger(__name__)

SLICE_ELEMENTS = 2**24
"""Logits held at once, in numbers: 64 MB in float32, whatever the vocabulary and the batch."""

# A property of the architecture, asked again for every cut that is previewed; it goes when the model does.
_HEAD_IS_ALL: "WeakKeyDictionary[torch.nn.Module, bool]" = WeakKeyDictionary()


Scores = tuple[Float[np.ndarray, " places"], Bool[np.ndarray, " places"]]
"""Of one text each token's negative log-likelihood in nats, and whether it is the most probable one; entry t is about
token t + 1, so that there is one place less than tokens."""


class NextToken:
    """Runs batches of token ids; the language-model head runs only where a token is predicted, in slices.

    Attributes:
        by_head: whether the logits are the head's output alone; if not, texts are run one by one, which is slower.
        vocabulary: how many logits there are at each place.
        rows: places whose logits stay within `SLICE_ELEMENTS`.
    """

    def __init__(self, loaded: LoadedModel) -> None:
        self._model: Any = loaded.model
        self._body = loaded.map.body
        self._head = self._model.get_output_embeddings()
        self._softcap = getattr(self._model.config, "final_logit_softcapping", None)
        self._device = input_device(self._model)
        rows_of = self._head if self._head is not None else self._model.get_input_embeddings()
        self.vocabulary = int(rows_of.weight.shape[0])
        self.rows = max(1, SLICE_ELEMENTS // self.vocabulary)
        if self._head is not None and self._model not in _HEAD_IS_ALL:
            _HEAD_IS_ALL[self._model] = self._head_is_all()
        self.by_head = self._head is not None and _HEAD_IS_ALL[self._model]

    def score(self, texts: list[list[int]]) -> list[Scores]:
        """Scores of each text (token ids) in the batch.

        Raises:
            WorkFailed: the model's output is not a number.
        """
        parts = [score_logits(logits, targets) for logits, targets in self.slices(texts)]
        nats = np.concatenate([some for some, _ in parts] or [np.empty(0)])
        hits = np.concatenate([some for _, some in parts] or [np.empty(0, bool)])
        check_finite(nats)
        ends = np.cumsum([max(len(ids) - 1, 0) for ids in texts])[:-1]
        return list(zip(np.split(nats, ends), np.split(hits, ends), strict=True))

    def slices(
        self, texts: list[list[int]], rows: int | None = None
    ) -> Iterator[tuple[Float[torch.Tensor, "n vocabulary"], Int[torch.Tensor, " n"]]]:
        """Logits at every place whose successor is a real token, text by text in the order given.

        The texts are padded on the right under an attention mask.

        Args:
            texts: token ids.
            rows: places in a slice at most; by default `self.rows`.

        Yields:
            (logits as the model gives them, the token that follows). A text of T tokens has T - 1
            places. A slice may reach over several texts, but never does when a text is given alone.
        """
        ids, seen = self.padded(texts)
        # Places whose successor is a real token: [batch, longest - 1].
        places = seen[:, 1:].bool()
        targets = ids[:, 1:][places]
        if self.by_head:
            with torch.inference_mode():
                states = self.states(ids, seen)[:, :-1][places]
            for some, wanted in zip(states.split(rows or self.rows), targets.split(rows or self.rows), strict=True):
                # Not around the yield: what runs between two slices is the caller's business.
                with torch.inference_mode():
                    logits = self.head_logits(some)
                yield logits, wanted
            return
        start = 0
        for row, count in enumerate(places.sum(dim=1).tolist()):
            length = count + 1
            with torch.inference_mode():
                out = self._model(input_ids=ids[row : row + 1, :length], attention_mask=seen[row : row + 1, :length])
            wanted = targets[start : start + count]
            yield from zip(out.logits[0, :-1].split(rows or self.rows), wanted.split(rows or self.rows), strict=True)
            start += count

    def logits(
        self,
        ids: Int[torch.Tensor, "batch tokens"],
        seen: Int[torch.Tensor, "batch tokens"],
        places: Bool[torch.Tensor, "batch tokens"],
        body: torch.nn.Module | None = None,
    ) -> Float[torch.Tensor, "places vocabulary"]:
        """Logits at some places, text by text; gradients flow through them wherever they are enabled.

        Args:
            ids: token ids, padded on the right.
            seen: 1 at real tokens.
            places: where the next token's logits are wanted.
            body: runs in place of the model's own body; only where `by_head`.
        """
        if not self.by_head:
            return self._model(input_ids=ids, attention_mask=seen).logits[places]
        return self.head_logits(self.states(ids, seen, body)[places])

    def padded(self, texts: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        """([batch, longest] ids, [batch, longest] 0/1 at real tokens); the pad id is any: the mask hides it."""
        ids = pad_sequence([torch.tensor(text, dtype=torch.long) for text in texts], batch_first=True)
        seen = pad_sequence([torch.ones(len(text), dtype=torch.long) for text in texts], batch_first=True)
        return ids.to(self._device), seen.to(self._device)

    def head_logits(self, states: Float[torch.Tensor, "*n width"]) -> Float[torch.Tensor, "*n vocabulary"]:
        """What the head makes of states that have passed the final norm; only where there is a head."""
        logits = self._head(states.to(device_of(self._head)))
        if self._softcap:
            logits = torch.tanh(logits / self._softcap) * self._softcap
        return logits.to(states.device)

    def states(self, ids: torch.Tensor, seen: torch.Tensor, body: torch.nn.Module | None = None) -> torch.Tensor:
        """[batch, tokens, width]: what the head reads; `body` runs in place of the model's own."""
        states: torch.Tensor = (body or self._body)(input_ids=ids, attention_mask=seen, use_cache=False)[0]
        return states.to(ids.device)  # of a model on several cards the last block is on another one than the first

    def _head_is_all(self) -> bool:
        """Whether body and head, as used here, give the model's own logits (a family may scale or cap them)."""
        ids = torch.arange(4, device=self._device)[None] % self._model.get_input_embeddings().weight.shape[0]
        seen = torch.ones_like(ids)
        with torch.inference_mode():
            whole = self._model(input_ids=ids, attention_mask=seen).logits.float()
            ours = self.head_logits(self.states(ids, seen)).float()
        # Not a number is not different: it is reported where the text is scored.
        same = not bool((whole - ours.to(whole.device)).abs().max() > 1e-2 * whole.abs().max())
        if not same:
            logger.warning("This model's logits are not its head's output alone: scoring text by text, which is slower")
        return same


def score_logits(
    logits: Float[torch.Tensor, "n vocabulary"], targets: Int[torch.Tensor, " n"]
) -> tuple[Float[np.ndarray, " n"], Bool[np.ndarray, " n"]]:
    """(nats, hits) of the targets; the log-softmax is taken in float32."""
    with torch.inference_mode():
        logits = logits.float()
        targets = targets.to(logits.device)
        nats = torch.logsumexp(logits, dim=-1) - logits.gather(1, targets[:, None])[:, 0]
        return nats.double().cpu().numpy(), (logits.argmax(dim=-1) == targets).cpu().numpy()


def check_finite(nats: Float[np.ndarray, " n"]) -> None:
    """Raise WorkFailed for a model whose output cannot be measured."""
    if not np.isfinite(nats).all():
        raise WorkFailed(
            "The model gives a text a likelihood that is not a number (NaN or infinite). Load it in float32, or check "
            "its weights."
        )
