"""What languages glue to a word without a space, where no dictionary of forms can list it all.

Particles, prepositions, articles and pronouns of Korean, Hebrew and Arabic script are words of their own, and are taken
off whether or not inflections count; all other endings are inflections. The rules are wide on purpose: a sentence with
the concept that counts as one without it is worse than the reverse, which a person sees in the list of forms and can
take out. All patterns are of the spelling of `scripts.loose`.
"""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from unicodedata import normalize

import regex

from unlearning_core.concepts.scripts import INDIC, script_of

Follows = Callable[[str, int], object]
"""Whether what stands from a place of a form on, up to its end, may follow a stem."""

LANGUAGES = frozenset(
    "ja ko he yi ar fa ur ps sd ckb hi mr ne bn as pa gu or ta te kn ml si am ti ka hy tr az tk gag id ms jv su tl fil "
    "hu fi et".split()
)
"""Codes of the languages whose endings are known here (of Japanese verbs and adjectives: in `running`)."""


def _any(form: str, start: int) -> bool:
    return True


def _pattern(pattern: str) -> Follows:
    return regex.compile(pattern, regex.DOTALL | regex.V1).fullmatch


_short_indic = _pattern(r"(?:(?:\p{M}|मा|हर|क[ोाीेु]|मे|से|ल[ेाै]|बाट|वाल|च[ाीे]|ने|शी|त$|ਵਿ|ਨੂੰ|ਦ[ਾੇੀ]).*+)?")


def _chained(units: frozenset[str], tail: Follows | None, form: str, start: int) -> bool:
    """Whether endings of `units` follow one another to the end, or to a `tail`; n steps where a pattern takes 2^n."""
    longest = max(map(len, units))
    reached = {start}
    for place in range(start, len(form) + 1):
        if place in reached:
            if place == len(form) or (tail is not None and tail(form, place)):
                return True
            reached |= {place + size for size in range(1, longest + 1) if form[place : place + size] in units}
    return False


def _chain(units: str, tail: Follows | None = None) -> Follows:
    """`_chained` with the units of a list in which a few letters stand for vowels that follow those of the stem."""
    harmonies = {"A": "aeə", "I": "iuü", "D": "dt"}
    spelt = frozenset(
        "".join(letters)
        for unit in units.split()
        for letters in product(*(harmonies.get(letter, letter) for letter in unit))
    )
    return partial(_chained, spelt, tail)


_PREFIXES = {
    "Hebrew": {"".join(letters) for count in range(1, 5) for letters in product("והבכלמש", repeat=count)},
    "Arabic": {"".join(three) for three in product(("", "و", "ف"), ("", "ا", "ب", "ک", "ل", "س", "ن"), ("", "ال"))}
    | {"لل", "ولل", "فلل", "می", "نمی"},
    "Ethiopic": set("የ በ ከ ለ እንደ ስለ ወደ እስከ ያለ".split()),
}
_LONGEST_PREFIX = 5


def without_prefixes(form: str) -> Iterator[str]:
    """What is left of `form` when words glued before it are taken off; at least two letters stay."""
    known = _PREFIXES.get(script_of(form), ())
    for end in range(1, min(len(form) - 2, _LONGEST_PREFIX) + 1):
        if form[:end] in known:
            yield form[end:]


def endings(word: str, language: str, inflections: bool) -> Iterator[tuple[str, Follows]]:
    """Every stem of the concept word `word` (one word, in the spelling of `loose`) with what may follow it."""
    script = script_of(word)
    if script in _PARTICLES:
        yield word, _PARTICLES[script]
    if not inflections:
        return
    if script == "Hangul":
        yield from _korean_verb(word)
    elif script == "Hebrew":
        yield from _hebrew(word)
    elif script == "Arabic":
        yield from _arabic(word)
    elif script in INDIC:
        yield from _indic(word, script)
    elif script == "Ethiopic" and len(word) > 1:
        # An ending changes the vowel of the last syllable, which is one of the eight signs of its consonant.
        row = ord(word[-1]) & ~7
        yield word[:-1], _pattern(f"[{chr(row)}-{chr(row + 7)}].*+")
    elif script == "Georgian" and len(word) > 3:
        yield word[:-1] if word[-1] in "აეიოუ" else word, _GEORGIAN
    elif script == "Armenian":
        yield word, _ARMENIAN
    elif language in ("tr", "az", "tk", "gag"):
        yield from _turkic(word)
    elif language in _URALIC and (len(word) > 2 or word in _HUNGARIAN_V):
        yield word, _URALIC[language]
        if language == "fi":
            yield from ((weak, _URALIC["fi"]) for weak in _weak_grade(word))
        if language == "hu" and word in _HUNGARIAN_V:
            yield _HUNGARIAN_V[word], _URALIC[language]
        if language == "hu" and word[-1] in "ae":
            # alma -> almát
            yield word[:-1] + {"a": "á", "e": "é"}[word[-1]], _URALIC[language]
    elif language in _CLITICS:
        yield word, _CLITICS[language]
    elif script == "Greek":
        yield regex.sub("(?:μα|[αηοιυε]σ?)$", "", word) if len(word) > 3 else word, _GREEK
    elif language in GLUING:
        follows = _any if len(word) > 3 else _short_turkic
        yield word, follows
        if word[-1] in _SOFTENED_TURKIC:
            yield word[:-1] + _SOFTENED_TURKIC[word[-1]], follows


