"""The tokens of a text that a model is asked about: a concept's words in a statement, an answer after its question."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool

from unlearning_core.activations.alignment import encode
from unlearning_core.activations.collect import context_length
from unlearning_core.concepts.labelling import LabelledText
from unlearning_core.models.loading import LoadedModel


@dataclass(frozen=True)
class Targets:
    """A text with the tokens that are scored in it.

    Attributes:
        ids: the text's tokens, up to the last that is scored: what follows cannot change a causal model's prediction.
        chosen: which of them are scored, each under all tokens before it; never the first.
    """

    ids: list[int]
    chosen: Bool[np.ndarray, " tokens"]

    @property
    def count(self) -> int:
        """How many tokens are scored."""
        return int(self.chosen.sum())


def unprompted(item: LabelledText) -> LabelledText:
    """The text with only those concept words marked that it has not named before: the others can be copied."""
    named = item.words or tuple(item.text[start:end].lower() for start, end in item.spans)
    first = [number for number, word in enumerate(named) if word not in named[:number]]
    return LabelledText(item.text, tuple(item.spans[i] for i in first), tuple(named[i] for i in first))


def answer_text(prompt: str, answer: str) -> LabelledText:
    """A question with its answer after it; the answer is the marked span.

    The space before the answer belongs to it: in most vocabularies it is part of the first word's token.
    """
    lead = prompt if prompt[-1:].isspace() else f"{prompt} "
    return LabelledText(lead + answer, ((len(prompt.rstrip()), len(lead) + len(answer)),))


def targets_of(loaded: LoadedModel, items: Sequence[LabelledText]) -> list[Targets]:
    """The tokens of each text that overlap its marked spans.

    A text is cut at the model's context; tokens that the tokenizer adds are not scored, nor is a text's first token,
    which nothing predicts. A text in which none is left has `count` 0.
    """
    found = []
    for text in encode(loaded.tokenizer, items, context_length(loaded)):
        chosen = text.concept & ~text.special
        chosen[:1] = False
        end = int(np.flatnonzero(chosen)[-1]) + 1 if chosen.any() else 0
        found.append(Targets(text.input_ids[:end].tolist(), chosen[:end]))
    return found
