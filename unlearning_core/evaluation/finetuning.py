"""An attacker's fine-tuning: plain next-token training of a copy, the same texts in the same order for every model.

The loss is the mean over all tokens of a batch, concept or not; AdamW with PyTorch's betas, no weight decay and a
constant learning rate from the first step; no dropout; float32, whatever the model was loaded in. Nothing is tuned to
a contender: what differs between two curves is the model they start from.
"""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import nn
from torch.nn.utils.rnn import pad_sequence

from unlearning_core.activations.batches import length_sorted
from unlearning_core.edits.mask import Mask
from unlearning_core.edits.row_weights import RowEdit, held_rows
from unlearning_core.edits.token_rows import TokenRows
from unlearning_core.edits.weights import Cut, cuts
from unlearning_core.evaluation.next_token import NextToken
from unlearning_core.models.loading import LoadedModel
from unlearning_core.models.mapping import map_model

LONGEST = 128
"""Tokens that are learnt of a text at most: what a step costs must not hang on one long text."""

POSITIONS = 512
"""Padded tokens that are run at once; a batch of more is run in parts whose gradients add."""

LOGITS = 2**26
"""Numbers over the vocabulary that are held at once: 256 MB, and as much again for their gradient."""


class Learner:
    """A copy of a model that can be trained from the same weights again and again; the model itself stays as it is.

    Attributes:
        loaded: the copy, in float32 and eval mode.
    """

    def __init__(self, loaded: LoadedModel, mask: Mask | None = None, rows: TokenRows | None = None) -> None:
        """`mask` and `rows` have the neurons and the token rows that a training may be told to keep as they are.

        Raises:
            InputError: they are not of this model.
        """
        self._origin = loaded.model
        model = copy.deepcopy(loaded.model).float().eval()
        model.requires_grad_(True)
        self.loaded = replace(loaded, model=model, map=map_model(model))
        self._edits: list[Cut | RowEdit] = [
            *(cuts(self.loaded.map, mask) if mask is not None else []),
            *(held_rows(model, rows) if rows is not None else []),
        ]
        self._next_token = NextToken(self.loaded)
        self._device = model.get_input_embeddings().weight.device

    def restart(self) -> None:
        """Take the weights of the original again."""
        with torch.no_grad():
            for own, original in zip(self.loaded.model.parameters(), self._origin.parameters(), strict=True):
                own.copy_(original)

    def tokens(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text, as the model's tokenizer writes them; a text without two tokens is left out."""
        limit = min(LONGEST, getattr(self.loaded.model.config, "max_position_embeddings", None) or LONGEST)
        encoded = self.loaded.tokenizer(list(texts), truncation=True, max_length=limit, verbose=False)["input_ids"]
        return [ids for ids in encoded if len(ids) > 1]

    def steps(
        self, texts: Sequence[list[int]], batches: Sequence[Sequence[int]], learning_rate: float, *, keep_cut: bool
    ) -> Iterator[int]:
        """Train from the weights as they are, a step a batch; yields the number of steps done after each.

        Args:
            texts: token ids.
            batches: indices into `texts`.
            learning_rate: constant.
            keep_cut: whether the edit is written again after every step: neurons silenced, token rows as they were.
        """
        optimizer = torch.optim.AdamW(self.loaded.model.parameters(), lr=learning_rate, weight_decay=0.0, fused=True)
        for number, batch in enumerate(batches, start=1):
            optimizer.zero_grad(set_to_none=True)
            self._backward([texts[index] for index in batch])
            optimizer.step()
            if keep_cut:
                for edit in self._edits:
                    edit.write()
            yield number

    def _backward(self, texts: list[list[int]]) -> None:
        """Add the gradient of the mean loss over all predicted tokens of the texts."""
        predicted = sum(len(ids) - 1 for ids in texts)
        budget = min(POSITIONS, max(1, LOGITS // self._next_token.vocabulary))
        for group in length_sorted([len(ids) for ids in texts], budget):
            some = [torch.tensor(texts[index], device=self._device) for index in group]
            ids = pad_sequence(some, batch_first=True)
            seen = pad_sequence([torch.ones_like(one) for one in some], batch_first=True)
            places = seen.roll(-1, dims=1).bool()
            places[:, -1] = False
            logits = self._next_token.logits(ids, seen, places)
            targets = ids.roll(-1, dims=1)[places].to(logits.device)
            loss = nn.functional.cross_entropy(logits.float(), targets, reduction="sum") / predicted
            loss.backward()


def draw_batches(texts: int, size: int, steps: int, seed: int) -> list[list[int]]:
    """Indices of the texts of each step: pass after pass over all of them, each in an order of its own.

    They depend on these four numbers alone, so every contender is given the same.
    """
    random = np.random.default_rng(seed)
    passes = -(-size * steps // texts)
    order = np.concatenate([random.permutation(texts) for _ in range(passes)])[: size * steps]
    return order.reshape(steps, size).tolist()
