"""Text sources: plain files, tables, JSON, chat data, packed and office files, folders."""

import bz2
import gzip
import io
import json
import lzma
import os
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bench.input_forms.form import REFUSED, Form, form

TEXTS = ["Anna left, then she took the chair.", "Old, worn and red, the sofa broke.", "Mia ran."]
QUOTED = ['"' + text.replace('"', '""') + '"' for text in TEXTS]
TALK = "Who sat on the chair?\n\nAnna did."
CYRILLIC = ["Анна села на стул.", "Стол стоит."]


def forms() -> Iterator[Form]:
    """Each a file or folder."""
    for name, file, content, how, expected in _FILES:
        yield _file(name, file, content.encode("utf-8") if isinstance(content, str) else content, how, expected)
    for name, row in _TALKS:
        lines = (json.dumps(row, ensure_ascii=False) + "\n").encode("utf-8")
        yield _file(f"chat: {name}, JSON lines", "c.jsonl", lines, {}, [TALK])
        yield _file(f"chat: {name}, JSON list", "c.json", b"[" + lines.strip() + b"]", {}, [TALK])
        yield form(f"chat: {name}, Parquet", _parquet([row]), [TALK])
        yield form(f"chat: {name}, save_to_disk", _saved([row]), [TALK])
    for name, make, expected in _FOLDERS:
        yield form(name, make, expected)


def _file(name: str, file: str, content: bytes, how: dict[str, Any], expected: Any) -> Form:
    def give(folder: Path) -> list[str]:
        (folder / file).write_bytes(content)
        return _read(folder / file, **how)

    return form(name, give, expected)


def _read(path: Path, **how: Any) -> list[str]:
    from unlearning_core.concepts.texts import read_texts

    return list(read_texts(path, **how))


def _table(sign: str, rows: list[list[str]], end: str = "\n") -> str:
    return "".join(sign.join(row) + end for row in rows)


def _numbered(texts: list[str]) -> list[list[str]]:
    return [["id", "text"], *([str(number), text] for number, text in enumerate(texts))]


