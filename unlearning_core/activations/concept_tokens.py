"""Which tokens of a vocabulary belong to a concept alone: they occur, nearly always, inside its words. No torch.

Counted on a run's own text, and on broad text. Narrow text alone misleads: in a few hundred sentences about seats "pe"
may stand in nothing but "perch". The broad text is a table of word frequencies (wordfreq, Speer 2022,
doi:10.5281/zenodo.7199437): its most frequent words, in four spellings each, weighted by how often they are written.

A token need not be free of other words to belong to the concept alone: " chair" begins "chairperson" too. What counts
is the share of its occurrences, and where that is short of what was asked for, whether the others are so rare that
their loss costs next to nothing: 20 of a million words, each lost at 10 nats, are 0.0002 nats a word.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float64, Int64

from unlearning_core.activations.alignment import encode
from unlearning_core.concepts.labelling import LabelledText
from unlearning_core.concepts.matcher import Matcher

RULES_VERSION = 1
"""Raised when the same text and words give other tokens."""

SHARE = 0.95
LEAST, LEAST_BROAD = 3, 0.1
"""Occurrences that say something: in the run's own text, and of a million words of broad text."""

WORDS = 100_000
"""Of the frequency table; each of those behind them is less than one word in ten million."""

RARE, MOST = 20.0, 0.5
"""Of a million words of broad text, those that a token may have outside the concept where most of it lies inside."""

_BEHIND_SPACE, _USUAL_CASE = 0.9, 0.95
"""How often a word follows a space rather than begin a line, and is written as it usually is."""

_TEXTS = 256
"""Texts that are tokenised at once."""

_WORDS_A_TEXT = 1000
_APART = " . "
"""Between words that are looked at one by one: no phrase reaches over it."""


@dataclass(frozen=True, eq=False)
class ConceptTokens:
    """The tokens that occur inside a concept's words, and which of them belong to the concept alone.

    Attributes:
        table: a row a token: `token_id`, `token` (as the vocabulary writes it), `text` (as it reads), `inside` and
            `outside` (occurrences in the run's own text), `broad_inside` and `broad_outside` (of a million words of
            broad text), `share` (the smaller of the two shares that lie inside), `own` (whether it belongs to the
            concept alone) and `reset` (whether its rows are to be reset: own, and not switched off). Most frequent
            first.
        unseen: tokens that the run's own text never has, special ones and those of the table aside: rows that mean
            nothing.
    """

    table: pd.DataFrame
    unseen: Int64[np.ndarray, " unseen"]

    def without(self, kept: Collection[str]) -> "ConceptTokens":
        """The same with these tokens, as the vocabulary writes them or as they read, switched off and all others on."""
        named = self.table["token"].isin(list(kept)) | self.table["text"].isin(list(kept))
        return replace(self, table=self.table.assign(reset=self.table["own"] & ~named))

    @property
    def ids(self) -> Int64[np.ndarray, " tokens"]:
        """The tokens whose rows are to be reset, ascending."""
        return np.sort(self.table.loc[self.table["reset"], "token_id"].to_numpy(np.int64))

    @property
    def covered(self) -> float:
        """The share of the concept's tokens in the run's own text that the reset ones are; 0 where it has none."""
        inside = self.table["inside"]
        return float(inside[self.table["reset"]].sum() / max(1, inside.sum()))

    @property
    def sentence(self) -> str:
        """How many are reset and what they cover, or why none is."""
        if len(self.ids):
            return (
                f"The rows of {len(self.ids)} tokens are reset; they are {100 * self.covered:.3g} % of the concept's "
                "tokens in the run's text."
            )
        if self.table["own"].any():
            return "Every token that belongs to the concept alone is switched off, so no token row is reset."
        return "No token belongs to the concept alone, so no token row is reset: its words share all their tokens."


def concept_tokens(
    tokenizer: Any,
    matcher: Matcher,
    labelled: Iterable[LabelledText],
    texts: Iterable[str] = (),
    *,
    share: float = SHARE,
    broad_text: bool = True,
    kept: Collection[str] = (),
) -> ConceptTokens:
    """Count in which words the tokens stand.

    A token belongs to the concept alone where its occurrences lie to `share` inside concept words, in each of the two
    texts that has it (in the broad one it is enough that most do and the others are rare); and one of them has to say
    something, having it often enough. Special tokens and pieces of a character never do.

    Args:
        tokenizer: a fast one.
        matcher: finds the concept's words.
        labelled: texts whose concept words are marked.
        texts: more text of the run, in which they are looked for.
        share: 0 to 1.
        broad_text: whether the broad text counts. Where the run's own is all that the model ever read, it tells of
            words that this model does not know.
        kept: tokens, as the vocabulary writes them or as they read, that are not to be reset.

    Raises:
        InputError: the tokenizer gives no character offsets.
    """
    size = 1 + max(tokenizer.get_vocab().values())
    own = np.zeros((2, size))
    for items in _in_batches(_marked(matcher, labelled, texts)):
        for text in encode(tokenizer, items):
            for number, chosen in enumerate((text.concept, ~text.concept & ~text.special)):
                np.add.at(own[number], text.input_ids[chosen], 1)
    broad = _broad(tokenizer, matcher, size) if broad_text else np.zeros((2, size))
    special = np.zeros(size, bool)
    special[[token for token in tokenizer.all_special_ids if token < size]] = True
    shares = [_share(counts) for counts in (own, broad)]
    passes = (own.sum(0) >= LEAST) | (broad.sum(0) >= LEAST_BROAD)
    passes &= ~(shares[0] < share)  # NaN: this text does not have it
    passes &= ~(shares[1] < share) | ((shares[1] >= MOST) & (broad[1] <= RARE))
    table = _table(tokenizer, own, broad, np.fmin(*shares), special)
    table["own"] = passes[table["token_id"]] & ["\ufffd" not in text for text in table["text"]]
    there = np.zeros(size, bool)
    there[list(tokenizer.get_vocab().values())] = True
    there &= (own.sum(0) == 0) & ~special
    there[table["token_id"]] = False
    return ConceptTokens(table, np.flatnonzero(there)).without(kept)


