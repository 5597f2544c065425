"""Sentences with every concept word in them marked: what the neurons are ranked on and the model is measured on."""

import logging
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from unlearning_core.concepts.matcher import Matcher
from unlearning_core.concepts.reading import listed
from unlearning_core.errors import InputError
from unlearning_core.progress import Progress, ProgressCallback, silent

log = logging.getLogger(__name__)

_REPORT_EVERY = 1000


@dataclass(frozen=True)
class LabelledText:
    """One sentence.

    Attributes:
        text: the sentence.
        spans: (start, end) characters of every concept word in it, in order; empty for a retain sentence.
        words: the concept word that each span is a form of.
        neighbours: (start, end) characters of what must stay (concepts/neighbours.py); none overlaps a concept word.
        neighbour_words: the neighbour word that each of these is a form of; empty where the sentence counts as a whole.
    """

    text: str
    spans: tuple[tuple[int, int], ...] = ()
    words: tuple[str, ...] = ()
    neighbours: tuple[tuple[int, int], ...] = ()
    neighbour_words: tuple[str, ...] = ()


@dataclass(frozen=True)
class LabelledSet:
    """Labelled sentences, no two alike.

    Attributes:
        items: the sentences in their order.
        duplicates: how many sentences were dropped because an equal one came before.
        vocabulary: the concept's words; those that never occur are `missing`.
    """

    items: list[LabelledText]
    duplicates: int = 0
    vocabulary: tuple[str, ...] = ()

    @property
    def with_concept(self) -> list[LabelledText]:
        """Sentences with at least one concept word."""
        return [item for item in self.items if item.spans]

    @property
    def without(self) -> list[LabelledText]:
        """Sentences without a concept word."""
        return [item for item in self.items if not item.spans]

    @property
    def with_neighbour(self) -> list[LabelledText]:
        """Sentences without a concept word and with a neighbour."""
        return [item for item in self.without if item.neighbours]

    @property
    def counts(self) -> dict[str, int]:
        """Occurrences by concept word, zeros included."""
        zeros = dict.fromkeys(self.vocabulary, 0)
        return zeros | Counter(word for item in self.items for word in item.words)

    @property
    def missing(self) -> list[str]:
        """Concept words that occur in no sentence."""
        return [word for word, count in self.counts.items() if count == 0]

    def split(self, held_out: float, seed: int) -> tuple["LabelledSet", "LabelledSet"]:
        """(train, held out): a share of the concept sentences and the same share of the others is held out.

        Both sides keep the order of the sentences; no sentence is on both. Held out are at least one concept sentence
        and, when there are two or more, one without; likewise of the sentences with and without a neighbour.

        Raises:
            InputError: `held_out` is not between 0 and 1, or there are fewer than two concept sentences.
        """
        if not 0 < held_out < 1:
            raise InputError(f"held_out is {held_out}; expected a share above 0 and below 1, for example 0.2.")
        with_concept, near, others = self._indices()
        if len(with_concept) < 2:
            raise InputError(
                f"The corpus is too small to split: {len(with_concept)} of its {len(self.items)} different sentences "
                "hold a concept word, and at least 2 are needed (one to rank on, one to measure on). Give more text, "
                "or words that occur in it."
            )
        shuffled = random.Random(seed)
        chosen = draw_share(with_concept, held_out, shuffled)
        for indices in (near, others) if min(len(near), len(others)) > 1 else (sorted(near + others),):
            chosen |= draw_share(indices, held_out, shuffled)
        return self._only(set(range(len(self.items))) - chosen), self._only(chosen)

    def take(self, n_concept: int | None, n_retain: int | None, seed: int) -> "LabelledSet":
        """At most so many sentences with and without the concept, drawn with the seed; None takes all of them.

        Of those without, half have a neighbour where there are so many, so that they are not drowned in the others; the
        rest of them where there are too few others.
        """
        drawn = random.Random(seed)
        with_concept, near, others = self._indices()
        chosen = _draw(with_concept, n_concept, drawn)
        if n_retain is None or n_retain >= len(near) + len(others):
            return self._only(chosen | set(near + others))
        n_near = min(len(near), max(n_retain // 2, n_retain - len(others)))
        return self._only(chosen | _draw(near, n_near, drawn) | _draw(others, n_retain - n_near, drawn))

    def _indices(self) -> tuple[list[int], list[int], list[int]]:
        """Of the sentences with the concept, of those without it that have a neighbour, and of all others."""
        pairs = list(enumerate(self.items))
        return (
            [i for i, item in pairs if item.spans],
            [i for i, item in pairs if not item.spans and item.neighbours],
            [i for i, item in pairs if not item.spans and not item.neighbours],
        )

    def _only(self, chosen: set[int]) -> "LabelledSet":
        return LabelledSet([self.items[index] for index in sorted(chosen)], 0, self.vocabulary)


def label(texts: Iterable[str], matcher: Matcher, progress: ProgressCallback = silent) -> LabelledSet:
    """Mark every concept word in every text; texts equal but for case and white space are kept once.

    Raises:
        InputError: none of the concept's words occurs in any text.
    """
    items: list[LabelledText] = []
    seen: set[int] = set()
    duplicates = 0
    for number, text in enumerate(texts, start=1):
        if number % _REPORT_EVERY == 0:
            progress(Progress("labelling sentences", number, None, "sentences"))
        key = same_text_key(text)
        if key in seen:
            duplicates += 1
            continue
        seen.add(key)
        items.append(label_text(text, matcher))
    labelled = LabelledSet(items, duplicates, matcher.concept.words)
    _report(labelled)
    return labelled


def label_text(text: str, matcher: Matcher) -> LabelledText:
    """One text with its concept words marked."""
    spans = matcher.spans(text)
    return LabelledText(text, tuple((span.start, span.end) for span in spans), tuple(span.word for span in spans))


def same_text_key(text: str) -> int:
    """The same number for texts that differ in case and white space only (a 64-bit hash, to keep memory small)."""
    return hash(" ".join(text.split()).casefold())


def _report(labelled: LabelledSet) -> None:
    words, found = labelled.vocabulary, len(labelled.with_concept)
    if not found:
        raise InputError(
            f"None of the concept's {len(words)} words occurs in the {len(labelled.items)} sentences: "
            f"{listed(words)}. Give text that is about the concept, or other words."
        )
    log.info(
        "labelled %d sentences: %d with the concept, %d without, %d duplicates dropped",
        len(labelled.items), found, len(labelled.items) - found, labelled.duplicates,
    )  # fmt: skip
    if labelled.missing:
        log.warning("concept words that never occur: %s", listed(labelled.missing))


def _draw(indices: list[int], wanted: int | None, drawn: random.Random) -> set[int]:
    enough = wanted is None or wanted >= len(indices)
    return set(indices if enough else drawn.sample(indices, max(wanted or 0, 0)))


def draw_share(keys: Sequence[int], share: float, drawn: random.Random, least: int = 1) -> set[int]:
    """A share of the different keys: at least `least` of them, and never all."""
    different = list(dict.fromkeys(keys))
    count = max(min(max(round(len(different) * share), least), len(different) - 1), 0)
    return set(drawn.sample(different, count))
