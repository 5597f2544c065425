"""Ragged text without wasted padding: texts of like length share a batch, in an order that a seed fixes."""

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
