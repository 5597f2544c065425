"""Regular forms that a dictionary leaves out: of names and new words, and of words of which it keeps another lemma.

A dictionary knows neither Horcruxes nor Поттера, so a concept word that is not in it gets every ending that such words
take in its language. And it keeps one lemma a form: "Hause" only as a form of hausen, "cómetelo" of nothing. What is
wide here is wide on purpose: see `glued`.
"""

from collections.abc import Iterator

import regex

from unlearning_core.concepts.glued import Follows

_Rule = tuple[str, str, str]
_CLITICS_ES = "me|te|se|lo|la|le|los|las|les|nos|os"
_VERB_ES = "(?<!^[bmp])[aeií]r$"
_CLITICS_IT = "mi|ti|si|ci|vi|lo|la|li|le|gli|ne|(?:me|te|se|ce|ve|glie)(?:lo|la|li|le|ne)"
_BASES: dict[str, tuple[_Rule, ...]] = {
    "da": (("ernes?$", "er", ""), ("enes?$", "e", "")),
    "nb": (("enes?$", "er", ""),),
    "nn": (("[ae]nes?$", "ar", ""),),
    "de": (("(?<=....)e$", "", ""), ("^gegessen$", "essen", "")),
    "nl": ((r"([bdfgklmnprst])\1en$", r"\1", ""),),
    "lt": (("ės$", "ė", ""), ("os$", "a", "")),
    "lv": (("(?:im?|us|iem)$", "is", ""),),
    "es": (
        (rf"(?<=...)(?:{_CLITICS_ES})$", "", _VERB_ES),
        (rf"(?<=...)(?:me|te|se|le|les|nos|os)(?:{_CLITICS_ES})$", "", _VERB_ES),
    ),
    "it": (
        (rf"(?<=[aei]r)(?:{_CLITICS_IT})$", "e", "re$"),
        (rf"(?<=ndo)(?:{_CLITICS_IT})$", "", "re$"),
        (r"^(d[ia]|fa|sta)(?:mmi|tti|ll[aeio]|cci|gli|nne)$", r"\1re", "re$"),
    ),
}
"""By dictionary what makes of a form another one, and a pattern of the lemma that this must have."""

_COMPILED = {
    language: [(regex.compile(pattern), written, regex.compile(lemma)) for pattern, written, lemma in rules]
    for language, rules in _BASES.items()
}
_ACUTE = str.maketrans("áéíóú", "aeiou")
_BOTH_ACCENTS = ("es",)


def bases(form: str, language: str) -> Iterator[tuple[str, regex.Pattern[str]]]:
    """Forms whose lemma `form` may have too, in the dictionary `language`, each with a pattern that the lemma has."""
    for pattern, written, lemma in _COMPILED.get(language, ()):
        base = pattern.sub(written, form, count=1)
        if base != form:
            yield base.translate(_ACUTE) if language in _BOTH_ACCENTS else base, lemma


def not_reflexive(word: str, language: str) -> str | None:
    """The verb of a Romance reflexive infinitive, as its forms show it: sentarse -> sentar, sedersi -> sedere."""
    if language in ("es", "ca", "gl") and word.endswith(("arse", "erse", "irse")):
        return word[:-2]
    return word[:-2] + "e" if language == "it" and word.endswith(("arsi", "ersi", "irsi")) else None


def _pattern(endings: str) -> Follows:
    return regex.compile(f"(?:{'|'.join(endings.split())})").fullmatch


_ENGLISH = _pattern("s es ed ing")
_AFTER_E = _pattern("es ed ing")
_AFTER_Y = _pattern("ies ied")
_DOUBLED = _pattern("es ed ing")
_AFTER_C = _pattern("ked king ker kers")
_PLURAL_I = _pattern("i")
_SHORT_ENGLISH = _pattern("s")
_GERMAN = _pattern("s es e n en ens")
_CYRILLIC = _pattern(
    "а у ом ем ым им е и ы і о ой ою ей ею ю я ові еві єві ові ем єм ом ов ів ев ам ями ами ах ям ях ин ина ові ът ят "
    "та то те"
)
_LATIN = {
    "pl": _pattern("a u owi ie em iem y i e ów om ami ach ę ą o ego emu ym"),
    "cs": _pattern("a u ovi em e ě y i ů ům ech ích ami ách ou o ové ova ovy ovu ová ové ovou"),
    "sk": _pattern("a u ovi om e y i ov och ami ách ou o ová ovej ovou"),
    "hbs": _pattern("a u om em e i o ama ima ov ova ovi ove ovu"),
    "sl": _pattern("a u om em e i o ov ama ih oma ova ovi ove ovo"),
}
_CYRILLIC_CODES = ("ru", "uk", "bg", "mk", "hbs")
_SLAVIC_VOWELS = "аяоеєийіїьaeoyi"
_SHORTEST = 3


def endings(word: str, dictionary: str, known: bool, name: bool) -> Iterator[tuple[str, Follows]]:
    """Stems of a concept word in the spelling of `loose` with what may follow them, as `glued.endings` gives them.

    `known`: the word is in its `dictionary` (the code of a language). `name`: it is written with a capital letter.
    """
    if dictionary == "en":
        yield from _english(word, known)
    elif dictionary == "de" and not known and len(word) >= _SHORTEST:
        yield word, _GERMAN
    elif len(word) >= _SHORTEST and (not known or name):
        written = "\u0400" <= word[0] <= "\u04ff"
        follows = (
            _CYRILLIC if written and dictionary in _CYRILLIC_CODES else None if written else _LATIN.get(dictionary)
        )
        if follows is not None:
            yield from ((stem, follows) for stem in _slavic_stems(word))


def _english(word: str, known: bool) -> Iterator[tuple[str, Follows]]:
    if word.endswith("ic") and len(word) > _SHORTEST:
        yield word, _AFTER_C
    if word in ("bus", "gas"):
        yield word + "s", _DOUBLED
    if known or not word.isalpha():
        return
    if len(word) < _SHORTEST:
        yield word, _SHORT_ENGLISH
        return
    yield word, _ENGLISH
    if word[-1] == "e":
        yield word[:-1], _AFTER_E
    elif word[-1] == "y":
        yield word[:-1], _AFTER_Y
    elif word[-1] not in "aiou":
        yield word + word[-1], _DOUBLED
    if word.endswith("us"):
        yield word[:-2], _PLURAL_I


def _slavic_stems(word: str) -> Iterator[str]:
    """The word without the vowel in whose place an ending stands; Київ, Києва; Львів, Львова."""
    yield word[:-1] if word[-1] in _SLAVIC_VOWELS and len(word) > _SHORTEST else word
    for closed, opened in (("їв", "єв"), ("ів", "ов")):
        if word.endswith(closed):
            yield word.removesuffix(closed) + opened
