"""What a person takes out of the labelled sentences by hand: single ones, those of a word, those of one sense of it.

A sentence that is taken out is neither concept nor retain text: it is not ranked on, measured on or trained on. A word
whose sentences are taken out stays a word of the concept, and text for retraining is still filtered of it.
"""

import logging
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from unlearning_core.concepts.labelling import LabelledSet, LabelledText, same_text_key
from unlearning_core.concepts.matcher import Matcher
from unlearning_core.concepts.scripts import fold
from unlearning_core.concepts.words import Concept
from unlearning_core.errors import InputError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LeftOut:
    """Which sentences the corrections take out.

    Attributes:
        keys: `same_text_key` of each of them.
        sentences: for each dropped sentence whether it is there, 1 or 0.
        words: for each dropped word how many sentences hold it.
        senses: for each dropped sense how many sentences show it.
    """

    keys: frozenset[int] = frozenset()
    sentences: tuple[int, ...] = ()
    words: tuple[int, ...] = ()
    senses: tuple[int, ...] = ()


@dataclass(frozen=True)
class Corrections:
    """What is to be taken out.

    Attributes:
        sentences: texts, told apart as `same_text_key` does.
        words: concept words (every match of them) or single forms of them ("sat").
        senses: (concept word or form, word that stands in the same sentence).
    """

    sentences: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    senses: tuple[tuple[str, str], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.sentences or self.words or self.senses)

    def find(self, items: Sequence[LabelledText], concept: Concept) -> LeftOut:
        """What of `items` goes, and how much each correction takes; one that takes nothing is logged.

        Raises:
            InputError: the second word of a sense is blank or has no letter.
        """
        texts = [same_text_key(text) for text in self.sentences]
        known = {same_text_key(item.text) for item in items}
        by_word = [_keys(item for item in items if holds(item, word)) for word in self.words]
        by_sense = [_keys(with_sense(items, word, beside, concept)) for word, beside in self.senses]
        for entry, keys in zip((*self.words, *self.senses), (*by_word, *by_sense), strict=True):
            if not keys:
                log.warning("the correction %s takes out no sentence", entry)
        return LeftOut(
            frozenset(known.intersection(texts).union(*by_word, *by_sense)),
            tuple(int(key in known) for key in texts),
            tuple(map(len, by_word)),
            tuple(map(len, by_sense)),
        )


def holds(item: LabelledText, word: str) -> bool:
    """Whether a match in `item` belongs to the concept word `word`, or is that very form of one."""
    wanted = fold(" ".join(word.split()))
    return any(wanted in (fold(of), form) for of, form in zip(item.words, _forms(item), strict=True))


def with_sense(items: Iterable[LabelledText], word: str, beside: str, concept: Concept) -> list[LabelledText]:
    """The sentences in which `word` matches and `beside`, inflected as the concept's words are, stands as well.

    Raises:
        InputError: `beside` has no letter or digit.
    """
    if not any(letter.isalnum() for letter in beside):
        raise InputError(
            f"The word that stands together with {word!r} is {beside!r}; expected a word, for example: meeting."
        )
    matcher = Matcher(replace(concept, words=(beside,)))
    return [item for item in items if holds(item, word) and matcher.matches(item.text)]


def without(labelled: LabelledSet, keys: frozenset[int]) -> LabelledSet:
    """The set without the sentences that have these keys."""
    kept = [item for item in labelled.items if same_text_key(item.text) not in keys]
    return LabelledSet(kept, labelled.duplicates, labelled.vocabulary)


def forms_of(items: Iterable[LabelledText]) -> dict[str, dict[str, int]]:
    """The forms that matched by concept word, the most frequent first: {"sit": {"sat": 3, "sitting": 1}}."""
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for item in items:
        for word, form in zip(item.words, _forms(item), strict=True):
            found[word][form] += 1
    return {word: dict(forms.most_common()) for word, forms in found.items()}


def _forms(item: LabelledText) -> list[str]:
    return [fold(" ".join(item.text[start:end].split())) for start, end in item.spans]


def _keys(items: Iterable[LabelledText]) -> set[int]:
    return {same_text_key(item.text) for item in items}
