"""Where a concept's words stand in a text: whole words, any case, inflected forms, phrases.

What counts as a word:

- letters, marks and digits; an underscore is not part of a word ("_chair_" matches "chair");
- an apostrophe, straight or curly, inside a word belongs to it ("can't" is not "can"), but a clitic is taken off:
  "chair's", "chair’s" and "chair'll" match "chair"; outside English each side of it is a word ("l'homme" is "homme");
- a hyphen separates words ("chair-lift" matches "chair") and joins them ("arm-chair" matches "armchair");
- between the words of a phrase stands white space or a hyphen and nothing else; each of its words may be inflected
  ("sit down" matches "sat down");
- a concept word with other signs in it ("C++", "9/11") matches as it is written, in any case.

A concept word matches the forms that may be *its* inflections: "sit" matches "sat" and "sitting". A word that is itself
an inflected form stands for itself ("seated" does not bring "seat"), except that a plural stands for its singular too.
"""

import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import regex

from unlearning_core.concepts import lemmas
from unlearning_core.concepts.words import Concept

_LETTERS = r"[\p{L}\p{M}\p{N}\u00ad]"
_PART = regex.compile(rf"{_LETTERS}+(?:['’ʼ＇]{_LETTERS}+)*")
_RAW = regex.compile(rf"{_LETTERS}+(?:['’ʼ＇\-‐‑]{_LETTERS}+)*")
_BETWEEN = regex.compile(r"\s+|[\-‐‑]\s*")
_REMEMBERED = 500_000
_HYPHENS = frozenset("-‐‑")
_CLITICS = ("'s", "'ll", "'d", "'re", "'ve", "'m")
_APOSTROPHES = str.maketrans({"’": "'", "ʼ": "'", "＇": "'", "\u00ad": None})


RULES_VERSION = 1
"""Raised when a change here or in `lemmas` makes another set of words match: filtered data is then made anew."""


@dataclass(frozen=True)
class Span:
    """One match: characters `start` to `end` (exclusive) of the text, and the concept word that they are a form of."""

    start: int
    end: int
    word: str


@dataclass(frozen=True)
class _Part:
    """One word of a text, in the form in which it is compared."""

    start: int
    end: int
    form: str