# Persian and Urdu are written in the same script: their endings stand beside the Arabic pronouns.
_PRONOUN = r"(?:ه|ها|هم|هن|هما|ک|کم|کن|کما|نا|نی|ی)"
_PARTICLES = {
    "Arabic": _pattern(rf"(?:{_PRONOUN}|(?:های?|ها|ی)?(?:م|ت|ش|مان|تان|شان|ام|ات|اش|یم|یت|یش|ست|را|و))?"),
    "Hangul": _chain(
        "들 님 이 가 은 는 을 를 의 에 에서 서 에게 한테 께 로 으로 써 와 과 랑 도 만 까지 부터 마다 조차 마저 "
        "밖에 처럼 보다 같이 나 든지 라 라도 야 아 여 요 다 지 뿐 씩 쯤 끼리 하고 대로 만큼 커녕",
        tail=_pattern(r"(?:이|입|였|인|일|예)\p{Hangul}*+"),
    ),
}

_HEBREW_PRONOUN = r"(?:י|ו|ה|ך|נו|כם|כן|ם|ן|הם|הן|יו|יה|יך|ינו|יכם|יכן|יהם|יהן|יי)"
_HEBREW = _pattern(rf"(?:ים|ות|יים|ת|{_HEBREW_PRONOUN}|ות{_HEBREW_PRONOUN})?")
_FEMININE_HEBREW = _pattern(rf"(?:ות|ת)?{_HEBREW_PRONOUN}?")
_FINAL = str.maketrans("ךםןףץ", "כמנפצ")


def _hebrew(word: str) -> Iterator[tuple[str, Follows]]:
    """With an ending the last letter loses its final shape, and a feminine ה is written ת."""
    yield word, _HEBREW
    yield word[:-1] + word[-1].translate(_FINAL), _HEBREW
    if word[-1] in "הת" and len(word) > 2:
        yield word[:-1], _FEMININE_HEBREW


_ARABIC = _pattern(
    rf"(?:ا|ات|ان|ین|ون|وا|وان|تان|تین)?{_PRONOUN}?"
    r"|(?:های?|هایی|ی|یی|ای|تر|ترین|گان|ان)(?:م|ت|ش|مان|تان|شان|ام|ات|اش|یم|یت|یش|یمان|یتان|یشان|ست|ند|را)?"
    r"|اں|یں|وں|و|ییں|یوں|یاں|ے"
)
_FEMININE = _pattern(rf"(?:ه|ات|تان|تین|ت)?{_PRONOUN}?")

_URDU = _pattern("ے|وں|و|یں|ییں")


def _arabic(word: str) -> Iterator[tuple[str, Follows]]:
    yield word, _ARABIC
    if word[-1] in "ها" and len(word) > 2:
        yield word[:-1], _FEMININE
        yield word[:-1], _URDU


_MARK_FIRST = _pattern(r"(?:\p{M}|த்த|ங்க).*+")


def _indic(word: str, script: str) -> Iterator[tuple[str, Follows]]:
    """Case and number are glued on, in most of these languages in chains, and take the place of a last vowel."""
    letters = sum(letter.isalpha() for letter in word)
    least = 3 if script in ("Devanagari", "Gurmukhi") else 2
    yield word, _any if letters >= least else _short_indic
    if script == "Telugu" and word.endswith("ట్టు"):
        yield word.removesuffix("ట్టు") + "ట్ల", _any
    stem = regex.sub(r"(?:[\p{Mn}\p{Mc}--\p{ccc=7}]|ம்)$", "", word, flags=regex.V1)
    if stem != word and letters >= 2:
        yield stem, _MARK_FIRST


_GEORGIAN = _chain("ა ე ი ო უ ებ ნი თა ს ის მა ზე ში თან ით ად ვით კენ დან გან ც თვის მდე")
_ARMENIAN = _pattern(r"(?:ներ|եր)?(?:ի|ից|ով|ում|ու|ան|վա)?(?:ը|ն|ս|դ)?")
_MALAY = _chain("nya ku mu lah kah pun tah an i kan")
_CLITICS = dict.fromkeys(("id", "ms", "jv", "su"), _MALAY) | dict.fromkeys(("tl", "fil"), _pattern("(?:ng|g)?"))
GLUING = frozenset("uz kk ky tt ba cv sah ug mn bxr xal eu qu ay kl zu xh st tn ss rw rn lg sn ny".split())
"""Languages of long words without a dictionary here: whatever follows a word of four letters is its ending."""

