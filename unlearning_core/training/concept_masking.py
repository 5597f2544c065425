"""Which tokens a teacher may not foresee at which positions, so that it answers as one who never heard a concept.

A token that stands for the concept alone (its row is reset, or it is a whole word of the concept) is masked everywhere.
A word all of whose tokens belong to other words too is masked where it would be completed: where its first tokens were
read, its last one is masked. It is then never foreseen whole, and its pieces stay in every other word.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Bool, Int64

from unlearning_core.concepts.running import is_running

Endings = dict[tuple[int, ...], set[int]]
"""By the tokens that were read last: those that complete a word then."""

_CONTEXTS = ("{}", "a {}", '"{}')
"""Before a word stands nothing, a space or a sign: most tokenizers write it differently."""


@dataclass(frozen=True, eq=False)
class ConceptMask:
    """What is masked.

    Attributes:
        everywhere: sorted ids of the tokens that are masked at every position.
        at_start: sorted ids of those masked where a word may begin: whole words that are written without their space,
            which stand inside of other words too ("sit" in "visit").
        anywhere: the endings of words whose first token says that a word begins, or in a script without spaces.
        after_start: those of other words; they count where no letter or digit stands before the word.
        joins: of each token, whether it ends with a letter or digit, so that what follows goes on with its word.
    """

    everywhere: Int64[np.ndarray, " tokens"]
    at_start: Int64[np.ndarray, " tokens"]
    anywhere: Endings
    after_start: Endings
    joins: Bool[np.ndarray, " vocabulary"] = field(repr=False)

    def starts(self, ids: Sequence[int]) -> Bool[np.ndarray, " tokens"]:
        """After which tokens of a text a word may begin."""
        return ~self.joins[np.asarray(ids, np.int64)]

    def completions(self, ids: Sequence[int]) -> list[tuple[int, int]]:
        """(position, token): what may not be foreseen there, beside the tokens masked one by one; sorted."""
        ids = [int(one) for one in ids]
        found: set[tuple[int, int]] = set()
        for endings, own_start in ((self.anywhere, True), (self.after_start, False)):
            for length in {len(prefix) for prefix in endings}:
                for end in range(length, len(ids) + 1):
                    lasts = endings.get(tuple(ids[end - length : end]))
                    if lasts and (own_start or end == length or not self.joins[ids[end - length - 1]]):
                        found |= {(end - 1, last) for last in lasts}
        return sorted(found)

    def values(self) -> list[Any]:
        """All that it says, JSON-able."""
        endings = [
            sorted([list(prefix), sorted(lasts)] for prefix, lasts in one.items())
            for one in (self.anywhere, self.after_start)
        ]
        return [self.everywhere.tolist(), self.at_start.tolist(), *endings]


def word_forms(words: Iterable[str], met: Iterable[str]) -> list[str]:
    """The spellings to mask: the concept's words and the forms met in text, also in lower case and capitalised."""
    forms: set[str] = set()
    for form in (*words, *met):
        form = " ".join(form.split())
        forms |= {form, form.lower(), form[:1].upper() + form[1:], form[:1].upper() + form[1:].lower()}
    return sorted(forms - {""})


def concept_mask(tokenizer: Any, forms: Iterable[str], reset: Iterable[int] = ()) -> ConceptMask:
    """What is masked for words in these spellings, at the start of a text, after a space and after a sign.

    Args:
        tokenizer: of the model, a fast one.
        forms: spellings of the concept's words (`word_forms`).
        reset: the tokens whose rows are reset. A spelling that holds one of them is masked by it already.
    """
    surfaces = token_surfaces(tokenizer)
    everywhere, at_start = {int(token) for token in reset}, set[int]()
    anywhere: Endings = {}
    after_start: Endings = {}
    for form in forms:
        for ids in spellings(tokenizer, form):
            if everywhere.intersection(ids):
                continue
            begins = not surfaces[ids[0]][:1].isalnum() or is_running(form)
            if len(ids) == 1:
                (everywhere if begins else at_start).add(ids[0])
            else:
                (anywhere if begins else after_start).setdefault(ids[:-1], set()).add(ids[-1])
    joins = np.array([surface[-1:].isalnum() for surface in surfaces])
    return ConceptMask(_sorted(everywhere), _sorted(at_start), anywhere, after_start, joins)


def spellings(tokenizer: Any, form: str) -> list[tuple[int, ...]]:
    """The token ids of a word as it is written in each context, without the tokens of the context; sorted, unique.

    None where the tokenizer lacks one of its signs.
    """
    wanted = "".join(form.split()).casefold()
    found = set()
    for context in _CONTEXTS:
        start = context.index("{")
        encoded = tokenizer(context.format(form), add_special_tokens=False, return_offsets_mapping=True)
        within = [
            int(token)
            for token, (first, last) in zip(encoded["input_ids"], encoded["offset_mapping"], strict=True)
            if first < last and last > start
        ]
        if wanted in "".join(tokenizer.decode(within).split()).casefold():
            found.add(tuple(within))
    return sorted(found)


def token_surfaces(tokenizer: Any) -> list[str]:
    """What each token adds to a text that ends with a letter; a token that is a piece of a character adds no letter."""
    anchor = tokenizer("a", add_special_tokens=False)["input_ids"]
    before = tokenizer.decode(anchor, clean_up_tokenization_spaces=False)
    texts = tokenizer.batch_decode(
        [[*anchor, token] for token in range(len(tokenizer))], clean_up_tokenization_spaces=False
    )
    return [text[len(before) :] for text in texts]


def _sorted(ids: set[int]) -> Int64[np.ndarray, " tokens"]:
    return np.array(sorted(ids), np.int64)
