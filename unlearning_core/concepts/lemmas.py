"""Which dictionary words a form may be an inflection of: "sat" -> sit, "leaves" -> leave, leaf.

A form is asked for *all* its readings, not for the likeliest one, because no part of speech is known: a concept word
matches when it is any of them. The dictionary is simplemma's (Barbaresi, https://github.com/adbar/simplemma); for
English a few rules add the readings it leaves out by keeping one lemma a form ("sitting" is kept as the noun there).
"""

from functools import lru_cache

from unlearning_core.errors import InputError

OFF = ""
"""Language argument that means: forms are compared as they are written."""


@lru_cache(maxsize=1)
def languages() -> frozenset[str]:
    """Two-letter codes of the languages whose inflections are known."""
    from simplemma.strategies.dictionaries import dictionary_factory

    return frozenset(dictionary_factory.SUPPORTED_LANGUAGES)


def check_language(language: str) -> None:
    """Raises InputError when no inflections are known for `language` (a two-letter code such as "en")."""
    if language and language not in languages():
        raise InputError(
            f"Inflections are not known for the language {language!r}; known are {', '.join(sorted(languages()))}. "
            "Choose one of these or switch inflections off."
        )


@lru_cache(maxsize=200_000)
def readings(form: str, language: str = "en") -> tuple[str, ...]:
    """Every word that the lower-case `form` may be a form of: itself first, then the likeliest lemma, then others."""
    if not language or not form.isalpha():
        return (form,)
    lemma = _lemma(form, language)
    found = [form, lemma]
    if language == "en":
        found += _english_readings(form, lemma)
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

    lemma = simplemma.lemmatize(form, lang=language).casefold()
    return form if (form, lemma) in _WRONG else lemma


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
