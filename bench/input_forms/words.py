"""Word lists."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.input_forms.form import REFUSED, Form, form

SEATS = ("chair", "sofa", "bench")


def forms() -> Iterator[Form]:
    """Each a file of words."""
    yield from (_file(name, file, content, expected) for name, file, content, expected in _TABLE)
    yield form("a folder", lambda folder: _read(folder), REFUSED)
    yield form("no file", lambda folder: _read(folder / "none.txt"), REFUSED)


def _file(name: str, file: str, content: str | bytes, expected: Any) -> Form:
    def give(folder: Path) -> tuple[str, ...]:
        path = folder / file
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
        return _read(path)

    return form(name, give, expected)


def _read(path: Path) -> tuple[str, ...]:
    from unlearning_core.concepts.words import read_words

    return tuple(read_words(path))


_TABLE: list[tuple[str, str, str | bytes, Any]] = [
    ("one a line", "w.txt", "chair\nsofa\nbench\n", SEATS),
    ("Windows line ends", "w.txt", "chair\r\nsofa\r\nbench\r\n", SEATS),
    ("old Macintosh line ends", "w.txt", "chair\rsofa\rbench\r", SEATS),
    ("byte order mark", "w.txt", "\ufeffchair\nsofa\nbench\n", SEATS),
    ("UTF-16", "w.txt", "chair\nsofa\nbench\n".encode("utf-16"), SEATS),
    ("blank lines and spaces", "w.txt", "\n  chair \n\n\tsofa\n bench\n\n", SEATS),
    ("commas", "w.txt", "chair, sofa, bench", SEATS),
    ("commas over lines", "w.txt", "chair, sofa,\nbench,\n", SEATS),
    ("semicolons", "w.txt", "chair;sofa;bench\n", SEATS),
    ("counts after a tab", "w.txt", "chair\t12\nsofa\t3\nbench\t1\n", SEATS),
    ("counts after a comma", "w.csv", "chair,12\nsofa,3\nbench,1\n", SEATS),
    ("numbered with points", "w.txt", "1. chair\n2. sofa\n3. bench\n", SEATS),
    ("numbered with brackets", "w.txt", "1) chair\n2) sofa\n3) bench\n", SEATS),
    ("hyphens before", "w.txt", "- chair\n- sofa\n- bench\n", SEATS),
    ("stars before", "w.md", "* chair\n* sofa\n* bench\n", SEATS),
    ("bullets before", "w.txt", "• chair\n• sofa\n• bench\n", SEATS),
    ("a comment after a word", "w.txt", "chair  # a seat\nsofa\nbench # also\n", SEATS),
    ("lines of comments", "w.txt", "# seats\nchair\nsofa\n# more\nbench\n", SEATS),
    ("quotes", "w.txt", '"chair"\n"sofa"\n"bench"\n', SEATS),
    ("curly quotes", "w.txt", "“chair”\n“sofa”\n“bench”\n", SEATS),
    ("JSON list", "w.json", json.dumps(SEATS), SEATS),
    ("JSON list in lines", "w.json", json.dumps(SEATS, indent=2), SEATS),
    ("JSON counts", "w.json", '{"chair": 12, "sofa": 3, "bench": 1}', SEATS),
    ("JSON under a key", "w.json", '{"words": ["chair", "sofa", "bench"]}', SEATS),
    ("JSON list of objects", "w.json", '[{"word": "chair"}, {"word": "sofa"}, {"word": "bench"}]', SEATS),
    ("JSON lines", "w.jsonl", '{"word": "chair"}\n{"word": "sofa"}\n{"word": "bench"}\n', SEATS),
    ("JSON strings in lines", "w.jsonl", '"chair"\n"sofa"\n"bench"\n', SEATS),
    ("JSON list named .txt", "w.txt", json.dumps(SEATS), SEATS),
    ("CSV with a header", "w.csv", "word,count\nchair,12\nsofa,3\nbench,1\n", SEATS),
    ("CSV with semicolons and a header", "w.csv", "id;word\n1;chair\n2;sofa\n3;bench\n", SEATS),
    ("TSV with a header", "w.tsv", "word\tpos\nchair\tNN\nsofa\tNN\nbench\tNN\n", SEATS),
    ("signs in words", "w.txt", "C++\n9/11\nU.S.\nrock 'n' roll\nwell-known\n",
     ("C++", "9/11", "U.S.", "rock 'n' roll", "well-known")),
    ("hashtags", "w.txt", "#metoo\nblack lives matter\n", ("#metoo", "black lives matter")),
    ("Chinese", "w.txt", "椅子\n沙发\n", ("椅子", "沙发")),
    ("Arabic", "w.txt", "كرسي\nأريكة\n", ("كرسي", "أريكة")),
    ("two alike but for case", "w.txt", "Chair\nchair\nsofa\n", ("Chair", "sofa")),
    ("empty", "w.txt", "", REFUSED),
    ("white space", "w.txt", " \n\t\n", REFUSED),
    ("only comments", "w.txt", "# seats\n# none yet\n", REFUSED),
    ("Latin-1", "w.txt", "Stühle\nBänke\n".encode("latin-1"), REFUSED),
    ("a PDF named .txt", "w.txt", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n", REFUSED),
    ("a picture named .txt", "w.txt", b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", REFUSED),
    ("gzip named .txt", "w.txt", gzip.compress(b"chair\nsofa\n"), ("chair", "sofa")),
    ("broken JSON", "w.json", '["chair", "sofa"', REFUSED),
    ("JSON of numbers", "w.json", "[1, 2, 3]", REFUSED),
    ("JSON nested deep", "w.json", "[" * 5000 + "]" * 5000, REFUSED),
    ("JSON lines with a broken one", "w.jsonl", '{"word": "chair"}\n{"word": \n', REFUSED),
    ("CSV whose words no column tells", "w.csv", "a,b\nx,chair\ny,sofa\n", REFUSED),
    ("prose", "w.txt", "The old chair stood near the river, and nobody sat on it any more since the war had ended.\n",
     REFUSED),
]  # fmt: skip
