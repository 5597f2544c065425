"""Lists of words in JSON: every text in it is a line of the list, or what it is not is named."""

import json
from collections.abc import Iterator
from typing import Any

from unlearning_core.concepts.json_texts import json_value
from unlearning_core.errors import InputError

HEADERS = ("word", "words", "concept", "concepts", "target", "term", "terms", "phrase", "target_word", "target_words")
"""Names of columns and fields that hold words."""

_MORE = (
    "synonym", "synonyms", "form", "forms", "inflections", "variant", "variants", "alias", "aliases", "plural",
    "plurals", "lemma", "lemmas", "phrases", "keyword", "keywords", "tokens", "vocabulary", "vocab", "word_list",
    "wordlist", "list", "items", "entries", "data", "concept_words", "concept_definition",
)  # fmt: skip
"""Names of further fields that hold words: a list of them, or one beside a word."""

_EXPECTED = 'Expected a list of words, such as ["chair", "sofa"], or one word a line.'

_FORM = 'expected a word, or an object such as {"word": "chair", "forms": ["chairs"]}'


def json_entries(text: str, name: str) -> tuple[str, list[tuple[str, str]], list[str]]:
    """How a list in JSON is written, its (place, text) pairs, and notes of what was passed over.

    Args:
        name: how a sentence calls the list.

    Raises:
        InputError: it is not JSON, or a part of it is no word; names that part.
    """
    passed: dict[str, None] = {}
    found: list[tuple[str, str]] = []
    if _is_lines(text):
        form = "JSON lines"
        for number, line in enumerate(text.splitlines(), start=1):
            if line.strip():
                value = json_value(line, name, 'Expected {"word": "chair"}.', number)
                found += _item(value, f"{name}, line {number}", passed)
    else:
        value = json_value(text, name, _EXPECTED)
        if isinstance(value, dict):
            form, found = _whole(value, name, passed)
        else:
            form, found = "JSON list", _items(value, f"{name}, item ", passed)
    notes = [f"fields passed over: {', '.join(passed)}"[:200]] if passed else []
    return form, found, notes


def _is_lines(text: str) -> bool:
    """Whether a first JSON value ends before the text does, at the end of a line."""
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        return error.msg == "Extra data" and error.lineno > 1
    except (ValueError, RecursionError):
        pass  # said below, with its place
    return False


def _whole(value: dict[str, Any], name: str, passed: dict[str, None]) -> tuple[str, list[tuple[str, str]]]:
    """The form and the texts of an object that is the whole of the list."""
    named = [key for key in value if _holds_words(key)]
    if not named and value and all(_is_plain(inner) for inner in value.values()):
        return "JSON, words with a number each", [(f"{name}, field {key!r:.80}", key) for key in value]
    if not named and (listed := _numbered(value)):
        return "JSON, numbered", [(f"{name}, field {key!r}", word) for key, word in listed]
    found = list(_fields(value, name, passed))
    return f"JSON, the field{'s' if len(named) > 1 else ''} {', '.join(map(repr, named))}", found


def _items(values: list[Any], where: str, passed: dict[str, None]) -> list[tuple[str, str]]:
    return [entry for n, item in enumerate(values, start=1) for entry in _item(item, f"{where}{n}", passed)]


def _item(item: Any, where: str, passed: dict[str, None]) -> Iterator[tuple[str, str]]:
    if isinstance(item, str):
        yield where, item
    elif isinstance(item, list) and item and isinstance(item[0], str) and all(map(_is_plain, item[1:])):
        yield where, item[0]
    elif isinstance(item, list) and any(isinstance(inner, str) for inner in item):
        raise InputError(
            f"{where} is {item!r:.80}; {_FORM}. A list in a list may be words or a word and its properties: put all "
            "words in one list."
        )
    elif isinstance(item, dict) and len(item) == 1 and isinstance(word := next(iter(item.values())), str):
        yield where, word
    elif isinstance(item, dict):
        yield from _fields(item, where, passed)
    else:
        raise InputError(f"{where} is {item!r:.80}; {_FORM}. Write a word there, or take it out.")


def _fields(value: dict[str, Any], where: str, passed: dict[str, None]) -> Iterator[tuple[str, str]]:
    """The texts of all fields that hold words."""
    named = [key for key in value if _holds_words(key)]
    if not any(value[key] for key in named):
        raise InputError(
            f"{where} holds a JSON object with the fields {', '.join(value)[:200] or 'none'}; expected a list of "
            'words, or words with a count each, such as {"chair": 12}. Put the words in a list, or call its field '
            "words."
        )
    for key, inner in value.items():
        place = f"{where}, {key}"
        if key in named and isinstance(inner, str):
            yield place, inner
        elif key in named and isinstance(inner, list):
            yield from _items(inner, f"{where}, {key}, item ", passed)
        elif key in named and isinstance(inner, dict) and inner and all(map(_is_plain, inner.values())):
            yield from ((place, word) for word in inner)
        elif key in named and isinstance(inner, dict) and (listed := _numbered(inner)):
            yield from ((f"{place}, field {number!r}", word) for number, word in listed)
        elif isinstance(inner, (list, dict)) and inner:
            raise InputError(
                f"{where}: the field {key!r:.80} is {inner!r:.80}, and whether it holds words cannot be told. Call it "
                "words, or take it out."
            )
        elif key not in named or inner is not None:
            passed[key] = None


def _holds_words(key: str) -> bool:
    return key.casefold() in (*HEADERS, *_MORE)


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, (int, float))


def _numbered(value: dict[str, Any]) -> list[tuple[str, str]]:
    """The fields of an object whose keys are numbers and whose values are texts; empty where it is no such object."""
    return [*value.items()] if all(k.isdecimal() and isinstance(v, str) for k, v in value.items()) else []
