"""Letters that reach a text in the writing of another format: C and JSON escapes, HTML entities, URLs, tags, mojibake.

A review of a CSV file reads 'Great.\\nchairs' with a backslash and an n, a web page K&uuml;che, a link wooden%20chair,
and a text that was decoded twice chairâ€™s. `plain` writes what was meant, each piece in as many characters as it took,
so that all places stay: a letter is followed by `PADDING`, white space is repeated, a tag is white space. It
is a second reading of the text beside the first, in which '\\newton' is still a word that begins with n.
"""

from html import unescape
from urllib.parse import unquote

import regex

PADDING = "\u00ad"
"""Stands, unseen, for the rest of an escape whose first character became the letter that was meant."""

_SEPARATES = "\u200b"
_SINGLE_BYTES = "".join(bytes([byte]).decode("cp1252", "replace") for byte in range(0x80, 0xC0)).replace("\ufffd", "")
_TAIL = "[\x80-\xbf" + regex.escape(_SINGLE_BYTES) + "]"
_HEX = "[0-9A-Fa-f]"
_ESCAPE = regex.compile(
    rf"(?P<code>\\{{1,4}}(?:[ntrfv]|u{_HEX}{{4}}|x{_HEX}{{2}}))"
    rf"|(?P<entity>&(?:amp;)?(?:\#\d{{1,7}}|\#[xX]{_HEX}{{1,6}}|[A-Za-z][A-Za-z0-9]{{1,30}});)"
    rf"|(?P<url>%[0-7]{_HEX}|%[C-Dc-d]{_HEX}%{_HEX}{{2}}|%[Ee]{_HEX}(?:%{_HEX}{{2}}){{2}}|%[Ff]{_HEX}(?:%{_HEX}{{2}}){{3}})"
    rf"|(?P<mojibake>[\xc2-\xdf]{_TAIL}|[\xe0-\xef]{_TAIL}{{2}}|[\xf0-\xf4]{_TAIL}{{3}})"
    rf"|(?P<tag></?[A-Za-z][^<>]{{0,80}}+>)|{PADDING}"
)  # fmt: skip


def plain(text: str) -> str | None:
    """`text` with every escape as what it stands for, of the same length; None where it has none.

    A soft hyphen of the text becomes an invisible separator, so that every `PADDING` of the result was put here.
    """
    # Every escape begins with one of these or with a letter that is not ASCII.
    if text.isascii() and not ("\\" in text or "&" in text or "%" in text or "<" in text):
        return None
    meant, count = _ESCAPE.subn(_meant, text)
    return meant if count and meant != text else None


def place(meant: str, start: int, end: int) -> tuple[int, int]:
    """Where a match of `plain` text stands in the text as written: escapes whole, none that only stands before it."""
    while start < end and meant[start] == PADDING:
        start += 1
    while end < len(meant) and meant[end] == PADDING:
        end += 1
    return start, end


def _meant(match: regex.Match[str]) -> str:
    written = match.group()
    letters = _letters(match.lastgroup, written)
    if match["tag"] or letters.isspace() or (len(letters) == 1 and "\ud800" <= letters <= "\udfff"):
        return " " * len(written)
    return letters + PADDING * (len(written) - len(letters)) if len(letters) <= len(written) else written


def _letters(kind: str | None, written: str) -> str:
    if kind == "code":
        code = written.lstrip("\\")
        return chr(int(code[1:], 16)) if len(code) > 1 else " "
    if kind == "entity":
        return unescape("&" + written.removeprefix("&").removeprefix("amp;"))
    if kind == "url":
        found = unquote(written, errors="replace")
        return written if "\ufffd" in found else found
    if kind == "mojibake":
        try:
            return b"".join(_byte(letter) for letter in written).decode()
        except UnicodeDecodeError:
            return written
    return written if kind == "tag" else _SEPARATES


def _byte(letter: str) -> bytes:
    try:
        return letter.encode("cp1252")
    except UnicodeEncodeError:
        return letter.encode("latin-1")