def _share(counts: Float64[np.ndarray, "2 tokens"]) -> Float64[np.ndarray, " tokens"]:
    total = counts.sum(0)
    return np.divide(counts[0], total, out=np.full(len(total), np.nan), where=total > 0)


def _table(tokenizer: Any, own: np.ndarray, broad: np.ndarray, share: np.ndarray, special: np.ndarray) -> pd.DataFrame:
    ids = np.flatnonzero(((own[0] > 0) | (broad[0] > 0)) & ~special)
    ids = ids[np.lexsort((ids, -broad[0, ids], -own[0, ids]))]
    return pd.DataFrame(
        {
            "token_id": ids,
            "token": tokenizer.convert_ids_to_tokens(ids.tolist()),
            "text": [tokenizer.decode([token]) for token in ids.tolist()],
            "inside": own[0, ids].astype(np.int64),
            "outside": own[1, ids].astype(np.int64),
            "broad_inside": broad[0, ids],
            "broad_outside": broad[1, ids],
            "share": share[ids],
        }
    )


def _marked(matcher: Matcher, labelled: Iterable[LabelledText], texts: Iterable[str]) -> Iterator[LabelledText]:
    yield from labelled
    for text in texts:
        yield LabelledText(text, tuple((span.start, span.end) for span in matcher.spans(text)))


def _in_batches(items: Iterable[LabelledText]) -> Iterator[list[LabelledText]]:
    batch: list[LabelledText] = []
    for item in items:
        batch.append(item)
        if len(batch) == _TEXTS:
            yield batch
            batch = []
    if batch:
        yield batch


def _broad(tokenizer: Any, matcher: Matcher, size: int) -> Float64[np.ndarray, "2 tokens"]:
    """How often a million words of broad text have each token inside concept words, and outside them.

    A word stands behind a space or at the start of a line, in small letters or with a capital. Which of these is the
    usual one the table does not tell; the tokenizer does, which has fewer tokens for it.
    """
    counts = np.zeros((2, size))
    for language in sorted({"en", matcher.concept.language or "en"}):
        words, weights = frequent_words(language)
        outside = (~_of_concept(words, matcher)).astype(np.int64)
        for first in range(0, len(words), _WORDS_A_TEXT):
            some = slice(first, first + _WORDS_A_TEXT)
            spellings = (words[some], tuple(word.capitalize() for word in words[some]))
            placed = [[_tokens_of(tokenizer, spelled, separator) for spelled in spellings] for separator in (" ", "\n")]
            small, capital = (np.bincount(of_word, minlength=len(words[some])) for _, of_word in placed[0])
            usual = np.where(capital < small, 1, 0)
            for at_start, pair in enumerate(placed):
                for case, (ids, of_word) in enumerate(pair):
                    written = np.where(usual == case, _USUAL_CASE, 1 - _USUAL_CASE) * abs(at_start - _BEHIND_SPACE)
                    np.add.at(counts, (outside[some][of_word], ids), (weights[some] * written)[of_word])
    return counts


@lru_cache(maxsize=4)
def frequent_words(language: str) -> tuple[tuple[str, ...], Float64[np.ndarray, " words"]]:
    """The most frequent words of a language without digits, and how often a million words have each; may be none."""
    import wordfreq

    if language not in wordfreq.available_languages():  # asked for it, it would take the nearest one
        return (), np.empty(0)
    table = wordfreq.get_frequency_dict(language, "best")
    items = [(word, frequency) for word, frequency in table.items() if not any(map(str.isdigit, word))][:WORDS]
    return tuple(word for word, _ in items), 1e6 * np.array([frequency for _, frequency in items])


def _of_concept(words: tuple[str, ...], matcher: Matcher) -> np.ndarray:
    """Whether each word, standing alone, is one of the concept's: bool [words]."""
    starts = np.cumsum([0, *(len(word) + len(_APART) for word in words)])
    found = np.zeros(len(words), bool)
    spans = matcher.spans(_APART.join(words))
    found[np.searchsorted(starts, [span.start for span in spans], side="right") - 1] = True
    return found


def _tokens_of(tokenizer: Any, words: tuple[str, ...], separator: str) -> tuple[np.ndarray, np.ndarray]:
    """The tokens of words that follow each other, and the index of the word that each belongs to."""
    lead = "." + separator
    text = lead + separator.join(words)
    encoding = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    ids = np.asarray(encoding["input_ids"], np.int64)
    last = np.asarray(encoding["offset_mapping"], np.int64).reshape(-1, 2)[:, 1] - 1
    starts = len(lead) + np.cumsum([0, *(len(word) + len(separator) for word in words[:-1])])
    ends = starts + [len(word) for word in words]
    word = np.searchsorted(starts, last, side="right") - 1
    belongs = (word >= 0) & (last < ends[word])  # what lies in a separator alone belongs to none
    return ids[belongs], word[belongs]
