"""From texts to the token sequences a model is trained on: end-of-text appended, long texts split, none lost."""

import hashlib
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from unlearning_core.errors import InputError
from unlearning_core.progress import Progress, ProgressCallback, silent

_log = logging.getLogger(__name__)
_CHUNK = 512
DEFAULT_LENGTH = 512


@dataclass(frozen=True)
class Sequences:
    """Token ids ready to be batched.

    Attributes:
        ids: one int array a sequence, each of 2 to `max_length` tokens.
        texts: how many texts they came from.
        too_short: pieces left out because they have a single token, which nothing predicts.
        end_of_text: the token appended to each text, or None where the tokenizer has none.
        max_length: tokens a sequence at most.
    """

    ids: list[np.ndarray]
    texts: int
    too_short: int
    end_of_text: str | None
    max_length: int

    @property
    def lengths(self) -> list[int]:
        """Tokens of each sequence."""
        return [len(ids) for ids in self.ids]

    def digest(self) -> str:
        """Identity of the content: sha256 over all ids and lengths."""
        digest = hashlib.sha256(np.asarray(self.lengths, dtype=np.int64).tobytes())
        for ids in self.ids:
            digest.update(ids.tobytes())
        return digest.hexdigest()


def longest_sequence(config: Any, asked: int | None) -> int:
    """Tokens a sequence: `asked`, or by default what the model has positions for, at most 512.

    Raises:
        InputError: `asked` is more than the model has positions for.
    """
    limit = next((value for name in _POSITIONS if (value := getattr(config, name, None))), None)
    if asked is None:
        return min(int(limit), DEFAULT_LENGTH) if limit else DEFAULT_LENGTH
    if limit and asked > limit:
        raise InputError(
            f"max_length is {asked}, but this model has positions for {limit} tokens; use {limit} or fewer."
        )
    return asked


_POSITIONS = ("max_position_embeddings", "n_positions", "n_ctx", "seq_length")


def tokenise(
    texts: Iterable[str], tokenizer: Any, max_length: int, source: str, *, progress: ProgressCallback = silent
) -> Sequences:
    """Tokenise `texts` as the model reads them, each closed with its end-of-text token.

    A text longer than `max_length` goes on in the next sequence; only its last piece ends with end-of-text, so the
    model does not learn to stop in the middle of one.

    Raises:
        InputError: no text in `source`, or none with two tokens.
    """
    eos = tokenizer.eos_token_id
    if eos is None:
        _log.warning("The tokenizer has no end-of-text token: the model will not learn where a text ends")
    ids: list[np.ndarray] = []
    read = too_short = 0
    iterator = iter(texts)
    while chunk := list(islice(iterator, _CHUNK)):
        for tokens in tokenizer(chunk, verbose=False)["input_ids"]:
            if eos is not None and (not tokens or tokens[-1] != eos):
                tokens = [*tokens, eos]
            pieces = [tokens[start : start + max_length] for start in range(0, len(tokens), max_length)]
            ids += [np.asarray(piece, dtype=np.int64) for piece in pieces if len(piece) > 1]
            too_short += sum(len(piece) < 2 for piece in pieces) if pieces else 1
        read += len(chunk)
        progress(Progress("tokenising", read, None, "texts"))
    if read == 0:
        raise InputError(f"{source} holds no text to train on. If it was filtered, nothing was left; give more text.")
    if not ids:
        raise InputError(
            f"Each of the {read} texts in {source} is shorter than two tokens, so there is nothing to predict. "
            "Give longer texts."
        )
    return Sequences(ids, read, too_short, tokenizer.eos_token if eos is not None else None, max_length)
