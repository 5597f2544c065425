"""What lines are that seem to be texts and are another format: JSON, subtitles, mail, YAML, a part of a web page."""

import json
import re
from collections.abc import Sequence

_SUBTITLES = re.compile(r"\d+\s*\n\s*\d+:\d\d:\d\d[,.]\d+ *-->")
_MAIL = re.compile(
    r"(?:from|to|cc|subject|date|message-id|mime-version|received|return-path|content-[a-z-]+|x-[a-z-]+): ",
    re.IGNORECASE,
)
_TAG = re.compile(r"<(p|div|body|head|table|ul|ol|span|h[1-6]|article|section|main|blockquote|pre)\b[^<>]*>")
_BY_NAME = {
    ".yaml": "YAML", ".yml": "YAML", ".eml": "an e-mail", ".mbox": "e-mails", ".srt": "subtitles", ".ass": "subtitles",
    ".htm": "a web page (HTML)", ".html": "a web page (HTML)", ".rtf": "a rich text file",
}  # fmt: skip


def other_form(sample: Sequence[str], suffix: str) -> str | None:
    """What the first lines of a file are, or its name says, where its lines are no texts; None where they may be."""
    text = "".join(sample).strip()
    if not text:
        return None
    if found := json_form(sample) or _BY_NAME.get(suffix):
        return found
    if _SUBTITLES.match(text):
        return "subtitles"
    if sum(map(bool, map(_MAIL.match, text.split("\n")[:10]))) >= 3:
        return "an e-mail"
    tag = _TAG.match(text)
    return "a part of a web page (HTML)" if tag and f"</{tag[1]}>" in text else None


def json_form(sample: Sequence[str]) -> str | None:
    """What tells that a text is JSON: each line is a list or an object, or the first one opens one over several."""
    lines = [line.strip() for line in sample if line.strip()][:5]
    if len(lines) > 1 and lines[0] in ("{", "[") and re.match(r'"|\{|\[|\d', lines[1]):
        return "JSON"
    try:
        values = [json.loads(line) for line in lines]
    except (ValueError, RecursionError):
        return None
    return "JSON lines" if values and all(isinstance(value, (dict, list)) for value in values) else None


def advice(form: str) -> str:
    """What to do with a file that is named for text and holds this form."""
    if form.startswith("JSON"):
        return f"Name it .{'jsonl' if form == 'JSON lines' else 'json'}"
    if form.startswith("a table"):
        return "Name it .csv, or name its delimiter"
    return "Export its text, one text a line, and give that"
