"""Words found in running text: of scripts without spaces between words, of Korean, and words with other signs in them.

Such a word is found wherever its characters stand. No dictionary (jieba, budoux, ICU) decides where words begin: each
cuts a share of texts otherwise than a reader would, and wherever it cuts a concept word apart a sentence with the
concept would count as one without it. The price is that 人 is also found in 人工, イス in スイス and 의자 in 주의자.
Such sentences can be listed and taken out by hand ("together with 人工"). The longest of the concept words that begin
at a place is the one found there.

Where a word begins or ends with a letter of a script that has spaces ("T恤", "9/11"), no other letter of such a script
may stand beside it, but for the words that Hebrew glues before one (an acronym has a sign in it).
"""

from collections.abc import Iterable, Iterator
from itertools import product

import regex

from unlearning_core.concepts.scripts import BORDERED, HANGUL, RUNNING, located_text, running_text

Found = tuple[int, int, str]
"""Where a word starts and ends in the text, and the concept word."""


def is_running(word: str) -> bool:
    """Whether `word` is looked for without regard to where words begin: a Korean one from two syllables on."""
    return bool(RUNNING.search(word)) or len(HANGUL.findall(running_text(word))) > 1


class RunningWords:
    """Finds words in the spelling of `scripts.running_text`, in a time linear in the text."""

    def __init__(self) -> None:
        self._words: dict[str, str] = {}
        self._lengths: dict[str, list[int]] = {}
        self._first: regex.Pattern[str] | None = None

    def add(self, word: str, inflections: bool) -> None:
        """Look for `word` as well, and for the stems of a Japanese verb or adjective where inflections count."""
        for spelling in _spellings(running_text(word).strip("་།")):
            if not spelling:
                continue
            for form in (spelling, *(_japanese(spelling) if inflections else ())):
                self._words.setdefault(form, word)
                lengths = self._lengths.setdefault(form[0], [])
                self._lengths[form[0]] = sorted({*lengths, len(form)}, reverse=True)
        if self._lengths:
            self._first = regex.compile("[" + "".join(map(regex.escape, self._lengths)) + "]")

    def find(self, text: str) -> list[Found]:
        """Every word in `text`, left to right, of two that start together the longer one."""
        if self._first is None or next(self._search(running_text(text)), None) is None:
            return []
        folded, starts, ends = located_text(text)
        return [(starts[start], ends[end - 1], word) for start, end, word in self._search(folded)]

    def _search(self, folded: str) -> Iterator[Found]:
        assert self._first is not None
        after = 0
        for match in self._first.finditer(folded):
            start = match.start()
            if start < after:
                continue
            for length in self._lengths[match.group()]:
                after = start + length
                word = None if after > len(folded) else self._words.get(folded[start:after])
                if word is not None and _stands_alone(folded, start, after):
                    yield start, after, word
                    break
            else:
                after = start


_HEBREW_PREFIX = regex.compile(r"(?<![\p{L}\p{M}])[והבכלמש]{1,4}")


def _stands_alone(folded: str, start: int, end: int) -> bool:
    left = start > 0 and BORDERED.match(folded, start) and BORDERED.match(folded, start - 1)
    if left and "א" <= folded[start] <= "ת":
        left = not any(_HEBREW_PREFIX.fullmatch(folded, place, start) for place in range(max(0, start - 4), start))
    right = end < len(folded) and BORDERED.match(folded, end - 1) and BORDERED.match(folded, end)
    return not left and not right


def _spellings(word: str) -> Iterable[str]:
    """A Korean phrase with and without each of its spaces, which writers put as they like."""
    pieces = word.split(" ")
    if len(pieces) == 1 or len(pieces) > 5 or not HANGUL.search(word):
        return [word]
    gaps = product(("", " "), repeat=len(pieces) - 1)
    return ["".join(part for pair in zip(pieces, (*gap, ""), strict=True) for part in pair) for gap in gaps]


_GODAN = {
    "う": "わいうえおっ", "く": "かきくけこい", "ぐ": "がぎぐげごい", "す": "さしすせそ", "つ": "たちつてとっ",
    "ぬ": "なにぬねのん", "ぶ": "ばびぶべぼん", "む": "まみむめもん", "る": "らりるれろっ", "い": "くかいけさそ",
}  # fmt: skip
_ICHIDAN = "なまたてよらるれさずちと"


def _japanese(word: str) -> Iterator[str]:
    """Of a dictionary form that ends in kana after a Chinese character, how its inflected forms begin."""
    if len(word) < 2 or word[-1] not in _GODAN or not regex.search(r"\p{Han}\p{Hiragana}*$", word):
        return
    stem = word[:-1]
    yield from (stem + kana for kana in _GODAN[word[-1]])
    # 食べる, 見る: the stem itself stays; after a Chinese character it may be either kind.
    if word[-1] == "る" and regex.search(r"[\p{Han}いきぎしじちにひびみりえけげせぜてでねへべめれ]$", stem):
        yield from (stem + kana for kana in _ICHIDAN)
