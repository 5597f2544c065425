"""The sentences that a benchmark runs on, labelled with a concept."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from unlearning_core.concepts.labelling import LabelledText
from unlearning_core.errors import InputError

DEFAULT_WORDS = Path(__file__).resolve().parent.parent / "data" / "target_words.txt"


def add_text_options(add: Callable[..., Any]) -> None:
    """The options that name the sentences and the concept."""
    add("--sentences", required=True)
    add("--words", default=str(DEFAULT_WORDS), help="concept words")


def labelled_sentences(source: str, words: str, limit: int | None) -> list[LabelledText]:
    """The first `limit` texts of `source`, words separated by one space, concept words marked.

    Raises:
        InputError: none of them holds a word of the concept.
    """
    from unlearning_core.concepts.labelling import label_text
    from unlearning_core.concepts.matcher import Matcher
    from unlearning_core.concepts.texts import read_texts
    from unlearning_core.concepts.words import Concept, read_words

    matcher = Matcher(Concept(read_words(words)))
    items = [label_text(" ".join(text.split()), matcher) for text in read_texts(source, limit=limit)]
    if not any(item.spans for item in items):
        raise InputError(
            f"None of the first {len(items)} sentences of {source} holds a word of {words}. Give --words with words "
            "that occur in them, or a larger --limit."
        )
    return items