_URALIC = {
    "hu": _chain(
        "k ok Ak ök m om Am öm d od Ad öd A á jA já jé nk unk ünk tok tAk tök "
        "uk ük juk jük i im id ink itek itok ik t ot At "
        "öt nAk bAn bA ból ből on en ön n rA ról ről nál nél hoz hez höz tól től ig ként ért ul ül vá vé é s os As ös "
        + " ".join(f"{letter}Al" for letter in "bcdfghjklmnprstvyz")
    ),
    "fi": _chain(
        "n t a ä ta tä tta ttä ssa ssä sta stä lla llä lta ltä lle na nä ksi kse ne in en on un än an hin i j ien "
        "jen iden ni si nsa nsä mme nne kin kaan kään ko kö han hän pa pä"
    ),
    "et": _chain("d de i e le l lt s st sse ga ta ks ni na t id te ki gi de te dele del dest"),
}

_TURKIC = _chain(
    "lAr Im m In n ImIz mIz InIz nIz I sI nIn DA DAn nDA nDAn A yA nA yI nI lA ylA ki kü DIr lI lIk lIg lIğ sIz cI yIz "
    "sA ysA yDI DI mIş ymIş cA cAk cAğ"
)
_short_turkic = _pattern(
    "(?:(?:[лдт][ае]р|[нд]?[ыі]ң|[дтң]?[ыі]|с[ыі]|[ыі]м|[дт][ае]н?|н[ае]н|[гкғқ][ае]|[мбп]ен).*+)?"
)
_GREEK = _pattern("οσ|ου|ο|οι|ων|ουσ|ε|α|η|ασ|ησ|εσ|αν|ην|ι|ια|ιου|ιων|μα|ματοσ|ματα|ματων|ισ|εισ|εωσ|εων|υ|")


_HUNGARIAN_V = {
    "ló": "lov",
    "kő": "köv",
    "tó": "tav",
    "hó": "hav",
    "fű": "füv",
    "szó": "szav",
    "mű": "műv",
    "cső": "csöv",
}


def _weak_grade(word: str) -> Iterator[str]:
    """Finnish consonant gradation: katu, kadun; kukka, kukan; kenkä, kengän."""
    grades = {"kk": "k", "pp": "p", "tt": "t", "nk": "ng", "nt": "nn", "mp": "mm", "lt": "ll", "rt": "rr"}
    grades |= {"k": "", "p": "v", "t": "d"}
    strong = next((strong for strong in grades if word[:-1].endswith(strong)), None)
    if strong is not None and word[-1] in "aeiouyäö":
        yield word[: -1 - len(strong)] + grades[strong] + word[-1]


_SOFTENED_TURKIC = {"п": "б", "к": "г", "қ": "ғ", "k": "g", "p": "b"}
_SOFTENED = {"p": "b", "ç": "c", "t": "d", "k": "ğ", "g": "ğ"}


def _turkic(word: str) -> Iterator[tuple[str, Follows]]:
    """Endings follow one another in chains; before a vowel the last consonant is softened (köpek, köpeği)."""
    yield word, _TURKIC
    if word[-1] in _SOFTENED and len(word) > 2:
        yield word[:-1] + _SOFTENED[word[-1]], _TURKIC
        if word[-1] == "k":
            # Azerbaijani: pişik, pişiyi.
            yield word[:-1] + "y", _TURKIC
    if word.endswith(("mak", "mek")) and len(word) > 5:
        yield word[:-3], _any
        if word[-4] == "t":
            yield word[:-4] + "d", _any


_KOREAN_VERB = _pattern(r"(?:[가-힣--[가이인]]\p{Hangul}*+)?")
_FINALS = ("", "\u11ab", "\u11af", "\u11b7", "\u11b8", "\u11bb")
_CONTRACTED = {"\u1169": "\u116a", "\u116e": "\u116f", "\u1175": "\u1167", "\u1173": "\u1165", "\u1161": "\u1162"}


def _korean_verb(word: str) -> Iterator[tuple[str, Follows]]:
    """Of a dictionary form in -다 the stems that its endings follow, contracted with their vowel or consonant."""
    if not word.endswith("다") or len(word) < 2:
        return
    stem = normalize("NFD", word[:-1])
    open_stems = {stem}
    if stem.endswith("\u1105\u1173") and len(stem) > 2:
        # 모르다 -> 몰라, 몰랐다
        doubled = stem[:-2] + "\u11af\u1105"
        open_stems |= {doubled + "\u1161", doubled + "\u1165"}
    if stem[-1] in _CONTRACTED:
        open_stems.add(stem[:-1] + _CONTRACTED[stem[-1]])
    if stem[-1] == "\u1173":
        open_stems.add(stem[:-1] + "\u1161")
    if stem[-1] in "\u11b8\u11ba\u11ae":
        # 눕다 -> 누워, 짓다 -> 지어, 걷다 -> 걸어
        open_stems |= {stem[:-1], stem[:-1] + "\u11af"}
    for open_stem in open_stems:
        finals = _FINALS if "\u1161" <= open_stem[-1] <= "\u1175" else ("",)
        for final in finals:
            yield normalize("NFC", open_stem + final), _KOREAN_VERB
