"""Questions with their right answers, as files: what a model is asked to see whether it still knows. Loads no torch."""

from dataclasses import dataclass
from typing import Literal, get_args

Form = Literal["direct", "paraphrased", "reversed", "multi_hop", "alias", "in_context", "fill_in"]
FORMS: tuple[Form, ...] = get_args(Form)
"""How a fact is asked for: by the word, in other words, from its description to the word, through a second fact, by a
synonym, with the word given in a sentence before, as a sentence to complete."""

About = Literal["concept", "neighbour", "other"]
ABOUT: tuple[About, ...] = get_args(About)
"""The concept must go; its neighbours and everything else must stay."""


@dataclass(frozen=True)
class Question:
    """One question.

    Attributes:
        prompt: what the model is given.
        answers: every wording that counts as right.
        form: how it asks.
        about: what it asks about.
        member: which of the concept's things it is about; "" where that is not known.
        fact: which of the thing's facts it asks for; "" where that is not known.
    """

    prompt: str
    answers: tuple[str, ...]
    form: Form = "direct"
    about: About = "concept"
    member: str = ""
    fact: str = ""
