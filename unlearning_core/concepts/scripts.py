"""How the world's scripts are told apart, and spelt alike before anything is compared.

Spelt alike are: upper and lower case; composed and decomposed letters; full-width, half-width and other compatibility
forms (NFKC: ｲｽ is イス); straight and curly apostrophes; texts with and without invisible characters, Hebrew points,
Arabic vowel signs and the tatweel; struck-through and underlined letters; ё and е, Cyrillic with and without stress
marks, Latin with and without macrons, œ and oe, æ and ae, Romanian ș and ş; ہ, ھ and ه; 臺 and 台; the letters of
Malayalam, Bengali, Yiddish and Amharic that have two spellings; Greek with and without accents; the Turkish ı, İ and i;
an alef with and without hamza, Arabic and Persian yeh and kaf; Devanagari with and without nukta, chandrabindu and
anusvara; both places of a tone mark in Vietnamese and Thai. Not alike are look-alikes of two scripts (Latin c and
Cyrillic с), hiragana and katakana, traditional and simplified characters: a person who means both gives both.

Everything here is linear in the length of a text: long runs of combining marks are normalised a piece at a time, as in
the Stream-Safe Text Format of UAX #15.
"""

from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise
from unicodedata import normalize

import regex

_SPACELESS_EAST = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Bopomofo}\u30fc\uff70\uff9e\uff9f"
UNSPACED = (
    _SPACELESS_EAST + r"\p{Yi}\p{Nushu}\p{Tangut}\p{Khitan_Small_Script}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}"
    r"\p{Tai_Le}\p{New_Tai_Lue}\p{Tai_Tham}\p{Tai_Viet}\p{Javanese}\p{Balinese}"
)
"""Inside of a character class: letters of scripts that put no space between words."""

_IGNORABLE = r"\p{Default_Ignorable_Code_Point}"
_SOFT = r"\u200b\u200c\u2060\ufeff\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
APOSTROPHES = "'’ʼ＇׳‘‛ʻʾʿ`´"
_HYPHENS = r"\-‐‑־﹣－"

# Invisible characters in _SOFT may stand between two words or inside one: they separate and join, as a hyphen does. The
# others that are no letters or marks are part of a word. Only unions: a set difference is three times as slow.
_LETTER = (
    r"[\p{L}\p{M}\p{N}\u00ad\u180e\u200d\u2061-\u2064\u206a-\u206f\u24b6-\u24e9\U0001bca0-\U0001bca3"
    r"\U000e0000-\U000e0fff]"
)
_INNER = rf"(?:[{APOSTROPHES}]|(?<=[lL])·(?=[lL]))"
WORD = regex.compile(rf"{_LETTER}+(?:{_INNER}{_LETTER}+)*")
"""One word, with the apostrophes inside it; where its script changes it is several (`script_runs`)."""

CHAIN = regex.compile(rf"{_LETTER}+(?:(?:{_INNER}|[{_HYPHENS}{_SOFT}]{{1,4}}+){_LETTER}+)*")
"""Words joined by apostrophes, hyphens or invisible characters."""

SIDE = regex.compile(rf"{_LETTER}+")
"""What stands on one side of an apostrophe."""

JOINT = regex.compile(rf"[{_SOFT}]*+[{_HYPHENS}]?[{_SOFT}]*+", regex.V1)
"""What may stand inside one word, or between two."""

_MARKUP = r"*_`~+\[\]"
BETWEEN = regex.compile(rf"[\s{_SOFT}{_MARKUP}]++|[{_SOFT}{_MARKUP}]*+[{_HYPHENS}][\s{_SOFT}{_MARKUP}]*+", regex.V1)
"""What may stand between the words of a phrase: white space or one hyphen, with any markup."""

DIGITS = regex.compile(r"^\p{N}++|(?<!\p{N})\p{N}++$")
HYPHENS = regex.compile(rf"[{_HYPHENS}]", regex.V1)
INVISIBLE = regex.compile(rf"{_IGNORABLE}++", regex.V1)
RUNNING = regex.compile(rf"[[{UNSPACED}]&&[\p{{L}}\p{{N}}]]", regex.V1)
"""A letter of a script that puts no space between words."""

