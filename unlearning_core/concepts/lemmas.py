"""Which dictionary words a form may be an inflection of: "sat" -> sit, "leaves" -> leave, leaf.

A form is asked for *all* its readings, not for the likeliest one, because no part of speech is known: a concept word
matches when it is any of them. The dictionary is simplemma's (Barbaresi, https://github.com/adbar/simplemma); for
English a few rules add the readings it leaves out by keeping one lemma a form ("sitting" is kept as the noun there).
"""

import difflib
from functools import lru_cache

import regex

from unlearning_core.concepts import glued, regular
from unlearning_core.errors import InputError

OFF = ""
"""Language argument that means: forms are compared as they are written."""


LONGEST_FORM = 100
"""A longer form is no inflection of anything."""

_LETTERS = regex.compile(r"[\p{L}\p{M}·]+")
_SAME_DICTIONARY = {
    "hr": "hbs",
    "sr": "hbs",
    "bs": "hbs",
    "cnr": "hbs",
    "no": "nb",
    "fil": "tl",
    "zsm": "ms",
    "prs": "fa",
}
_OF_SCRIPT = {
    "Greek": ("Grek", "el grc"), "Cyrillic": ("Cyrl", "ru uk bg mk hbs"), "Hebrew": ("Hebr", "he"),
    "Arabic": ("Arab", "ar fa"), "Devanagari": ("Deva", "hi"), "Malayalam": ("Mlym", "ml"), "Georgian": ("Geor", "ka"),
    "Armenian": ("Armn", "hy"),
}  # fmt: skip
"""By script its code in ISO 15924 and its dictionaries; the first is asked for a concept of another script."""


@lru_cache(maxsize=1)
def languages() -> frozenset[str]:
    """Codes of the languages whose inflections are known."""
    from simplemma.strategies.dictionaries import dictionary_factory

    return frozenset(dictionary_factory.SUPPORTED_LANGUAGES)


@lru_cache(maxsize=256)
def language_code(language: str) -> str:
    """The language of a code such as "en", "pt-BR", "zh_Hans" or "deu", as its shortest code ("en", "pt", "zh", "de").

    Raises:
        InputError: there is no such language; names the codes that are near.
    """
    import langcodes

    given = language.strip()
    if given.casefold() in languages():
        return given.casefold()
    try:
        tag = langcodes.Language.get(given)
        if tag.language and tag.is_valid():
            return "zh" if tag.language == "cmn" else tag.language
    except ValueError:
        pass
    raise InputError(
        f"The language {language!r} is not known; expected a code such as en, de, zh or pt-BR. {_near_codes(given)}"
    )


def _near_codes(given: str) -> str:
    import langcodes

    try:
        return f"Did you mean {langcodes.find(given).language}?"
    except LookupError:
        pass
    word = regex.split(r"[-_\s]", given.casefold())[0]
    names = language_names()
    codes = (
        {code: code for code in names} if len(word) <= 3 else {name.casefold(): code for code, name in names.items()}
    )
    near = [codes[match] for match in difflib.get_close_matches(word, codes, n=3, cutoff=0.5)]
    named = [f"{code} ({names[code]})" for code in near]
    return f"Near it are {', '.join(named)}." if named else "Give the two letters of ISO 639-1."


@lru_cache(maxsize=1)
def language_names() -> dict[str, str]:
    """English names by code: the languages of ISO 639-1 and those whose inflections are known, in order of names."""
    import langcodes
    from langcodes.data_dicts import LANGUAGE_ALPHA3

    codes = {language_code(code) for code in LANGUAGE_ALPHA3 if langcodes.tag_is_valid(code)} | languages()
    names = {code: langcodes.Language.get(code).display_name() for code in codes}
    return dict(sorted(names.items(), key=lambda pair: pair[1]))


def uninflected(language: str) -> str | None:
    """A sentence for the person where the inflections of `language` are not known, else None.

    Raises:
        InputError: there is no such language.
    """
    code = language_code(language)
    if _SAME_DICTIONARY.get(code, code) in languages() or code in glued.LANGUAGES | glued.GLUING:
        return None
    return (
        f"No inflections are known for the language {language!r}: its words are found as they are written, and forms "
        "of them that are written otherwise must be in the list too."
    )


def dictionary(language: str, script: str) -> str:
    """Which dictionary knows the forms of a word in a script (`scripts.script_of`); OFF where none does."""
    own = _SAME_DICTIONARY.get(language, language)
    written = _script_of_language(language)
    if script:
        code, known = _OF_SCRIPT.get(script, ("", ""))
        return own if own in known.split() else OFF if written == code else known.partition(" ")[0]
    if written != "Latn" and own != "hbs":
        # Latin words among words of another script.
        return "en"
    return own if own in languages() else OFF


@lru_cache(maxsize=256)
def _script_of_language(language: str) -> str:
    """The script (ISO 15924) that most of a language is written in."""
    if language == "en":
        return "Latn"
    import langcodes

    return str(langcodes.Language.get(language).maximize().script)


def readings(form: str, language: str = "en") -> tuple[str, ...]:
    """Every word that the lower-case `form` may be a form of: itself first, then the likeliest lemma, then others."""
    # Outside of the cache, which would keep a text of one long word in memory.
    if not language or len(form) > LONGEST_FORM:
        return (form,)
    return _readings(form, language)


