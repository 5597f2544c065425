"""Where a concept's words stand in a text: whole words, any case, inflected forms, phrases, in every script.

What counts as a word, where a script puts spaces between words:

- letters, marks and digits, but digits at its edges are taken off ("chair2" matches "chair"); an underscore is not part
  of a word ("_chair_" matches "chair"); a compound written in one is another word ("Stuhlbein" does not match "Stuhl");
- an apostrophe, straight, curly or a sign used as one, inside a word belongs to it ("can't" is not "can"), but a
  clitic is taken off: "chair's" and "chair’ll" match "chair"; outside English each side of it is a word ("l'homme" is
  "homme"); a capital of a Romance language may go without its accent ("Ecole", "ECOLES" match "école");
- a hyphen separates words ("chair-lift" matches "chair") and joins them ("arm-chair" matches "armchair"), and so does
  an invisible character between letters, such as a zero-width space; a soft hyphen only joins;
- where the script changes between scripts that are glued together, a word ends ("iPhone을");
- between the words of a phrase stands white space or a hyphen, with any markup ("**rocking** chair", "rocking_chair"),
  and nothing else; each of its words may be inflected ("sit down" matches "sat down");
- what stands in escapes of another format is read both as written and as meant ("K&uuml;che", `escapes`).

A word in a script without such spaces, a Korean one of two or more syllables, and a word with other signs in it ("C++",
"9/11") is found wherever it is written (`running`). Spelling is compared as `scripts` says.

A concept word matches the forms that may be *its* inflections: "sit" matches "sat" and "sitting" (`lemmas`, `glued`).
A word that is itself an inflected form stands for itself ("seated" does not bring "seat"), except that a plural stands
for its singular too.

The time that a text takes is linear in its length, and what is remembered of a text is short.
"""

import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from unlearning_core.concepts import escapes, glued, lemmas, regular
from unlearning_core.concepts.running import RunningWords, is_running
from unlearning_core.concepts.scripts import (
    APOSTROPHES,
    BETWEEN,
    CHAIN,
    DIGITS,
    HYPHENS,
    INVISIBLE,
    JOINT,
    SIDE,
    WORD,
    fold,
    loose,
    script_of,
    script_runs,
    unaccented,
)  # fmt: skip
from unlearning_core.concepts.words import Concept
from unlearning_core.errors import InputError

log = logging.getLogger(__name__)

_REMEMBERED = 200_000
_CLITICS = ("'s", "'ll", "'d", "'re", "'ve", "'m")
_QUOTES = frozenset("‘‛`´")
_SHORTEST_BARE = 2
_BARE_CAPITALS = frozenset("fr es it pt ca gl oc".split())
_LONGEST_ENDING = 12
"""By so many letters a form that was joined from parts may be longer than the word."""

_MOST_JOINED = 16
_LONGEST_JOINT = 8


RULES_VERSION = 2
"""Raised when a change here or in what this imports makes other words match: filtered data is then made anew."""


@dataclass(frozen=True)
class Span:
    """One match: characters `start` to `end` (exclusive) of the text, and the concept word that they are a form of."""

    start: int
    end: int
    word: str


@dataclass(frozen=True, slots=True)
class _Part:
    """One word of a text, in the form in which it is compared; `joined`: a hyphen joins it to the one before it."""

    start: int
    end: int
    form: str
    joined: bool


@dataclass(slots=True)
class _Node:
    """The concept words and phrases that begin alike: the one that ends here, and what their next words lead to."""

    word: str | None = None
    after: dict[str, "_Node"] = field(default_factory=dict)


