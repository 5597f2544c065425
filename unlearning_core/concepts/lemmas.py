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
        found += _english_readings(form)
    return tuple(dict.fromkeys(found))


def singular(word: str, language: str = "en") -> str | None:
    """The singular of an English plural ("chairs" -> "chair"), or None when `word` is not clearly one."""
    if language != "en":
        return None
    if word.endswith("ves"):
        return next((stem for stem in (word[:-3] + "f", word[:-3] + "fe") if _known(stem)), None)
    lemma = _lemma(word, "en")
    endings = (word[:-1], word[:-2], word[:-3] + "y")
    if word.endswith("s") and not word.endswith("ss") and lemma in endings:
        return lemma
    return lemma if word in _IRREGULAR_PLURALS or (word.endswith("men") and lemma == word[:-2] + "an") else None


_IRREGULAR_PLURALS = frozenset({"children", "feet", "teeth", "geese", "mice", "lice", "oxen", "people", "men", "women"})


def _lemma(form: str, language: str) -> str:
    import simplemma

    return simplemma.lemmatize(form, lang=language).casefold()


def _known(word: str) -> bool:
    import simplemma

    return len(word) > 1 and simplemma.is_known(word, lang="en") and _lemma(word, "en") == word


def _english_readings(form: str) -> list[str]:
    """Readings that one lemma a form leaves out: verb forms in -ing and -ed, plurals in -ves and -s."""
    if form.endswith("ing"):
        return [stem for stem in _verb_stems(form[:-3]) if _known(stem)]
    if form.endswith("ed"):
        return [stem for stem in _verb_stems(form[:-2]) if _known(stem)]
    if form.endswith("ves"):
        return [stem for stem in (form[:-3] + "f", form[:-3] + "fe") if _known(stem)]
    return []


def _verb_stems(stem: str) -> list[str]:
    """ "sitt" -> sit, "bak" -> bake, "seat" -> seat, seate."""
    stems = [stem, stem + "e"]
    if len(stem) > 2 and stem[-1] == stem[-2]:
        stems.append(stem[:-1])
    return stems