@lru_cache(maxsize=200_000)
def _readings(form: str, language: str) -> tuple[str, ...]:
    if not form.isalpha() and not _LETTERS.fullmatch(form):
        return (form,)
    lemma = _lemma(form, language)
    found = [form, lemma]
    if language == "en":
        found += _english_readings(form, lemma)
    elif language == "de" and "ss" in form:
        # Case folding has no ß, the dictionary has: Füße.
        found.append(_lemma(form.replace("ss", "ß"), language))
    for base, pattern in regular.bases(form, language):
        lemma = _lemma(base, language)
        if pattern.search(lemma):
            found += (base, lemma)
    return tuple(dict.fromkeys(found))


def singular(word: str, language: str = "en") -> str | None:
    """The singular of an English plural ("chairs" -> "chair"), or None when `word` is not clearly one."""
    if language != "en":
        return None
    if nouns := _f_nouns(word):
        return nouns[0]
    lemma = _lemma(word, "en")
    if word.endswith("s") and not word.endswith("ss") and lemma in (word[:-1], word[:-2], word[:-3] + "y"):
        return lemma
    irregular = word in _IRREGULAR_PLURALS or (word.endswith("men") and lemma == word[:-2] + "an")
    return lemma if irregular else None


_IRREGULAR_PLURALS = frozenset({"children", "feet", "teeth", "geese", "mice", "lice", "oxen", "people", "men", "women"})
_F_NOUNS = ("calf", "half", "elf", "leaf", "loaf", "thief", "sheaf", "wolf", "hoof", "scarf", "dwarf", "wharf",
            "knife", "life", "wife")  # fmt: skip

# Forms that the dictionary files under one word although they are as well, and mostly, forms of another.
_SECOND_READINGS = {
    "abode": "abide", "awoken": "awake", "bade": "bid", "bent": "bend", "bidden": "bid", "bit": "bite",
    "bore": "bear", "born": "bear", "bound": "bind", "broke": "break", "drunk": "drink", "felt": "feel",
    "gone": "go", "ground": "grind", "left": "leave", "means": "mean", "overcame": "overcome",
    "overtaken": "overtake", "overtook": "overtake", "rose": "rise", "rung": "ring", "shook": "shake",
    "shot": "shoot", "slew": "slay", "smelt": "smell", "spelt": "spell", "swore": "swear", "thought": "think",
    "trod": "tread", "undergone": "undergo", "underwent": "undergo", "won": "win", "wound": "wind",
    "axes": "axis", "bases": "basis", "data": "datum", "diagnoses": "diagnosis", "lenses": "lens", "staves": "staff",
}  # fmt: skip
# Readings that the dictionary gives and no reader would.
_WRONG = frozenset({("bare", "bear"), ("maria", "mare"), ("spade", "spay")})


def _lemma(form: str, language: str) -> str:
    import simplemma

    # Case folding has no final sigma, the dictionary has; the Romanian one has no cedillas.
    written = form[:-1] + "ς" if form.endswith("σ") else form
    written = written.translate(_COMMAS) if language == "ro" else written
    lemma = simplemma.lemmatize(written, lang=language).casefold()
    return form if (form, lemma) in _WRONG else lemma


_COMMAS = str.maketrans("şţ", "șț")


def is_known(word: str, language: str) -> bool:
    """Whether the dictionary of a code knows a word in lower case as a form of any."""
    import simplemma

    return any(simplemma.is_known(written, lang=language) for written in (word, word.title()))


def _known(word: str) -> bool:
    import simplemma

    return simplemma.is_known(word, lang="en") and _lemma(word, "en") == word


def _english_readings(form: str, lemma: str) -> list[str]:
    """Readings that one lemma a form leaves out, or in whose place the dictionary has an obsolete word (thanke)."""
    if form in _SECOND_READINGS:
        return [_SECOND_READINGS[form]]
    if form.endswith("ing"):
        return [stem for stem in _verb_stems(form[:-3]) if _known(stem)]
    if form.endswith("ed") and lemma != form:
        return [stem for stem in _verb_stems(form[:-2]) if _known(stem)]
    return _f_nouns(form)


def _verb_stems(stem: str) -> list[str]:
    """What -ing or -ed may have been added to: "sitt" -> sit, "bak" -> bake, "seat" -> seat, seate; "sit" -> site."""
    if len(stem) < 3 or not _VOWELS.intersection(stem):
        return []
    stems = [stem + "e"]
    if stem[-1] == stem[-2] and stem[-1] not in _VOWELS:
        stems.append(stem[:-1])
    short = stem[-2] in _VOWELS and stem[-1] not in "aeiouwxy" and not _VOWELS.intersection(stem[:-2])
    return stems if short else [stem, *stems]


def _f_nouns(form: str) -> list[str]:
    """ "wolves" -> wolf, "housewives" -> housewife; not "caves" -> cafe."""
    if not form.endswith("ves"):
        return []
    return [noun for noun in (form[:-3] + "f", form[:-3] + "fe") if noun.endswith(_F_NOUNS) and _known(noun)]


_VOWELS = frozenset("aeiouy")
