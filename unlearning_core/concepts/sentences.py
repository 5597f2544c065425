"""Long texts cut into sentences: labelling and measuring want one sentence a text, a story holds many.

A small rule-based splitter for languages that end a sentence with . ! ? or an ellipsis: the mark, closing quotes and
white space must follow, then something that can open a sentence; titles, initials and common abbreviations do not end
one. A blank line always does; a single line break is white space.
"""

# simplemma's own splitter gives the same on all data shipped here but where "a fig." ends a sentence, which stays whole
# below; the models and figures that the project ships were made with these sentences.

from collections.abc import Iterable, Iterator
from itertools import chain

import regex

MAX_CHARACTERS = 400
"""Longest piece of text by default; a longer sentence is cut at a clause mark or a space."""

_PARAGRAPHS = regex.compile(r"\n[^\S\n]*\n\s*")
_END = regex.compile(
    r"""(?P<mark>[.!?…。！？]+)(?P<close>["'”’»)\]]*)(?P<gap>\s+)(?=["'“‘«(\[¿¡—–-]*\s?[\p{Lu}\p{Lt}\p{Lo}\p{N}])"""
)
_LAST_WORD = regex.compile(r"""[^\s"'“‘«(\[]+$""")
_ABBREVIATIONS = frozenset(
    "mr mrs ms dr prof rev hon st sr jr gen col capt lt sgt maj cmdr gov sen rep pres messrs mme mlle "
    "vs no nos vol fig pp ed eds approx dept est inc ltd co corp bros mt ft ave blvd rd "
    "e.g i.e viz cf al jan feb mar apr jun jul aug sep sept oct nov dec".split()
)
_CLAUSE_MARKS = ("; ", ": ", ", ", " – ", " — ", " ")


def split_sentences(text: str, max_characters: int = MAX_CHARACTERS) -> list[str]:
    """The sentences of a text in order, none empty or longer than `max_characters`, white space made single."""
    sentences: list[str] = []
    for paragraph in _PARAGRAPHS.split(text):
        start = 0
        for match in _END.finditer(paragraph):
            if _ends_sentence(paragraph, match):
                sentences.append(paragraph[start : match.start("gap")])
                start = match.end()
        sentences.append(paragraph[start:])
    clean = (" ".join(sentence.split()) for sentence in sentences)
    return [piece for sentence in clean if sentence for piece in _pieces(sentence, max_characters)]


def as_sentences(texts: Iterable[str]) -> Iterator[str]:
    """The sentences of every text, one after the other."""
    return chain.from_iterable(map(split_sentences, texts))


def _ends_sentence(paragraph: str, match: regex.Match[str]) -> bool:
    if match["mark"] != "." or match["close"]:
        return True
    word = _LAST_WORD.search(paragraph, max(0, match.start() - 30), match.start())
    if word is None:
        return True
    last = word.group()
    return last.casefold() not in _ABBREVIATIONS and not regex.fullmatch(r"\p{Lu}|(\p{L}\.)+\p{L}", last)


def _pieces(sentence: str, limit: int) -> Iterator[str]:
    while len(sentence) > limit:
        window = sentence[: limit + 1]
        cut = next((end for mark in _CLAUSE_MARKS if (end := window.rfind(mark, limit // 2)) > 0), limit)
        cut += 1 if cut < limit and not window[cut].isspace() else 0
        yield sentence[:cut].strip()
        sentence = sentence[cut:].strip()
    if sentence:
        yield sentence