class Matcher:
    """Finds a concept's words. Made once for a concept, then fed with any number of texts; forms seen are cached.

    Raises:
        InputError: the concept's language does not exist, or one of its words consists of invisible characters.
    """

    def __init__(self, concept: Concept) -> None:
        self.concept = concept
        self._language = lemmas.language_code(concept.language) if concept.language else lemmas.OFF
        self._inflections = concept.inflections and bool(concept.language)
        if self._inflections:
            _say_once(concept.language)
        self._splits_apostrophes = self._language != "en"
        self._words = _Node()
        self._keys: set[str] = set()
        self._stems: dict[str, list[tuple[glued.Follows, str]]] = {}
        self._dictionaries: dict[str, str] = {}
        self._unaccented: dict[str, str] = {}
        self._running = RunningWords()
        self._longest_joined = 0
        for word in concept.words:
            self._add(word)
        self._dull: set[str] = set()
        self._known: dict[str, tuple[str, ...]] = {}
        self._seen: dict[str, Counter[str]] = {}

    def matches(self, text: str) -> bool:
        """Whether any concept word stands in `text`."""
        return bool(self.spans(text))

    def spans(self, text: str) -> list[Span]:
        """Every match in `text`, left to right, without overlaps; of two that start together the longer one."""
        found = self._as_written(text)
        meant = escapes.plain(text)
        if meant is not None:
            found = _without_overlaps(found + list(self._in_escapes(meant, text)))
        for (word, form), count in Counter((span.word, text[span.start : span.end]) for span in found).items():
            self._seen.setdefault(word, Counter())[" ".join(fold(form).split())] += count
        return found

    def _as_written(self, text: str) -> list[Span]:
        found: list[Span] = []
        if self._keys:
            chains = CHAIN.findall(text)
            if not self._dull.issuperset(chains) and self._interesting(chains):
                found = list(self._walk(text, self._parts(text)))
        running = [Span(*place) for place in self._running.find(text)]
        return _without_overlaps(found + running) if running else found

    def _in_escapes(self, meant: str, text: str) -> Iterator[Span]:
        """The matches of a text read without its escapes, but none that a soft hyphen of the text joins to more."""
        for span in self._as_written(meant):
            start, end = escapes.place(meant, span.start, span.end)
            if escapes.PADDING not in (text[start - 1 : start], text[end : end + 1]):
                yield Span(start, end, span.word)

    def forms(self) -> dict[str, dict[str, int]]:
        """Forms met so far by concept word, with how often: {"Sit": {"sat": 3, "sitting": 1}}."""
        return {word: dict(self._seen[word].most_common()) for word in self.concept.words if word in self._seen}

    def _add(self, word: str) -> None:
        pieces = [run for match in WORD.finditer(word) for _, run in script_runs(match.group())]
        keys = tuple(key for key in (loose(fold(piece)) for piece in pieces) if key)
        signs = HYPHENS.sub("", INVISIBLE.sub("", WORD.sub("", word)))
        runs = is_running(word) or bool(signs.strip())
        if not runs and not keys:
            raise InputError(f"The concept word {word!r} has only invisible characters. Write a word, or remove it.")
        if runs:
            self._running.add(word, self._inflections)
        if not runs or (len(keys) == 1 and script_of(keys[0]) == "Hangul"):
            self._add_keys(word, keys)

    def _add_keys(self, word: str, keys: tuple[str, ...]) -> None:
        spellings = {keys}
        if self._inflections:
            others = (lemmas.singular(keys[-1], self._language), regular.not_reflexive(keys[-1], self._language))
            spellings |= {(*keys[:-1], other) for other in others if other}
        if len(keys) > 1 and " " not in word:
            spellings |= {("".join(spelling),) for spelling in spellings}
        for spelling in sorted(spellings, key=lambda spelling: spelling != keys):
            node = self._words
            for key in spelling:
                node = node.after.setdefault(key, _Node())
            node.word = node.word or word
            self._keys.update(spelling)
            if len(spelling) == 1:
                self._longest_joined = max(self._longest_joined, len(spelling[0]) + _LONGEST_ENDING)
            for key in spelling:
                if self._language in _BARE_CAPITALS and not key.isascii():
                    self._unaccented.setdefault(unaccented(key), key)
                for stem, follows in self._endings(key, word):
                    self._stems.setdefault(stem, []).append((follows, key))

    def _endings(self, key: str, word: str) -> Iterator[tuple[str, glued.Follows]]:
        script = script_of(key)
        yield from glued.endings(key, self._language, self._inflections)
        if not self._inflections:
            return
        dictionary = self._dictionaries[script] = lemmas.dictionary(self._language, script)
        if dictionary:
            yield from regular.endings(key, dictionary, lemmas.is_known(key, dictionary), word[:1].isupper())

    def _readings(self, form: str) -> tuple[str, ...]:
        """The words that `form`, in the spelling of `fold`, may be a form of, in that of `loose`."""
        if len(form) > lemmas.LONGEST_FORM:
            return (loose(form),)
        known = self._known.get(form)
        if known is None:
            if len(self._known) > _REMEMBERED:
                self._known.clear()
            known = self._known[form] = self._read(form)
        return known

    def _read(self, form: str) -> tuple[str, ...]:
        language = self._dictionaries.get(script_of(form), lemmas.OFF)
        found: list[str] = []
        for bare in (form, *glued.without_prefixes(form)):
            found += lemmas.readings(bare, language)
            if self._stems:
                found += self._stemmed(loose(bare))
        return tuple(dict.fromkeys(map(loose, found)))

    def _stemmed(self, form: str) -> Iterator[str]:
        for end in range(1, len(form) + 1):
            for follows, key in self._stems.get(form[:end], ()):
                if follows(form, end):
                    yield key

    def _interesting(self, chains: list[str]) -> bool:
        """Whether any chain of words may take part in a match; short ones that cannot are remembered."""
        hit = False
        if len(self._dull) > _REMEMBERED:
            self._dull.clear()
        for chain in dict.fromkeys(chains):
            if chain in self._dull:
                continue
            if len(chain) > lemmas.LONGEST_FORM or self._may_match(chain):
                hit = True
            else:
                self._dull.add(chain)
        return hit

    def _may_match(self, chain: str) -> bool:
        parts = self._parts(chain)
        forms = [part.form for part in parts]
        forms += [joined for index in range(len(parts)) for _, joined in self._joined(parts, index)]
        return any(not self._keys.isdisjoint(self._readings(form)) for form in forms)

    def _parts(self, text: str) -> list[_Part]:
        parts: list[_Part] = []
        before = 0
        for match in WORD.finditer(text):
            for place, run in script_runs(match.group()):
                for start, end, form in self._split(match.start() + place, run):
                    if form[:1].isdigit() or form[-1:].isdigit():
                        start, end, form = self._without_digits(text, start, end, form)
                    if self._unaccented and text[start : start + 1].isupper() and len(form) <= lemmas.LONGEST_FORM:
                        form = self._accented(text[start:end], form)
                    if form:
                        near = before and before < start <= before + _LONGEST_JOINT
                        parts.append(_Part(start, end, form, bool(near and JOINT.fullmatch(text, before, start))))
                        before = end
        return parts

    def _split(self, start: int, piece: str) -> Iterator[tuple[int, int, str]]:
        """(start, end, form) of a piece: with an apostrophe in it without its clitic, outside English of each side."""
        form = fold(piece)
        if "'" not in form or not self._keys.isdisjoint(self._readings(form)):
            yield start, start + len(piece), form
            return
        clitic = next((ending for ending in _CLITICS if form.endswith(ending)), "")
        # A quotation mark may stand between letters by mistake: word‘chair’.
        if self._splits_apostrophes or (not clitic and not _QUOTES.isdisjoint(piece)):
            for match in SIDE.finditer(piece):
                yield start + match.start(), start + match.end(), fold(match.group())
        else:
            bare = len(piece) if not clitic else max(map(piece.rfind, APOSTROPHES))
            yield start, start + bare, form.removesuffix(clitic) if clitic else form

    def _without_digits(self, text: str, start: int, end: int, form: str) -> tuple[int, int, str]:
        """A word without a count or a footnote's number at its edges ("2chairs", "chair²"), unless it is one with."""
        bare = DIGITS.sub("", text[start:end])
        if len(bare) < _SHORTEST_BARE or not self._keys.isdisjoint(self._readings(form)):
            return start, end, form
        start = text.index(bare, start)
        return start, start + len(bare), fold(bare)

    def _accented(self, piece: str, form: str) -> str:
        """The form with the accents that capitals of French and its like may go without: "Ecole", "ECOLES"."""
        bare = unaccented(form)
        for base in (bare, bare[:-1]):
            key = self._unaccented.get(base)
            if key is not None and (piece.isupper() or key[1:] == form[1 : len(base)]):
                return key + form[len(base) :]
        return form

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
        nodes = [self._words]
        for end in range(index, len(parts)):
            readings = self._readings(parts[end].form)
            nodes = [node.after[reading] for reading in readings for node in nodes if reading in node.after]
            if not nodes or (end > index and not _may_stand_between(text, parts[end - 1], parts[end])):
                break
            word = next((node.word for node in nodes if node.word), None)
            best = (end + 1 - index, word) if word else best
            nodes = [node for node in nodes if node.after]
        if index + 1 < len(parts) and parts[index + 1].joined:
            for length, joined in self._joined(parts, index):
                whole = self._single(joined)
                if whole and (best is None or length > best[0]):
                    best = (length, whole)
        return best

    def _joined(self, parts: list[_Part], index: int) -> Iterator[tuple[int, str]]:
        """(number of parts, their forms as one) of what hyphens join from part `index` on, no longer than a match."""
        joined = parts[index].form
        for end in range(index + 1, min(index + _MOST_JOINED, len(parts))):
            joined += parts[end].form
            if not parts[end].joined or len(joined) > self._longest_joined:
                return
            yield end + 1 - index, joined

    def _single(self, form: str) -> str | None:
        """The concept word of one word that `form` may be a form of."""
        for reading in self._readings(form):
            node = self._words.after.get(reading)
            if node is not None and node.word:
                return node.word
        return None


def outside(found: Iterable[Span], taken: Iterable[tuple[int, int]]) -> list[Span]:
    """The matches that overlap none of the (start, end) in `taken`; both in order, without overlaps of their own."""
    kept: list[Span] = []
    others = iter(taken)
    other = next(others, None)
    for span in found:
        while other is not None and other[1] <= span.start:
            other = next(others, None)
        if other is None or span.end <= other[0]:
            kept.append(span)
    return kept


def _may_stand_between(text: str, before: _Part, after: _Part) -> bool:
    """Whether two words of a phrase follow each other: nothing is between them where the script changes."""
    return before.end == after.start or bool(BETWEEN.fullmatch(text, before.end, after.start))


@lru_cache(maxsize=64)
def _say_once(language: str) -> None:
    sentence = lemmas.uninflected(language)
    if sentence:
        log.warning("%s", sentence)


def _without_overlaps(spans: list[Span]) -> list[Span]:
    kept: list[Span] = []
    for span in sorted(spans, key=lambda span: (span.start, -span.end)):
        if not kept or span.start >= kept[-1].end:
            kept.append(span)
    return kept