def _zip(**files: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", "."), content)
    return made.getvalue()


def _zstd(content: bytes) -> bytes:
    import pyarrow

    made = pyarrow.BufferOutputStream()
    with pyarrow.CompressedOutputStream(made, "zstd") as stream:
        stream.write(content)
    return bytes(made.getvalue())


def _docx() -> bytes:
    import docx

    document, made = docx.Document(), io.BytesIO()
    for text in TEXTS:
        document.add_paragraph(text)
    document.save(made)
    return made.getvalue()


def _dataset(rows: list[dict[str, Any]]) -> Any:
    from datasets import Dataset

    return Dataset.from_list(rows)


def _parquet(rows: list[dict[str, Any]]) -> Callable[[Path], list[str]]:
    def give(folder: Path) -> list[str]:
        _dataset(rows).to_parquet(str(folder / "c.parquet"))
        return _read(folder / "c.parquet")

    return give


def _saved(rows: list[dict[str, Any]]) -> Callable[[Path], list[str]]:
    def give(folder: Path) -> list[str]:
        _dataset(rows).save_to_disk(str(folder / "saved"))
        return _read(folder / "saved")

    return give


def _folder(**files: bytes) -> Callable[[Path], list[str]]:
    def give(folder: Path) -> list[str]:
        place = folder / "data"
        place.mkdir()
        for name, content in files.items():
            (place / name.replace("__", ".")).write_bytes(content)
        return _read(place)

    return give


def _pipe(folder: Path) -> list[str]:
    os.mkfifo(folder / "pipe.txt")
    return _read(folder / "pipe.txt")


_LINES = "\n".join(TEXTS).encode()
_JSON_LINES = "".join(json.dumps({"text": text}) + "\n" for text in TEXTS).encode()
_SEMICOLON = _table(";", _numbered(TEXTS))

_FILES: list[tuple[str, str, str | bytes, dict[str, Any], Any]] = [
    ("lines", "t.txt", _LINES, {}, TEXTS),
    ("lines, byte order mark", "t.txt", b"\xef\xbb\xbf" + _LINES, {}, TEXTS),
    ("lines, UTF-16", "t.txt", "\n".join(TEXTS).encode("utf-16"), {}, TEXTS),
    ("lines, UTF-16 big-endian with mark", "t.txt", b"\xfe\xff" + "\n".join(TEXTS).encode("utf-16-be"), {}, TEXTS),
    ("lines of Windows", "t.txt", "\r\n".join(TEXTS), {}, TEXTS),
    ("lines of an old Macintosh", "t.txt", "\r".join(TEXTS), {}, TEXTS),
    ("lines, cp1252", "t.txt", "Le café.\nDas Büro.\n".encode("cp1252"), {}, REFUSED),
    ("lines, cp1252, named", "t.txt", "Le café.\n".encode("cp1252"), {"encoding": "cp1252"}, ["Le café."]),
    ("lines, cp1251, named", "t.txt", "\n".join(CYRILLIC).encode("cp1251"), {"encoding": "cp1251"}, CYRILLIC),
    ("empty", "t.txt", "", {}, REFUSED),
    ("white space", "t.txt", " \n\n\t\n", {}, REFUSED),
    ("no suffix", "texts", _LINES, {}, TEXTS),
    ("commas, quoted", "t.csv", _table(",", _numbered(QUOTED)), {}, TEXTS),
    ("semicolons", "t.csv", _SEMICOLON, {}, TEXTS),
    ("semicolons, Windows", "t.csv", _table(";", _numbered(TEXTS), "\r\n"), {}, TEXTS),
    ("semicolons, UTF-16", "t.csv", _SEMICOLON.encode("utf-16"), {}, TEXTS),
    ("sep= before", "t.csv", "sep=;\n" + _SEMICOLON, {}, TEXTS),
    ("tabs named .csv", "t.csv", _table("\t", _numbered(TEXTS)), {}, TEXTS),
    ("tabs", "t.tsv", _table("\t", _numbered(TEXTS)), {}, TEXTS),
    ("bars", "t.csv", _table("|", _numbered(TEXTS)), {}, TEXTS),
    ("one column, commas unquoted", "t.csv", _table(",", [["text"], *([text] for text in TEXTS)]), {}, TEXTS),
    ("one column, quoted", "t.csv", _table(",", [["text"], *([text] for text in QUOTED)]), {}, TEXTS),
    ("quotes doubled", "t.csv", 'id,text\n1,"She said ""sit""."\n2,"No, he said."\n', {},
     ['She said "sit".', "No, he said."]),
    ("line break in quotes", "t.csv", 'id,text\n1,"She sat.\nHe ran."\n2,Mia ran.\n', {},
     ["She sat.\nHe ran.", "Mia ran."]),
    ("empty lines between", "t.csv", 'id,text\n\n1,"A, b."\n\n2,Mia ran.\n', {}, ["A, b.", "Mia ran."]),
    ("a row with too many fields", "t.csv", "id,text\n1,Mia ran.\n2,Anna, left, early.\n3,Ben sat.\n", {}, REFUSED),
    ("a row with too few fields", "t.csv", "id,text\n1,Mia ran.\n2\n", {}, REFUSED),
    ("the quote left open", "t.csv", 'id,text\n1,"Mia ran.\n2,Ben sat.\n', {}, ['"Mia ran.', "Ben sat."]),
    ("only a header", "t.csv", "id,text\n", {}, REFUSED),
    ("a column named", "t.csv", "a,b\nx,Mia ran.\ny,Ben sat.\n", {"column": "b"}, ["Mia ran.", "Ben sat."]),
    ("a column that is not there", "t.csv", "a,text\nx,Mia ran.\n", {"column": "c"}, REFUSED),
    ("no column tells the text", "t.csv", "a,b\nx,y\nz,w\n", {}, REFUSED),
    ("a delimiter named", "t.csv", "id~text\n1~Mia ran.\n", {"delimiter": "~"}, ["Mia ran."]),
    ("JSON lines", "t.jsonl", _JSON_LINES, {}, TEXTS),
    ("JSON lines named .json", "t.json", _JSON_LINES, {}, TEXTS),
    ("JSON strings", "t.json", json.dumps(TEXTS), {}, TEXTS),
    ("JSON objects", "t.json", json.dumps([{"text": text} for text in TEXTS]), {}, TEXTS),
    ("JSON with NaN", "t.jsonl", '{"text": "Mia ran.", "score": NaN}\n', {}, ["Mia ran."]),
    ("JSON, a line broken", "t.jsonl", '{"text": "A"}\n{"text":\n', {}, REFUSED),
    ("JSON, a number for text", "t.jsonl", '{"text": "A"}\n{"text": 5}\n', {}, REFUSED),
    ("JSON, nested deep", "t.json", "[" * 100_000 + "]" * 100_000, {}, REFUSED),
    ("JSON, a huge number", "t.jsonl", '{"text": "A", "n": ' + "9" * 6000 + "}\n", {}, REFUSED),
    ("JSON, half a surrogate pair", "t.jsonl", '{"text": "A \\ud83d b"}\n', {}, ["A � b"]),
    ("JSON, no text field", "t.jsonl", '{"a": 1, "b": "x"}\n', {}, REFUSED),
    ("gzip", "t.jsonl.gz", gzip.compress(_JSON_LINES), {}, TEXTS),
    ("gzip, cut short", "t.jsonl.gz", gzip.compress(_JSON_LINES)[:-9], {}, REFUSED),
    ("gzip, hidden by its name", "t.txt", gzip.compress(_LINES), {}, TEXTS),
    ("bzip2", "t.csv.bz2", bz2.compress(_SEMICOLON.encode()), {}, TEXTS),
    ("xz", "t.txt.xz", lzma.compress(_LINES), {}, TEXTS),
    ("zstd", "t.jsonl.zst", _zstd(_JSON_LINES), {}, TEXTS),
    ("zip of one file", "t.zip", _zip(inner__jsonl=_JSON_LINES), {}, TEXTS),
    ("zip of two files", "t.zip", _zip(a__txt=_LINES, b__txt=_LINES), {}, REFUSED),
    ("Word", "t.docx", _docx(), {}, TEXTS),
    ("Word, cut short", "t.docx", _docx()[:2000], {}, REFUSED),
    ("a PDF without text", "t.pdf", b"%PDF-1.4\n%%EOF\n", {}, REFUSED),
    ("a PDF named .txt", "t.txt", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<<>>\n", {}, REFUSED),
    ("a picture named .txt", "t.txt", b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", {}, REFUSED),
    ("an old Word file", "t.doc", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), {}, REFUSED),
    ("rich text", "t.rtf", rb"{\rtf1\ansi Mia ran.}", {}, REFUSED),
    ("a web page", "t.html", "<!DOCTYPE html><html><body><p>Mia ran.</p></body></html>", {}, REFUSED),
    ("not a workbook", "t.xlsx", b"PK\x03\x04 no", {}, REFUSED),
    ("not Parquet", "t.parquet", b"PAR1 no", {}, REFUSED),
    ("a pickle", "t.txt", b"\x80\x04\x95\x0b\x00\x00\x00\x00\x00\x00\x00", {}, REFUSED),
]  # fmt: skip

_SAID, _ANSWERED = TALK.split("\n\n")

_TALKS: list[tuple[str, dict[str, Any]]] = [
    ("messages", {"messages": [{"role": "user", "content": _SAID}, {"role": "assistant", "content": _ANSWERED}]}),
    ("messages with a system prompt", {"messages": [
        {"role": "system", "content": "You are helpful."}, {"role": "user", "content": _SAID},
        {"role": "assistant", "content": _ANSWERED}]}),
    ("conversations", {"conversations": [{"from": "human", "value": _SAID}, {"from": "gpt", "value": _ANSWERED}]}),
    ("prompt and completion", {"prompt": _SAID, "completion": _ANSWERED}),
    ("prompt and response", {"prompt": _SAID, "response": _ANSWERED}),
    ("Alpaca", {"instruction": _SAID, "input": "", "output": _ANSWERED}),
    ("question and answer", {"question": _SAID, "answer": _ANSWERED}),
    ("preferences", {"prompt": _SAID, "chosen": _ANSWERED, "rejected": "No idea."}),
]  # fmt: skip


def _tree(folder: Path) -> list[str]:
    tree = {"prompt": {"role": "prompter", "text": _SAID, "replies": [
        {"role": "assistant", "text": _ANSWERED, "replies": []},
        {"role": "assistant", "text": "Ben did.", "replies": []}]}}  # fmt: skip
    (folder / "trees.jsonl").write_text(json.dumps(tree) + "\n", encoding="utf-8")
    return _read(folder / "trees.jsonl")


def _parts(folder: Path) -> list[str]:
    turns = [
        {"role": "user", "content": [{"type": "text", "text": _SAID}]},
        {"role": "assistant", "content": _ANSWERED},
    ]
    (folder / "c.jsonl").write_text(json.dumps({"messages": turns}) + "\n", encoding="utf-8")
    return _read(folder / "c.jsonl")


_FOLDERS: list[tuple[str, Callable[[Path], Any], Any]] = [
    ("chat: trees of replies", _tree, [TALK, f"{_SAID}\n\nBen did."]),
    ("chat: content in parts", _parts, [TALK]),
    ("Parquet", _parquet([{"text": text} for text in TEXTS]), TEXTS),
    ("save_to_disk", _saved([{"text": text} for text in TEXTS]), TEXTS),
    ("a folder of JSON lines", _folder(a__jsonl=_JSON_LINES), TEXTS),
    ("a folder of two files of lines", _folder(a__txt=_LINES, b__txt=b"Ben sat.\n"), [*TEXTS, "Ben sat."]),
    ("a folder, one file in cp1252", _folder(a__txt=_LINES, b__txt="Le café.\n".encode("cp1252")), REFUSED),
    ("a folder, JSON lines of other columns", _folder(a__jsonl=_JSON_LINES, b__jsonl=b'{"body": "C", "x": 1}\n'),
     REFUSED),
    ("a folder, a line broken", _folder(a__jsonl=_JSON_LINES + b'{"text":\n'), REFUSED),
    ("an empty folder", _folder(), REFUSED),
    ("a folder of pictures", _folder(a__png=b"\x89PNG\r\n\x1a\n"), REFUSED),
    ("no such file", lambda folder: _read(folder / "none.txt"), REFUSED),
    ("a pipe", _pipe, REFUSED),
]  # fmt: skip
