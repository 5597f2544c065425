"""Neighbours: what stands near the concept and must stay, given as words, as text or as both.

With words, a token of one of them is a neighbour token wherever it stands, also beside the concept in one sentence;
where a match of the concept overlaps it ("rocking chair" beside the neighbour "chair"), the concept has it. With text
alone, every token of its sentences is one. A sentence with a neighbour and without the concept is a retain sentence of
which `LabelledSet.take` keeps a share.
"""

import logging
from collections.abc import Iterable
from dataclasses import replace

from unlearning_core.concepts.labelling import LabelledSet, LabelledText, same_text_key
from unlearning_core.concepts.matcher import Matcher, outside
from unlearning_core.concepts.reading import listed
from unlearning_core.concepts.words import Concept, check_letters, read_words, unique_words
from unlearning_core.errors import InputError

log = logging.getLogger(__name__)


def given_words(given: str | Iterable[str] | None) -> tuple[str, ...]:
    """The words of neural_probing.neighbours, a file or a list; none where there is neither.

    Raises:
        InputError: the file cannot be read, or holds no words.
    """
    return read_words(given) if isinstance(given, str) else unique_words(given or ())


def neighbour_words(words: Iterable[str], concept: Concept) -> Concept:
    """The neighbours' words, inflected as the concept's are.

    Raises:
        InputError: a word is one of the concept's too, a form of one or a phrase with one in it, or has no letter.
    """
    given = tuple(words)
    check_letters(given, "The neighbour word")
    neighbours = replace(concept, words=given)
    of_concept, of_neighbours = Matcher(concept), Matcher(neighbours)
    for word in neighbours.words:
        for span in of_concept.spans(word):
            raise _in_both(word, span.word)
    for word in concept.words:
        for span in of_neighbours.spans(word):
            if (span.start, span.end) == (0, len(word)):
                raise _in_both(span.word, word)
    return neighbours


def _in_both(neighbour: str, word: str) -> InputError:
    same = neighbour.casefold() == word.casefold()
    how = "is a word of the concept too" if same else f"matches the concept's word {word!r}"
    return InputError(
        f"neural_probing.neighbours: {neighbour!r} {how}, and what is to be forgotten cannot stay. Take it out of "
        "one of the two lists."
    )


def with_neighbours(
    labelled: LabelledSet, concept: Matcher, words: Matcher | None, texts: Iterable[str] = ()
) -> LabelledSet:
    """The set with its neighbours marked, and with the sentences about them that it lacks.

    Args:
        concept: finds the concept; sentences of `texts` with it are left out.
        words: finds the neighbours' words; None: each sentence of `texts` is about a neighbour as a whole.
        texts: sentences about neighbours.

    Raises:
        InputError: there is no neighbour in any sentence.
    """
    near: dict[int, str] = {}
    for text in texts:
        near.setdefault(same_text_key(text), text)
    seen = {same_text_key(item.text) for item in labelled.items}
    added = [LabelledText(text) for key, text in near.items() if key not in seen and not concept.matches(text)]
    items = [*labelled.items, *added]
    if words is not None:
        items = [_marked(item, words) for item in items]
    else:
        items = [_whole(item) if same_text_key(item.text) in near and not item.spans else item for item in items]
    found = sum(bool(item.neighbours) for item in items)
    if not found:
        if words is None:
            raise InputError(
                f"All {len(near)} sentences of neural_probing.neighbour_corpus hold the concept. Give text without it, "
                "or the neighbours' words (neural_probing.neighbours)."
            )
        given = words.concept.words
        raise InputError(
            f"None of the neighbours' {len(given)} words occurs in the {len(items)} sentences: {listed(given)}. "
            "Give other words, or text about them (neural_probing.neighbour_corpus)."
        )
    log.info("neighbours in %d of %d sentences, %d of them added", found, len(items), len(added))
    return LabelledSet(items, labelled.duplicates, labelled.vocabulary)


def as_concept(item: LabelledText) -> LabelledText:
    """The sentence with its neighbours in the place of the concept: what finds or counts one then does the other."""
    return LabelledText(item.text, item.neighbours, item.neighbour_words)


def _marked(item: LabelledText, words: Matcher) -> LabelledText:
    found = outside(words.spans(item.text), item.spans)
    return replace(
        item,
        neighbours=tuple((span.start, span.end) for span in found),
        neighbour_words=tuple(span.word for span in found),
    )


def _whole(item: LabelledText) -> LabelledText:
    return replace(item, neighbours=((0, len(item.text)),))
