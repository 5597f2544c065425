"""Ragged text without wasted padding: texts of like length share a batch, in an order that a seed fixes."""

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import Sampler

POOL_BATCHES = 50
"""Batches whose texts are sorted together: enough for next to no padding, few enough to keep the order random."""


class LengthGroupedOrder(Sampler[int]):
    """Indices of the texts, so that each run of `batch_size` of them is of like length.

    The order depends on the lengths, the batch size, the seed and the epoch alone, so a resumed training sees the
    batches that the interrupted one would have seen, and two processes share the batches that one would take whole.
    Batches follow each other at random: sorted batches would teach short texts first. A last batch that is not full
    comes last, where the loader cuts it.
    """

    def __init__(self, lengths: Sequence[int], batch_size: int, seed: int) -> None:
        self._lengths = np.asarray(lengths)
        self.batch_size = batch_size
        self._seed = seed
        self.epoch = 0

    def __len__(self) -> int:
        return len(self._lengths)

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of pass `epoch`, from 0."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        random = np.random.default_rng([self._seed, self.epoch])
        shuffled = random.permutation(len(self._lengths))
        full = len(shuffled) // self.batch_size * self.batch_size
        pool = self.batch_size * POOL_BATCHES
        pools = [self._by_length(shuffled[start : min(start + pool, full)]) for start in range(0, full, pool)]
        if pools:
            batches = np.concatenate(pools).reshape(-1, self.batch_size)
            yield from batches[random.permutation(len(batches))].ravel().tolist()
        yield from self._by_length(shuffled[full:]).tolist()

    def _by_length(self, indices: np.ndarray) -> np.ndarray:
        return indices[np.argsort(self._lengths[indices], kind="stable")]


class MixedOrder(Sampler[int]):
    """Steps of some texts each, in a `LengthGroupedOrder`, with texts of other corpora beside them in every step.

    Indices run on from corpus to corpus. Of the others each step has as many as it should, whatever there is of them:
    all once, shuffled, then all again in another order. It depends on lengths, sizes, seed and epoch alone.
    """

    def __init__(self, lengths: Sequence[int], own: int, seed: int, others: Sequence[tuple[int, int]]) -> None:
        """`own` texts of these lengths a step; of each of the others (texts that there are, texts a step)."""
        self._main = LengthGroupedOrder(lengths, own, seed)
        self._others, self._seed = others, seed
        self.batch_size = own + sum(each for _, each in others)
        self._steps = math.ceil(len(lengths) / own)

    def __len__(self) -> int:
        return len(self._main) + self._steps * (self.batch_size - self._main.batch_size)

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of pass `epoch`, from 0."""
        self._main.set_epoch(epoch)

    def __iter__(self) -> Iterator[int]:
        order, own = list(self._main), self._main.batch_size
        for number in range(self._steps):
            yield from order[number * own : (number + 1) * own]
            first, step = len(order), self._main.epoch * self._steps + number
            for corpus, (there, each) in enumerate(self._others):
                yield from (first + text for text in drawn(there, each, step, (self._seed, corpus)))
                first += there


def drawn(there: int, size: int, step: int, seed: Sequence[int]) -> list[int]:
    """The texts of a step: all of them once, shuffled, then all again in another order; no state to restore."""
    places = range(step * size, (step + 1) * size)
    orders = {
        epoch: np.random.default_rng([*seed, epoch]).permutation(there)
        for epoch in {place // there for place in places}
    }
    return [int(orders[place // there][place % there]) for place in places]


def pad(sequences: Sequence[Sequence[int]], pad_id: int) -> dict[str, Tensor]:
    """Right-padded `input_ids`, `attention_mask` and `labels`, each int64 [batch, longest].

    What is padding is told by the lengths alone. The pad token is often the end-of-text token, or a real letter in a
    model that has no pad token: a label equal to `pad_id` inside a text is learnt like any other.
    """
    ids = [torch.as_tensor(sequence) for sequence in sequences]
    return {
        "input_ids": pad_sequence(ids, batch_first=True, padding_value=pad_id),
        "attention_mask": pad_sequence([torch.ones_like(one) for one in ids], batch_first=True),
        "labels": pad_sequence(ids, batch_first=True, padding_value=-100),
    }


def split_batch(batch_size: int, longest: int, vocabulary: int, budget: int = 2**28) -> tuple[int, int]:
    """(texts at once, gradient accumulation steps) whose product is `batch_size`.

    The scores over the vocabulary are the largest array of a training step: texts x `longest` x `vocabulary`, kept at
    most `budget` long (1 GB in float32) as long as one text allows it.
    """
    for parts in range(1, batch_size + 1):
        if batch_size % parts == 0 and (batch_size // parts) * longest * vocabulary <= budget:
            return batch_size // parts, parts
    return 1, batch_size
