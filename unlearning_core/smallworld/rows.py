"""From texts to rows of token ids that a model with a fixed context learns from, without padding; and the tokenizer."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from unlearning_core.progress import Progress, ProgressCallback, silent

_CHUNK = 1000

END_OF_TEXT = "<|endoftext|>"
"""Closes a text; also what GPT-2 style tools take as begin-of-text, padding and unknown token."""


def train_tokenizer(texts: Iterable[str], vocabulary: int, context: int) -> PreTrainedTokenizerFast:
    """Learn a byte-level BPE from `texts`; the same texts give the same tokenizer, for every SmallWorld model.

    Every byte is an entry, so that any text can be written. No token is added around a text.

    Args:
        vocabulary: entries at most, at least 257 (the bytes and end-of-text); few words need fewer.
        context: `model_max_length` of the tokenizer.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        min_frequency=2,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        **dict.fromkeys(("bos_token", "eos_token", "pad_token", "unk_token"), END_OF_TEXT),
        model_max_length=context,
        clean_up_tokenization_spaces=False,
    )


def tokenise(
    texts: Sequence[str], tokenizer: PreTrainedTokenizerFast, progress: ProgressCallback = silent
) -> list[np.ndarray]:
    """Each text as int32 token ids, closed with end-of-text."""
    ids: list[np.ndarray] = []
    for start in range(0, len(texts), _CHUNK):
        chunk = tokenizer(list(texts[start : start + _CHUNK]), verbose=False)["input_ids"]
        ids += [np.asarray([*tokens, tokenizer.eos_token_id], dtype=np.int32) for tokens in chunk]
        progress(Progress("tokenising", len(ids), len(texts), "texts"))
    return ids


def pack(ids: Sequence[np.ndarray], order: Sequence[int], context: int) -> np.ndarray:
    """Rows of `context` tokens, [rows, context] int32, each from the first token of a text on.

    The texts follow one another in `order`. The last one of a row is cut where the row is full and begins the next row
    as a whole, so that a model reads every text to its end, and positions at the start of a row are always the start
    of a text, as they are when a person's prompt is read. A text longer than a row is cut. What would not fill the
    last row is left out.
    """
    rows: list[np.ndarray] = []
    parts: list[np.ndarray] = []
    filled = 0
    for index in order:
        text = ids[index]
        if filled and filled + len(text) > context:
            rows.append(np.concatenate([*parts, text[: context - filled]]))
            parts, filled = [], 0
        parts.append(text[:context])
        filled += len(parts[-1])
        if filled == context:
            rows.append(np.concatenate(parts))
            parts, filled = [], 0
    return np.stack(rows) if rows else np.empty((0, context), dtype=np.int32)


def batches(
    ids: Sequence[np.ndarray], context: int, batch_rows: int, seed: int, start: int = 0
) -> Iterator[np.ndarray]:
    """Endless batches, [batch_rows, context]: epoch after epoch, the texts in a new order each time.

    Args:
        seed: with the number of the epoch, decides the order.
        start: batches to skip, to go on where a training stopped.
    """
    epoch = 0
    while True:
        order = np.random.default_rng([seed, epoch]).permutation(len(ids))
        rows = pack(ids, order.tolist(), context)
        count = len(rows) // batch_rows
        if count == 0:
            raise ValueError(f"{len(rows)} rows do not fill a batch of {batch_rows}")
        for number in range(min(start, count), count):
            yield rows[number * batch_rows : (number + 1) * batch_rows]
        start = max(0, start - count)
        epoch += 1
