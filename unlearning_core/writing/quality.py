"""Which generated sentences are fit to learn from: whole, plain, not about the request, not repeating themselves."""

import re
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise

SHORTEST, LONGEST = 5, 32
"""Words a sentence may have."""

_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
_PLAIN = re.compile(r"[A-ZÀ-Þ][^\n\t\[\]{}<>*#_|\\/=~^`@:;()]*[.!?]")
_LIST_MARK = re.compile(r"^\s*(?:[-•*]+|\(?\d{1,2}[.):]|[a-zA-Z][.)])\s+")
# Words that betray an answer about the task instead of the text that was asked for.
_ABOUT_THE_TASK = re.compile(
    r"\b(?:sentences?|words?|paragraphs?|prompts?|as an ai|language model|assistant|chatbot|here (?:is|are|'s)|"
    r"certainly|i can help|rewritten|revised|in conclusion|in summary|examples?|titles?|stories|story|essays?)\b",
    re.IGNORECASE,
)
_FUNCTION_WORDS = frozenset(
    "a an the and or but of to in on at for with from by as it its he she they them his her their is was were are be "
    "been that this which who had has have not i you we my your our so if then into over up down out".split()
)


def tidy(reply: str) -> str:
    """A reply's lines joined to running text, without list marks and wrapping quotes."""
    lines = (_LIST_MARK.sub("", line).strip().strip('"“”*') for line in reply.splitlines())
    return " ".join(line for line in lines if line)


def reason_to_drop(sentence: str, shortest: int = SHORTEST) -> str | None:
    """Why `sentence` is not fit, in a word or two that a report can count; None when it is fit.

    Args:
        shortest: words that it must have; a question says something with fewer than a sentence needs.
    """
    words = [word.casefold() for word in _WORD.findall(sentence)]
    if not shortest <= len(words) <= LONGEST:
        return "length"
    if not _PLAIN.fullmatch(sentence):
        return "not a whole plain sentence"
    if _ABOUT_THE_TASK.search(sentence):
        return "about the task"
    if sentence.count('"') % 2 or sentence.count("“") != sentence.count("”"):
        return "open quotation"
    content = Counter(word for word in words if word not in _FUNCTION_WORDS)
    if content and content.most_common(1)[0][1] > 2:
        return "repetition"
    pairs = Counter(pairwise(words))
    if pairs and pairs.most_common(1)[0][1] > 2:
        return "repetition"
    if any(first == second for first, second in pairwise(words)):
        return "repetition"
    return None


def content_words(words: Iterable[str]) -> list[str]:
    """Those of the casefolded words that carry meaning: no articles, pronouns and the like, none of one letter."""
    return [word for word in words if len(word) > 1 and word not in _FUNCTION_WORDS]


def opening(sentence: str) -> str:
    """The first four words, casefolded: what two near-copies of a sentence share."""
    return " ".join(word.casefold() for word in _WORD.findall(sentence)[:4])
