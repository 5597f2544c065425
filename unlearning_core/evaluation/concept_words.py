"""How often a model still writes the concept: its words in every 100 words that were generated."""

from collections.abc import Sequence

import numpy as np
import regex

from unlearning_core.concepts.matcher import Matcher
from unlearning_core.concepts.scripts import UNSPACED
from unlearning_core.evaluation.ratio import Estimate, ratio_estimate

_SPACED = rf"[[\p{{L}}\p{{M}}\p{{N}}]--[{UNSPACED}]]"
_WORD = regex.compile(rf"[[{UNSPACED}]&&[\p{{L}}\p{{N}}]]|(?!\p{{M}}){_SPACED}+(?:['’\-‐‑]{_SPACED}+)*", regex.V1)


def count_words(text: str) -> int:
    """Words of `text`: runs of letters and digits; an apostrophe or a hyphen inside a word does not end it.

    In a script without spaces between words each letter counts as one.
    """
    return len(_WORD.findall(text))


def concept_words_per_100(texts: Sequence[str], matcher: Matcher) -> Estimate:
    """Matches of the concept in every 100 generated words, over all texts together.

    A phrase of several words is one match. The standard error is clustered by text.

    Args:
        texts: what the model wrote, without the prompts.
    """
    matches = np.array([100.0 * len(matcher.spans(text)) for text in texts])
    return ratio_estimate(matches, np.array([count_words(text) for text in texts]))