BORDERED = regex.compile(rf"[[\p{{L}}\p{{M}}\p{{N}}]--[{UNSPACED}\p{{Hangul}}]]", regex.V1)
"""A letter beside which a word does not end: of a script with spaces, and of no particle glued on as Korean's are."""

HANGUL = regex.compile(r"\p{Hangul}")

INDIC = tuple("Devanagari Bengali Gurmukhi Gujarati Oriya Tamil Telugu Kannada Malayalam Sinhala".split())
_APART = ("Hangul", "Hebrew", "Arabic", *INDIC, "Ethiopic", "Georgian", "Armenian")
_SCRIPT = regex.compile("|".join(rf"(?P<{name}>\p{{{name}}})" for name in (*_APART, "Greek", "Cyrillic")))
_RUN = regex.compile(
    "|".join(rf"\p{{{name}}}[\p{{{name}}}\p{{M}}\u0640{_IGNORABLE}{APOSTROPHES}]*+" for name in _APART)
    + rf"|(?P<running>[{UNSPACED}]++)|[^{UNSPACED}" + "".join(rf"\p{{{name}}}" for name in _APART) + "]++",
    regex.V1,
)  # fmt: skip

_STRAIGHT = str.maketrans(dict.fromkeys(APOSTROPHES, "'") | dict.fromkeys("״”“", '"') | dict.fromkeys("‐‑־", "-"))
_ONE_FOR_ONE = _STRAIGHT | {0xFF01 + place: 0x21 + place for place in range(94)} | {0x130: None}
_MARK = regex.compile(r"\p{M}")
_POINTS = regex.compile(
    r"[\u0305\u0332-\u0338\u033f\u20d0-\u20f0\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u0640\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e8"
    r"\u06ea-\u06ed]++|(?<=\p{Cyrillic})[\u0300\u0301]++"
)
_ALIKE = str.maketrans(
    {"ё": "е", "ı": "i", "أ": "ا", "إ": "ا", "آ": "ا", "ٱ": "ا", "ي": "ی", "ى": "ی", "ئ": "ی", "ك": "ک", "ة": "ه",
     "ۀ": "ه", "ہ": "ه", "ۂ": "ه", "ھ": "ه", "ؤ": "و", "ँ": "ं", "ঁ": "ং", "\u093c": None,
     "ș": "ş", "ț": "ţ", "œ": "oe", "æ": "ae", "臺": "台", "ৎ": "ত্", "ൺ": "ണ്", "ൻ": "ന്", "ർ": "ര്", "ൽ": "ല്", "ൾ": "ള്",
     "ൿ": "ക്", "װ": "וו", "ױ": "וי", "ײ": "יי"}
    | dict(zip("āēīōūȳǣ", ("a", "e", "i", "o", "u", "y", "ae"), strict=True))
    | {chr(row + place): chr(same + place)
       for row, same in ((0x1210, 0x1200), (0x1280, 0x1200), (0x1220, 0x1230), (0x12D0, 0x12A0), (0x1340, 0x1338))
       for place in range(8)}
)  # fmt: skip
_STRESSED = str.maketrans({"ѐ": "е", "ѝ": "и"})
# Vietnamese writes the tone of "hòa" on either vowel; in Thai and Lao the tone mark of "น้ำ" stands on either side.
_PLACED = {
    normalize("NFC", first + second + tone): normalize("NFC", first + tone + second)
    for first, second in ("oa", "oe", "uy")
    for tone in "\u0300\u0301\u0303\u0309\u0323"
}
_TONE = regex.compile("|".join(_PLACED))
_AM = regex.compile(r"([\u0e4d\u0ecd])([\u0e48-\u0e4b\u0ec8-\u0ecb])")
_GREEK = regex.compile(r"\p{Greek}")
_ACCENTS = regex.compile(r"[\u0300-\u0345]++")
_MANY_MARKS = regex.compile(r"\p{M}{30}(?=\p{M})")
_SPACE = regex.compile(
    rf"(?<=[{_SPACELESS_EAST}])(?P<none>\s++)|(?P<before>\s++)(?=[{_SPACELESS_EAST}])|\s{{2,}}+|[^\S ]", regex.V1
)
_GRAPHEME = regex.compile(r"\X")
_REMEMBERED_LENGTH = 8


