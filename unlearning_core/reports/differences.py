"""Which words two texts do not share, word by word in their order."""

import difflib
import re

_WORD = re.compile(r"\w+(?:['’]\w+)*|[^\w\s]")


def changed_words(before: str, after: str) -> list[tuple[int, int]]:
    """Where `after` has other words than `before`.

    Words and punctuation marks are compared, white space is not. Neighbouring changed words of one line are one span.

    Returns:
        (start, end) characters of `after`, end exclusive, left to right; a word that was only left out has no place.
    """
    words, old = list(_WORD.finditer(after)), [match.group() for match in _WORD.finditer(before)]
    matcher = difflib.SequenceMatcher(None, old, [match.group() for match in words], autojunk=False)
    spans: list[tuple[int, int]] = []
    for kind, _, _, first, last in matcher.get_opcodes():
        if kind in ("replace", "insert"):
            for word in words[first:last]:
                if spans and spans[-1][1] <= word.start() and _is_one_gap(after[spans[-1][1] : word.start()]):
                    spans[-1] = (spans[-1][0], word.end())
                else:
                    spans.append(word.span())
    return spans


def _is_one_gap(between: str) -> bool:
    """Whether nothing but white space of one line stands there."""
    return not between.strip() and "\n" not in between and "\r" not in between
