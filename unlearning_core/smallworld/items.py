"""What the world hands out: texts to read, questions to answer, sentences to complete."""

from dataclasses import dataclass
from typing import Literal

Phrasing = Literal["seen", "held_out"]
"""Whether the training text asks or says it in these words, or only in others."""
ByPhrasing = dict[Phrasing, tuple[str, ...]]


@dataclass(frozen=True)
class Text:
    """One text of the corpus.

    Attributes:
        text: plain English, no newline at either end.
        kind: story, description, dialogue, instruction, definition, question, cloze or fact.
        families: the concept families that it mentions; a word in another sense (the chair of a meeting) is no mention.
    """

    text: str
    kind: str
    families: frozenset[str]


@dataclass(frozen=True)
class Question:
    """A question about one fact, and how to tell whether an answer is right.

    Attributes:
        prompt: `Q: What is a chair made of? A:`; a right continuation is a space and one of `accepted`, then the end.
        answer: the one sentence that the world gives as the answer.
        accepted: every wording that counts as right, `answer` among them.
        paraphrase: the same fact in words that the training text does not use as an answer.
        perturbed: five wrong answers of the same form, from the facts of other members.
        family: the concept family asked about ("nonsense" for a word that means nothing).
        member: what is asked about ("chair").
        relation: which fact ("of").
        phrasing: see `Phrasing`.
    """

    prompt: str
    answer: str
    accepted: tuple[str, ...]
    paraphrase: str
    perturbed: tuple[str, ...]
    family: str
    member: str
    relation: str
    phrasing: Phrasing


@dataclass(frozen=True)
class Cloze:
    """A text that breaks off before one word.

    Attributes:
        prompt: the text up to the gap, without a space at the end.
        answer: the word or phrase that the world gives.
        accepted: every word or phrase that fits, `answer` among them; just one where the facts leave no choice.
        family: the concept family of the answer.
        member: what the text is about, mostly the answer itself.
        relation: which fact the text uses.
        phrasing: see `Phrasing`.
        tail: how the sentence goes on after the gap; may be empty.
    """

    prompt: str
    answer: str
    accepted: tuple[str, ...]
    family: str
    member: str
    relation: str
    phrasing: Phrasing
    tail: str = ""
