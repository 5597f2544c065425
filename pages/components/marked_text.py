"""Text from people and models inside Streamlit's markdown: escaped, with the concept's words highlighted."""

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise

from unlearning_core.concepts.matcher import Matcher
from unlearning_core.reports.differences import changed_words

CONCEPT, NEIGHBOUR = "orange", "blue"
"""Streamlit's names of the grounds on which words of the concept and of its neighbours stand."""

CHANGED = "violet"
"""Streamlit's name of the colour of words that another text has otherwise."""

NOTHING = ":gray[(nothing)]"
"""Stands for a text that is empty."""

_SIGNS = re.compile(r"([!-/:-@\[-`{-~])")
# Streamlit turns :name: into an icon even when the colons are escaped; a word joiner after the first keeps it text.
_SHORTCODE = re.compile(r":(?=[\w+/-]+:)")
# Addresses in plain text become links whatever is escaped in them; a word joiner inside keeps them text as well.
_ADDRESS = re.compile(r"(?=://)|(?<=www)(?=\.)|(?<=[\w.+-])(?=@\w)", re.IGNORECASE)


def escaped(text: str) -> str:
    """`text` as markdown that shows these characters; line breaks stay, white space around the text does not."""
    return _escape(text.strip())


def unbroken(text: str) -> str:
    """`text` in which no percent sign is torn from its number at the end of a line."""
    return text.replace(" %", "\N{NO-BREAK SPACE}%")


def highlighted(
    text: str, spans: Iterable[Sequence[int]], changed: Iterable[Sequence[int]] = (), colour: str = CONCEPT
) -> str:
    """Markdown of `text` with the characters of each (start, end) in bold on a coloured ground.

    Args:
        changed: (start, end) of what another text has otherwise, in coloured italics; no span holds a line break.
        colour: of the ground, by Streamlit's name.
    """
    first, end = len(text) - len(text.lstrip()), len(text.rstrip())
    marks = {f":{colour}-background[**{{}}**]": [*spans], f":{CHANGED}[*{{}}*]": [*changed]}
    edges = {first, max(first, end), *(int(edge) for given in marks.values() for span in given for edge in span)}
    parts = []
    for start, stop in pairwise(sorted(edge for edge in edges if first <= edge <= end)):
        inside = [
            mark for mark, given in marks.items() if any(begin <= start and stop <= last for begin, last in given)
        ]
        parts.append(styled(text[start:stop], *inside))
    return "".join(parts)


def with_concept(text: str, matcher: Matcher, other: str | None = None) -> str:
    """Markdown of what a model wrote: the concept's words are marked, and those that an `other` model has not."""
    changed = changed_words(other, text) if other is not None else ()
    return highlighted(text, [(span.start, span.end) for span in matcher.spans(text)], changed) or NOTHING


def styled(text: str, *marks: str) -> str:
    """Markdown of `text`, in each of the marks ("**{}**"), which touch a letter: white space stays outside of them."""
    inner = text.strip() if marks else text
    if not inner:
        return _escape(text)
    before, after = text.split(inner, 1)
    shown = _escape(inner)
    for mark in marks:
        shown = mark.format(shown)
    return _escape(before) + shown + _escape(after)


def _escape(text: str) -> str:
    safe = _SIGNS.sub(r"\\\1", _ADDRESS.sub("\u2060", _SHORTCODE.sub(":\u2060", text)))
    return safe.replace("\r\n", "\n").replace("\n", "\\\n")
