"""Text from people and models inside Streamlit's markdown: escaped, with the concept's words highlighted."""

import re
from collections.abc import Iterable, Sequence

_SIGNS = re.compile(r"([!-/:-@\[-`{-~])")
# Streamlit turns :name: into an icon even when the colons are escaped; a word joiner after the first keeps it text.
_SHORTCODE = re.compile(r":(?=[\w+/-]+:)")


def escaped(text: str) -> str:
    """`text` as markdown that shows these characters; line breaks stay, white space around the text does not."""
    return _escape(text.strip())


def highlighted(text: str, spans: Iterable[Sequence[int]]) -> str:
    """Markdown of `text` with the characters of each (start, end) in bold on a coloured ground."""
    first, end_of_text = len(text) - len(text.lstrip()), len(text.rstrip())
    parts, done = [], first
    for start, end in sorted((int(span[0]), int(span[1])) for span in spans):
        parts.append(_escape(text[done:start]))
        parts.append(f":orange-background[**{_escape(text[start:end])}**]")
        done = end
    parts.append(_escape(text[done : max(done, end_of_text)]))
    return "".join(parts)


def _escape(text: str) -> str:
    safe = _SIGNS.sub(r"\\\1", _SHORTCODE.sub(":\u2060", text))
    return safe.replace("\r\n", "\n").replace("\n", "\\\n")