def fold(form: str) -> str:
    """The spelling of a form by Unicode's rules: NFKC, case folded, straight signs, without what is not seen."""
    if form.isascii():
        return form.lower().replace("`", "'")
    # Before NFKC, which makes a space and a mark of an acute accent that stands alone.
    folded = "".join(_normalised(piece) for piece in _stream_safe(form.replace("´", "'")))
    return _POINTS.sub("", INVISIBLE.sub("", folded.translate(_STRAIGHT))).translate(_STRESSED)


def loose(folded: str) -> str:
    """The spelling in which forms are compared: letters alike that people write for one another (see above)."""
    if folded.isascii():
        return folded
    if _GREEK.search(folded):
        bare = (_ACCENTS.sub("", normalize("NFD", piece)) for piece in _stream_safe(folded))
        folded = normalize("NFC", "".join(bare))
    folded = _TONE.sub(lambda match: _PLACED[match.group()], _AM.sub(r"\2\1", folded))
    return folded.translate(_ALIKE).replace("i\u0307", "i")


def unaccented(folded: str) -> str:
    """The letters of a word in the spelling of `fold` without their marks."""
    return "".join(letter for letter in normalize("NFD", folded) if not _MARK.match(letter))


def script_of(form: str) -> str:
    """The Unicode name of the script of `form` where its words need rules of their own, else ""."""
    found = None if form.isascii() else _SCRIPT.search(form)
    return str(found.lastgroup) if found else ""


def script_runs(piece: str) -> Iterator[tuple[int, str]]:
    """(start, run) of one word cut where its script changes ("iPhone을"); running scripts are left out."""
    if piece.isascii():
        yield 0, piece
        return
    for match in _RUN.finditer(piece):
        if match["running"]:
            continue
        run = match.group().rstrip(APOSTROPHES)
        bare = run.lstrip(APOSTROPHES)
        if bare:
            yield match.start() + len(run) - len(bare), bare


def running_text(text: str) -> str:
    """`text` in the spelling of `loose`, white space single, none beside Chinese and Japanese characters."""
    return _SPACE.sub(_space, loose(fold(text)))


def located_text(text: str) -> tuple[str, list[int], list[int]]:
    """(`running_text`, where each of its characters starts in `text`, where it ends): exact places of what is found."""
    folded = running_text(text)
    if folded == text.translate(_ONE_FOR_ONE).lower() and len(folded) == len(text) and not _MARK.search(text):
        return folded, list(range(len(text))), list(range(1, len(text) + 1))
    letters: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    place = 0
    for grapheme in _GRAPHEME.findall(text):
        after = place + len(grapheme)
        for letter in _spelling(grapheme) if len(grapheme) <= _REMEMBERED_LENGTH else loose(fold(grapheme)):
            letters.append(letter)
            starts.append(place)
            ends.append(after)
        place = after
    folded = "".join(letters)
    kept = [index for run in _kept(folded) for index in run]
    return _SPACE.sub(_space, folded), [starts[index] for index in kept], [ends[index] for index in kept]


@lru_cache(maxsize=50_000)
def _spelling(grapheme: str) -> str:
    return loose(fold(grapheme))


def _kept(folded: str) -> Iterator[range]:
    """The characters that `_SPACE.sub(_space, ...)` leaves, of each run of white space the first."""
    place = 0
    for match in _SPACE.finditer(folded):
        yield range(place, match.start() + len(_space(match)))
        place = match.end()
    yield range(place, len(folded))


def _space(match: regex.Match[str]) -> str:
    return "" if match.lastgroup else " "


def _stream_safe(text: str) -> list[str]:
    """`text` in pieces with at most 30 combining marks in a row: putting n marks in order takes n² steps."""
    cuts = [0, *(match.end() for match in _MANY_MARKS.finditer(text)), len(text)]
    return [text[start:end] for start, end in pairwise(cuts)]


def _normalised(piece: str) -> str:
    return normalize("NFKC", normalize("NFKC", piece).casefold())