def fold(form: str) -> str:
    """The spelling in which forms are compared: compatibility-composed, case folded, straight apostrophes."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", form).casefold()).translate(_APOSTROPHES)


class Matcher:
    """Finds a concept's words. Made once for a concept, then fed with any number of texts; forms seen are cached."""

    def __init__(self, concept: Concept) -> None:
        self.concept = concept
        self._language = concept.language if concept.inflections else lemmas.OFF
        lemmas.check_language(self._language)
        self._splits_apostrophes = concept.language != "en"
        self._entries: dict[str, list[tuple[tuple[str, ...], str]]] = {}
        self._keys: set[str] = set()
        self._literals: list[tuple[regex.Pattern[str], str]] = []
        self._joins = False
        for word in concept.words:
            self._add(word)
        for entries in self._entries.values():
            entries.sort(key=lambda entry: -len(entry[0]))
        self._dull: set[str] = set()
        self._seen: dict[str, Counter[str]] = {}

    def matches(self, text: str) -> bool:
        """Whether any concept word stands in `text`."""
        return bool(self.spans(text))

    def spans(self, text: str) -> list[Span]:
        """Every match in `text`, left to right, without overlaps; of two that start together the longer one."""
        raws = _RAW.findall(text)
        found: list[Span] = []
        if not self._dull.issuperset(raws) and self._interesting(raws):
            found = list(self._walk(text, self._parts(text)))
        if self._literals:
            found += [Span(m.start(), m.end(), word) for sign, word in self._literals for m in sign.finditer(text)]
            found = _without_overlaps(found)
        for span in found:
            self._seen.setdefault(span.word, Counter())[" ".join(fold(text[span.start : span.end]).split())] += 1
        return found

    def forms(self) -> dict[str, dict[str, int]]:
        """Forms met so far by concept word, with how often: {"Sit": {"sat": 3, "sitting": 1}}."""
        return {word: dict(self._seen[word].most_common()) for word in self.concept.words if word in self._seen}

    def _add(self, word: str) -> None:
        pieces = _PART.findall(word)
        if set("".join(_PART.sub("", word).split())) - _HYPHENS:
            self._literals.append((_literal(word), word))
            return
        keys = tuple(fold(piece) for piece in pieces)
        spellings = {keys}
        last = lemmas.singular(keys[-1], self._language) if self._language else None
        if last:
            spellings.add((*keys[:-1], last))
        if len(keys) > 1 and _HYPHENS.intersection(word) and " " not in word:
            spellings |= {("".join(spelling),) for spelling in spellings}
        for spelling in sorted(spellings, key=lambda spelling: spelling != keys):
            self._entries.setdefault(spelling[0], []).append((spelling, word))
            self._keys.update(spelling)

    def _readings(self, form: str) -> tuple[str, ...]:
        return lemmas.readings(form, self._language)

    def _interesting(self, raws: list[str]) -> bool:
        """Whether any raw word may take part in a match; those that cannot are remembered."""
        hit = False
        if len(self._dull) > _REMEMBERED:
            self._dull.clear()
        for raw in dict.fromkeys(raws):
            if raw in self._dull:
                continue
            forms = [part.form for part in self._parts(raw)]
            if len(forms) > 1:
                forms += ["".join(forms[i:j]) for i in range(len(forms)) for j in range(i + 2, len(forms) + 1)]
            if any(not self._keys.isdisjoint(self._readings(form)) for form in forms):
                hit = True
            else:
                self._dull.add(raw)
        return hit

    def _parts(self, text: str) -> list[_Part]:
        return [part for match in _PART.finditer(text) for part in self._split(match.start(), match.group())]

    def _split(self, start: int, piece: str) -> Iterator[_Part]:
        """One piece without inner apostrophes as it is; else without its clitic, or outside English by sides."""
        form = fold(piece)
        if "'" not in form or form in self._keys:
            yield _Part(start, start + len(piece), form)
        elif self._splits_apostrophes:
            for match in regex.finditer(rf"{_LETTERS}+", piece):
                yield _Part(start + match.start(), start + match.end(), fold(match.group()))
        else:
            clitic = next((ending for ending in _CLITICS if form.endswith(ending)), "")
            yield _Part(start, start + len(piece) - len(clitic), form.removesuffix(clitic) if clitic else form)

    def _walk(self, text: str, parts: list[_Part]) -> Iterator[Span]:
        index = 0
        while index < len(parts):
            match = self._match_at(text, parts, index)
            if match is None:
                index += 1
                continue
            length, word = match
            yield Span(parts[index].start, parts[index + length - 1].end, word)
            index += length

    def _match_at(self, text: str, parts: list[_Part], index: int) -> tuple[int, str] | None:
        """(number of parts, concept word) of the longest match that starts at part `index`."""
        best: tuple[int, str] | None = None
        for reading in self._readings(parts[index].form):
            for keys, word in self._entries.get(reading, ()):
                if (best is None or len(keys) > best[0]) and self._follows(text, parts, index, keys):
                    best = (len(keys), word)
        end = index + 1
        joined = parts[index].form
        while end < len(parts) and text[parts[end - 1].end : parts[end].start] in _HYPHENS:
            joined += parts[end].form
            end += 1
            whole = self._single(joined)
            if whole and (best is None or end - index > best[0]):
                best = (end - index, whole)
        return best

    def _single(self, form: str) -> str | None:
        entries = (entry for reading in self._readings(form) for entry in self._entries.get(reading, ()))
        return next((word for keys, word in entries if len(keys) == 1), None)

    def _follows(self, text: str, parts: list[_Part], index: int, keys: tuple[str, ...]) -> bool:
        if index + len(keys) > len(parts):
            return False
        for offset in range(1, len(keys)):
            before, part = parts[index + offset - 1], parts[index + offset]
            if keys[offset] not in self._readings(part.form) or not _BETWEEN.fullmatch(text, before.end, part.start):
                return False
        return True


def _literal(word: str) -> regex.Pattern[str]:
    """A word with other signs in it ("C++", "9/11", "U.S."): as it is written, in any case, between word borders."""
    left = rf"(?<!{_LETTERS})" if regex.match(_LETTERS, word[0]) else ""
    right = rf"(?!{_LETTERS})" if regex.match(_LETTERS, word[-1]) else ""
    body = r"\s+".join(regex.escape(piece) for piece in word.split())
    return regex.compile(left + body + right, regex.IGNORECASE)


def _without_overlaps(spans: list[Span]) -> list[Span]:
    kept: list[Span] = []
    for span in sorted(spans, key=lambda span: (span.start, -span.end)):
        if not kept or span.start >= kept[-1].end:
            kept.append(span)
    return kept
