"""Long texts cut into sentences: labelling and measuring want one sentence a text, a story holds many.

Where a sentence may end is Unicode's property Sentence_Break (UAX #29), as the library `regex` knows it; the rest is
rules. After . ! ? or an ellipsis closing quotes and white space must follow, then something that can open a sentence;
titles, initials and common abbreviations do not end one. Every other sentence terminal of Unicode (。！？ । ؟ ۔ ։ ። ။)
and the Tibetan shad ends one without white space. A Greek question ends with ";". Thai and Lao have no mark: a space
between two of their letters ends a sentence of twenty characters or more. A blank line always ends one; a single line
break is white space.
"""

# simplemma's own splitter gives the same on all data shipped here but where "a fig." ends a sentence, which stays whole
# below; the models and figures that the project ships were made with these sentences.

from collections.abc import Iterable, Iterator
from itertools import chain

import regex

from unlearning_core.concepts.scripts import UNSPACED

MAX_CHARACTERS = 400
"""Longest piece of text by default; a longer sentence is cut at a clause mark or a space."""

_SHORTEST_WITHOUT_MARK = 20

# Every run is possessive and begins at its beginning: none is gone through twice, the time is linear in the text.
_PARAGRAPHS = regex.compile(r"\n[^\S\n]*+\n\s*+|\u2029\s*+")
_CLOSE = r"""["'”’»)\]」』】》〉）］｣\p{Default_Ignorable_Code_Point}]*+"""
_END = regex.compile(
    rf"""(?<![.!?…])(?P<mark>[.!?…]++)(?P<close>{_CLOSE})(?P<gap>\s++)"""
    r"""(?=["'“‘«(\[¿¡—–-]*+\s?[\p{Lu}\p{Lt}\p{Lo}\p{N}\p{Georgian}])"""
    rf"|[\p{{Sentence_Break=STerm}}།༎--[!?]][\p{{Sentence_Break=STerm}}།༎.…]*+(?:{_CLOSE}(?![、，,。とっ]))(?P<gap>\s*+)"
    rf"|(?<=[{UNSPACED}])[!?]++{_CLOSE}(?P<gap>)(?=[{UNSPACED}])"
    rf"|(?<=\p{{Greek}})[;\u037e]{_CLOSE}(?P<gap>\s++)(?=\p{{Greek}})"
    r"|(?<=[\p{Thai}\p{Lao}])(?P<gap>(?P<space>\s++))(?=[\p{Thai}\p{Lao}--[ๆຯฯໆ]])",
    regex.V1,
)
_LAST_WORD = regex.compile(r"""[^\s"'“‘«(\[]+$""")
_MARK = regex.compile(r"[\p{M}\p{Default_Ignorable_Code_Point}]")
_ABBREVIATIONS = frozenset(
    "mr mrs ms dr prof rev hon st sr jr gen col capt lt sgt maj cmdr gov sen rep pres messrs mme mlle "
    "vs no nos vol fig pp ed eds approx dept est inc ltd co corp bros mt ft ave blvd rd "
    "e.g i.e viz cf al jan feb mar apr jun jul aug sep sept oct nov dec".split()
)
_CLAUSE_MARKS = ("; ", ": ", ", ", " – ", " — ", *"；：，、؛،၊", " ", "་")


def split_sentences(text: str, max_characters: int = MAX_CHARACTERS) -> list[str]:
    """The sentences of a text in order, none empty or longer than `max_characters`, white space made single."""
    sentences: list[str] = []
    for paragraph in _PARAGRAPHS.split(text):
        start = 0
        for match in _END.finditer(paragraph):
            if _ends_sentence(paragraph, match, start):
                sentences.append(paragraph[start : match.start("gap")])
                start = match.end()
        sentences.append(paragraph[start:])
    clean = (" ".join(sentence.split()) for sentence in sentences)
    return [piece for sentence in clean if sentence for piece in _pieces(sentence, max_characters)]


def as_sentences(texts: Iterable[str]) -> Iterator[str]:
    """The sentences of every text, one after the other."""
    return chain.from_iterable(map(split_sentences, texts))


def _ends_sentence(paragraph: str, match: regex.Match[str], start: int) -> bool:
    if match["space"]:
        return match.start() - start >= _SHORTEST_WITHOUT_MARK
    if match["mark"] != "." or match["close"]:
        return True
    word = _LAST_WORD.search(paragraph, max(0, match.start() - 30), match.start())
    if word is None:
        return True
    last = word.group()
    return last.casefold() not in _ABBREVIATIONS and not regex.fullmatch(r"\p{Lu}|(\p{L}\.)+\p{L}", last)


def _pieces(sentence: str, limit: int) -> Iterator[str]:
    start = 0
    while len(sentence) - start > limit:
        window = sentence[start : start + limit + 1]
        cut = next((end for mark in _CLAUSE_MARKS if (end := window.rfind(mark, limit // 2)) > 0), 0)
        if cut == 0:
            cut = _between_graphemes(window, limit)
        elif cut < limit and not window[cut].isspace():
            cut += 1
        yield window[:cut].strip()
        start += cut
        while sentence[start : start + 1].isspace():
            start += 1
    if start < len(sentence):
        yield sentence[start:]


def _between_graphemes(window: str, limit: int) -> int:
    """Where to cut a piece without a clause mark: not before a combining mark, unless there are only marks."""
    cut = limit
    while cut > limit // 2 and _MARK.match(window, cut):
        cut -= 1
    return cut if cut > limit // 2 else limit
