"""The entries of one line of a word list, and what one may be: a word or phrase as texts hold it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from unlearning_core.errors import InputError

ADVICE = "Write only the word there, or put it in double quotes if it is meant as it stands."

NUMBER = re.compile(r"[+-]?\d+(?:[.,]\d+)*%?")

BULLET = re.compile(r"^\s*(?:[-–—*•·‣+>]\s+|[☐☑□■▪▫◦●○◆◇▶►➤※・]\s*)?(?:\[[ xX]?\]\s+)?")

_MOST_WORDS, _MOST_CHARACTERS = 8, 100
_SIGNS = r",;|\t、，；｜،؛"
_CELL = re.compile(
    rf"""\s*(?:"(?P<quoted>(?:[^"]|"")*)"\s*(?=[{_SIGNS}]|$)|(?P<plain>[^{_SIGNS}]*))(?P<end>[{_SIGNS}]|$)"""
)
_EXPLAINED = re.compile(r"\s(?:[-–—=]|--)\s|:\s|->|=>|→|\w=\w")
_ENTITY = re.compile(
    r"&(?:amp|lt|gt|quot|apos|nbsp|[a-z]{1,2}(?:uml|acute|grave|circ|tilde|cedil|lig)|#\d{1,7}|#x[\da-f]{1,6});", re.I
)
# Quotes of code and of East Asian texts around the whole of an entry.
_WRAPPED = re.compile(r"`([^`]+)`|「([^「」]+)」|『([^『』]+)』|【([^【】]+)】|《([^《》]+)》|〈([^〈〉]+)〉")
_MARKUP = re.compile(r"[<>{}()\[\]\\^`（）［］｛｝〔〕「」『』【】《》〈〉]|/\*|\*/")
_SPEECH = re.compile(r"(?:n|v|adj|adv|vb|vt|vi|prep|conj|pron|interj|pl|sing)\.")
_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]+(?:\s+[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]+)+")
_PAIR = re.compile(r"([^\W\d_]{2,})/(?=([^\W\d_]{2,}))")


@dataclass(frozen=True)
class Cell:
    """An entry of a line, without the white space and the quotes around it.

    Attributes:
        text: as it stands.
        quoted: whether it stood in double quotes.
    """

    text: str
    quoted: bool

    @property
    def number(self) -> bool:
        """Whether it is a number, which may be a count."""
        return not self.quoted and bool(NUMBER.fullmatch(self.text))


def cells(line: str) -> Iterator[Cell]:
    """The entries of a line: what stands between commas, semicolons, tabs and bars, or hashtags; empty ones too."""
    if line.startswith("#"):  # hashtags
        yield from (Cell(word, False) for word in re.split(r"[\s,;]+", line))
        return
    place = 0
    while place <= len(line):
        match = _CELL.match(line, place)
        assert match is not None
        quoted = match["quoted"]
        yield Cell((match["plain"] if quoted is None else quoted.replace('""', '"')).strip(), quoted is not None)
        place = match.end()
        if not match["end"]:
            return


def entries(line: str, where: str) -> list[Cell]:
    """The entries of a line that are not empty.

    Raises:
        InputError: the line holds signs of a web page, whose semicolons separate nothing, or says what part of speech
            a word is.
    """
    if entity := _ENTITY.search(line):
        raise InputError(f"{where}: {line.strip()[:80]!r} holds {entity[0]!r} of a web page. Write the sign itself.")
    found = [cell for cell in cells(line) if cell.text]
    for cell in found[1:]:
        if not cell.quoted and _SPEECH.fullmatch(cell.text):
            raise InputError(f"{where}: {cell.text!r} is a part of speech beside a word. {ADVICE}")
    return found


def word(cell: Cell, where: str) -> str:
    """The word that an entry is; one that was quoted keeps its quotes, which `words.unique_words` takes off.

    Raises:
        InputError: no text can hold it as it stands.
    """
    if any(ord(sign) < 32 or sign == "\ufffd" or "\ud800" <= sign <= "\udfff" for sign in cell.text):
        raise InputError(f"{where}: {cell.text[:80]!r} holds signs that are no text. Write the word again.")
    if cell.quoted:
        return f'"{cell.text}"'
    text = BULLET.sub("", cell.text).strip()
    if wrapped := _WRAPPED.fullmatch(text):
        text = next(inner for inner in wrapped.groups() if inner).strip()
    if len(text.split()) > _MOST_WORDS or len(text) > _MOST_CHARACTERS:
        raise InputError(f"{where}: {text[:80]!r} is longer than a word or phrase. {ADVICE}")
    reasons = (
        (_EXPLAINED.search(text), "explains a word"),
        (_MARKUP.search(text), "holds brackets or other signs of markup"),
        (re.search(r"\w\*|\*\w", text), "holds a wildcard, and inflected forms are found without one"),
        (re.search(r"\s#\w", text) and not text.startswith("#"), "may be a word with a comment"),
        (re.fullmatch(r"[^\W\d_A-Z]+[/_][A-Z]+", text), "holds the tag of a tagger or a spelling dictionary"),
        (re.search(r"\.[nvars]\.\d+$|\w#\w+#\d", text), "names a sense of a word"),
        (re.search(r"\s(?:n|v|vt|vi|adj|adv)\.$", text), "says what part of speech a word is"),
        (re.search(r"\s/\s", text) or _alternatives(text), "gives alternatives, which belong on a line each"),
        (
            re.search(r"\s[+-]?0?[.,]\d+$|(?:\s[+-]?\d+[.,]\d+){2}|\s[x×]\d+$|^\d+[x×]\s", text),
            "holds a score or count",
        ),
        (re.search(r"[✓✔✗✘☒✅❌]", text), "is ticked or crossed out, and which of these are meant cannot be told"),
        (_UNSPACED.fullmatch(text), "has a space, which its script does not write: words belong on a line each"),
    )
    for found, reason in reasons:
        if found:
            raise InputError(f"{where}: {text[:80]!r} {reason}. {ADVICE}")
    if re.fullmatch(r"[^\W_]+(?:_[^\W_]+)+", text):
        return text.replace("_", " ")
    return re.sub(r"(?<=\w)(?:[!?…]+|\.{2,})$", "", text)


def _alternatives(text: str) -> bool:
    """Whether a slash stands between two words, neither in capitals as in AC/DC and TCP/IP."""
    return any(not (pair[1].isupper() or pair[2].isupper()) for pair in _PAIR.finditer(text))
