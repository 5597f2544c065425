"""Questions where nobody wrote any: sentences about the concept that break off before its word. Loads no torch."""

from collections.abc import Iterable

from unlearning_core.concepts.labelling import LabelledText
from unlearning_core.evaluation.question_sets import Question, words_of

LEAST_WORDS = 4
"""Words before the gap: fewer say too little of what is meant."""


def fill_ins(statements: Iterable[LabelledText]) -> list[Question]:
    """Each statement up to its first concept word, which is the answer; those with too little before it are left out.

    Whether a model can complete a sentence is not known beforehand: what counts later is which of them the base does.
    """
    found = {}
    for item in statements:
        start, end = item.spans[0]
        lead = item.text[:start].rstrip()
        if len(words_of(lead)) >= LEAST_WORDS:
            found[lead] = Question(
                lead, (item.text[start:end],), "fill_in", "concept", item.words[0] if item.words else ""
            )
    return list(found.values())
