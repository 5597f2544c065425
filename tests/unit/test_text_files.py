"""Files of every kind that people give as text: packed, from an office, of columns, damaged, or no files at all."""

import bz2
import gzip
import io
import json
import lzma
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.feather
import pytest
from datasets import Dataset

from unlearning_core.concepts import file_content
from unlearning_core.concepts.texts import read_texts
from unlearning_core.errors import InputError

TEXTS = ["He sat down.", "A chair, a table.", "Zwölf Stühle."]
LINES = "\n".join(TEXTS).encode()
JSON_LINES = "".join(json.dumps({"text": text}) + "\n" for text in TEXTS).encode()
TABLE = b"id;text\n" + b"".join(f"{n};{text}\n".encode() for n, text in enumerate(TEXTS))


def read(path: Path, **how: object) -> list[str]:
    return list(read_texts(path, **how))  # type: ignore[arg-type]


def zipped(content: bytes, name: str = "inner.txt", others: tuple[str, ...] = ()) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
        for other in others:
            archive.writestr(other, b"...")
    return made.getvalue()


def zstd(content: bytes) -> bytes:
    made = pyarrow.BufferOutputStream()
    with pyarrow.CompressedOutputStream(made, "zstd") as stream:
        stream.write(content)
    return bytes(made.getvalue())


PACKERS = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress, ".zst": zstd}


@pytest.mark.parametrize("ending", PACKERS)
@pytest.mark.parametrize(("suffix", "content"), [(".txt", LINES), (".jsonl", JSON_LINES), (".csv", TABLE), ("", LINES)])
def test_packed_text_is_read(tmp_path: Path, ending: str, suffix: str, content: bytes) -> None:
    path = tmp_path / f"texts{suffix}{ending}"
    path.write_bytes(PACKERS[ending](content))
    assert read(path) == TEXTS
    # Its name may hide that it is packed.
    path.rename(tmp_path / f"hidden{suffix}")
    assert read(tmp_path / f"hidden{suffix}") == TEXTS
    for length in (12, len(PACKERS[ending](content)) - 3):
        path.write_bytes(PACKERS[ending](content)[:length])
        with pytest.raises(InputError, match=rf"texts{suffix}\{ending} .*(cannot be unpacked|could not be read)"):
            read(path)


def test_a_zip_of_one_file_is_read_and_of_several_is_asked_about(tmp_path: Path) -> None:
    path = tmp_path / "texts.zip"
    path.write_bytes(zipped(JSON_LINES, "deep/inner.jsonl", ("__MACOSX/deep/._inner.jsonl",)))
    assert read(path) == TEXTS
    path.write_bytes(zipped(JSON_LINES, "inner.jsonl", ("README.md", "LICENSE")))
    assert read(path) == TEXTS
    path.write_bytes(zipped(LINES, "a.txt", ("b.txt",)))
    with pytest.raises(InputError, match=r"a zip of 2 files \(a.txt, b.txt\)"):
        read(path)
    path.write_bytes(zipped(LINES)[:60])
    with pytest.raises(InputError, match="cannot be unpacked"):
        read(path)


@pytest.mark.parametrize("name", ["texts.arrow", "texts.feather", "texts.txt"])
@pytest.mark.parametrize("compression", ["lz4", "uncompressed"])
def test_arrow_and_feather_files(tmp_path: Path, name: str, compression: str) -> None:
    table = pyarrow.table({"id": [1, 2, 3], "text": TEXTS})
    pyarrow.feather.write_feather(table, str(tmp_path / name), compression=compression)
    assert read(tmp_path / name) == TEXTS


def test_an_arrow_stream_as_datasets_writes_it(tmp_path: Path) -> None:
    table = pyarrow.table({"text": TEXTS})
    with pyarrow.ipc.new_stream(str(tmp_path / "data.arrow"), table.schema) as writer:
        writer.write_table(table)
    assert read(tmp_path / "data.arrow") == TEXTS


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "an old Office file"),
        ("a.doc", b"{\\rtf1 Chair}", "a rich text file"),
        ("a.odt", zipped(b"<x/>", "content.xml", ("META-INF/manifest.xml",)), "a zip of 2 files"),
        (
            "a.odt",
            zipped(b"application/vnd.oasis.opendocument.text", "mimetype", ("content.xml",)),
            "OpenDocument text",
        ),
        ("a.epub", zipped(b"application/epub+zip", "mimetype", ("a.xhtml",)), "an e-book"),
        ("a.txt", b"\n<!doctype html>\n<p>A chair.</p>", "a web page"),
        ("a.txt", b"<?xml version='1.0'?><p>A chair.</p>", "an XML file"),
        ("a.csv", b"\x89PNG\r\n\x1a\n" + bytes(50), "a PNG image"),
        ("a.jsonl", b"\x80\x04\x95" + bytes(50), "a pickle"),
        ("a.txt", b"SQLite format 3\0" + bytes(50), "a SQLite database"),
        ("a.txt", b"7z\xbc\xaf\x27\x1c" + bytes(50), "a 7z archive"),
        ("a.parquet", b"PAR1 and no more", "not a Parquet file, or a damaged one"),
        ("a.parquet", b"text", "is not a Parquet file, though its name says so"),
        ("a.xlsx", b"PK\x03\x04broken", "an Excel workbook, or calls itself one, and cannot be unpacked"),
        ("a.docx", b"plain", "is not a Word file, though its name says so"),
        ("a.arrow", b"ARROW1\0\0broken", "not an Arrow file, or a damaged one"),
        ("a.xlsx", zipped(b"<broken", "xl/workbook.xml"), r"a\.xlsx is an Excel workbook that cannot be read"),
        ("a.docx", zipped(b"<broken", "word/document.xml"), r"a\.docx is a Word document that cannot be read"),
        ("a.jsonl", b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 9\n", "a pointer of Git LFS"),
        ("a.txt.lz4", b"\x04\x22\x4d\x18" + bytes(50), "packed by LZ4"),
        ("a.avro", b"Obj\x01" + bytes(50), "an Avro file"),
        ("a.orc", b"ORC\x11" + bytes(50), "an ORC file"),
        ("a.br", b"packed", r"called a \.br file"),
        ("a.txt.gz", gzip.compress(gzip.compress(b"text", mtime=0), mtime=0), "another compressed file in it"),
        ("a.txt", b"One.\nTwo\0three.\n" + bytes(range(1, 9)) * 50, "is not text: byte 8 is NUL"),
        ("a.txt", b"A line.\n" * 20_000 + b"Two\0three.", "line 20001: holds a NUL"),
        ("a.txt", b"A line.\n" * 50_000 + b"Caf\xe9", "byte 0xe9 at offset 400003, line 50001"),
        ("a.txt", b"\xef\xbb\xbfCaf\xe9", "byte 0xe9 at offset 6, line 1"),
        ("a.txt", b"One\r\nTwo\r\nCaf\xe9\r\n", "byte 0xe9 at offset 13, line 3"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        read(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json", '[{"text": NaN}]', "item 1: the text is a JSON number"),
        ("a.json", '[{"text": "a", "text": "b"}]', "the field 'text' stands twice"),
        ("a.jsonl", '{"text": "a"}\n{"text": "b", "n": 1, "n": 2}', "line 2: the field 'n' stands twice"),
        ("a.json", "[" * 200_000, "nested too deep"),
        ("a.jsonl", '{"text": "a"}\n' + '{"a":' * 100_000, "line 2: JSON nested too deep"),
        ("a.json", f'["a", {"9" * 5000}]', "Exceeds the limit"),
        ("a.jsonl", '{"text": "a"}\n{"text": 5}', "line 2: the text is a JSON number"),
        ("a.jsonl", '{"text": "a"}\n{"text":\n', "line 2, column 9"),
        ("a.jsonl", '{"text": "a"}\n{"body": "b"}', "line 2 has no 'text'"),
        ("a.jsonl", '{"text": {"a": 1}}', "has no content"),
        ("a.json", '{"columns": ["text"], "data": [["a"], ["b", "c"]]}', "rows in data are not as long as columns"),
        ("a.json", '{"text": {"0": "a", "1": "b"}, "id": {"0": 1}}', "its columns do not have the same rows"),
        ("a.json", '{"a": [1], "b": [2]}', "holds a JSON object; expected a list"),
        ("a.json", "", "line 1"),
    ],
)
def test_json_that_is_not_as_it_seems(tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=message):
        read(tmp_path / name)


@pytest.mark.parametrize("key", ["data", "texts", "rows", "text"])
def test_a_list_inside_of_an_object(tmp_path: Path, key: str) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"version": 1, key: [{"text": text} for text in TEXTS]}))
    assert read(tmp_path / "a.json") == TEXTS
    (tmp_path / "a.json").write_text(json.dumps({key: TEXTS}))
    assert read(tmp_path / "a.json") == TEXTS


def fifo(path: Path) -> None:
    os.mkfifo(path)


def broken_link(path: Path) -> None:
    path.symlink_to(path.with_name("gone"))


def circle(path: Path) -> None:
    path.symlink_to(path)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def empty(path: Path) -> None:
    path.touch()


@pytest.mark.parametrize(
    ("make", "message"),
    [(fifo, "is a pipe or a device"), (device, "is a pipe or a device"), (broken_link, "a link to .*gone, which does"),
     (circle, "cannot be opened"), (empty, "holds no text")],
)  # fmt: skip
@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a.csv"])
def test_what_is_no_file_of_text_is_refused_at_once(
    tmp_path: Path, name: str, make: Callable[[Path], None], message: str
) -> None:
    make(tmp_path / name)
    with pytest.raises(InputError, match=message):
        read(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.srt", "1\n00:00:01,000 --> 00:00:02,000\nA chair.\n", "looks like subtitles"),
        ("a.txt", "1\n00:00:01.000 --> 00:00:02.000\nA chair.\n", "looks like subtitles"),
        ("a.vtt", "WEBVTT\n\n00:01.000 --> 00:02.000\nA chair.\n", "subtitles .WebVTT."),
        ("a.yaml", "- text: A chair.\n", "looks like YAML"),
        ("a.txt", "From: a@b.c\nTo: b@c.d\nSubject: A chair\n\nHello.\n", "looks like an e-mail"),
        ("a.txt", "<div class='x'>\n<p>A chair.</p>\n</div>\n", "looks like a part of a web page"),
    ],
)
def test_lines_of_another_format_are_named(tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=message):
        read(tmp_path / name)
    if "looks like" in message:
        assert read(tmp_path / name, delimiter="none")[0] == content.split("\n")[0]


@pytest.mark.parametrize(
    "content",
    ["From: the start, it was odd.\nHe sat.", "<3 chairs\n<p is no tag", "1\n2\nA chair", "- a chair\n- a table"],
)
def test_lines_that_only_begin_alike_are_text(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.txt").write_text(content)
    assert read(tmp_path / "a.txt") == [line.strip() for line in content.split("\n")]


CHAT = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "A chair."}]


@pytest.mark.parametrize(
    ("name", "value", "texts"),
    [
        ("a.jsonl", TEXTS, TEXTS),
        ("a.jsonl", [{"text": text} for text in TEXTS], TEXTS),
        ("a.jsonl", CHAT, ["Hi\n\nA chair."]),
        ("a.json", {"messages": CHAT}, ["Hi\n\nA chair."]),
        ("a.json", {"id": 1, "conversations": CHAT, "tools": [1]}, ["Hi\n\nA chair."]),
        ("a.json", [CHAT, CHAT[1:]], ["Hi\n\nA chair.", "A chair."]),
        ("a.json", {"id": {"0": 1, "1": 2, "2": 3}, "text": dict(enumerate(TEXTS))}, TEXTS),
        ("a.json", {str(number): {"id": number, "text": text} for number, text in enumerate(TEXTS)}, TEXTS),
        ("a.json", {"columns": ["id", "text"], "index": [0, 1], "data": [[1, "a"], [2, "b"]]}, ["a", "b"]),
    ],
)
def test_json_in_the_forms_that_people_bring(tmp_path: Path, name: str, value: Any, texts: list[str]) -> None:
    (tmp_path / name).write_text(json.dumps(value))
    assert read(tmp_path / name) == texts
    (tmp_path / name).write_text(json.dumps(value, indent=1))
    if name == "a.json" or "role" not in str(value):
        assert read(tmp_path / name) == texts


def test_a_list_of_texts_in_the_column_data_is_a_conversation(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"id": "0", "data": ["Hi", "A chair."]}\n' * 2)
    assert read(tmp_path / "a.jsonl", column="data") == ["Hi\n\nA chair."] * 2


def test_a_link_to_a_file_and_a_hidden_file_are_read(tmp_path: Path) -> None:
    (tmp_path / ".hidden.txt").write_bytes(LINES)
    (tmp_path / "link.txt").symlink_to(tmp_path / ".hidden.txt")
    assert read(tmp_path / "link.txt") == TEXTS == read(tmp_path / ".hidden.txt")


def test_a_line_without_end_is_refused_before_it_fills_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_content, "LONGEST_LINE", 300_000)
    (tmp_path / "a.txt").write_bytes(b"word " * 59_000 + b"\n" + b"word " * 5_000_000)
    with pytest.raises(InputError, match="line 2: longer than 300,000 characters"):
        read(tmp_path / "a.txt")


def test_a_split_of_one_file_means_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(LINES)
    assert read(tmp_path / "a.txt", split="train") == TEXTS
    with pytest.raises(InputError, match="one file, which has no split 'test'"):
        read(tmp_path / "a.txt", split="test")


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"a.txt": b"Good.", "b.txt": "Café.".encode("cp1252")}, r"b\.txt is not UTF-8 text: byte 0xe9 .* line 1"),
        ({"a.jsonl": b'{"text": "A"}\n', "b.jsonl": b'{"body": "B"}\n'}, r"b\.jsonl, line 1 has no 'text'"),
        ({"a.jsonl": b'{"text": "A"}\n{"text":\n'}, r"a\.jsonl is not valid JSON: line 2"),
        ({"a.csv": b"id,text\n1,A\n", "b.csv": b"id,text\n1,A, b\n"}, r"b\.csv, line 2: 3 fields"),
        ({"a.csv": b"id,text\n1,A\n", "b.csv": b"id,body\n1,A\n"}, r"b\.csv has no column 'text'"),
        ({"a.txt.gz": gzip.compress(LINES, mtime=0)[:30]}, r"a\.txt\.gz .*cannot be unpacked"),
        ({"README.md": b"About.", ".a.txt": b"Hidden."}, "is a folder but not a dataset"),
    ],
)
def test_an_error_far_into_a_folder_names_the_file(tmp_path: Path, files: dict[str, bytes], message: str) -> None:
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        read(tmp_path)


def test_a_folder_tells_its_splits_and_what_is_not_read(tmp_path: Path) -> None:
    for name in ("train", "test"):
        (tmp_path / f"{name}.jsonl").write_bytes(JSON_LINES)
    (tmp_path / "notes.csv").write_text("a;b\n")
    stream = read_texts(tmp_path)
    assert "split train of train, test, 1 files; NOT read: notes.csv" in stream.peek().sentence()
    assert list(stream) == TEXTS
    assert read(tmp_path, split="test") == TEXTS


def test_a_folder_given_by_a_relative_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data").mkdir()
    for number in range(3):
        (tmp_path / "data" / f"train-0000{number}-of-00003.jsonl").write_bytes(JSON_LINES)
    monkeypatch.chdir(tmp_path)
    stream = read_texts("data")
    assert stream.peek().notes == ["split train, 3 files"]
    assert list(stream) == TEXTS * 3


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (["train-00000-of-00003", "train-00002-of-00003"], "one of 3 parts, counted from 0, of which 1 is missing"),
        (["part-0001-of-0003", "part-0003-of-0003"], "counted from 1, of which 2 is missing"),
        (["a-00001-of-00009-ab", "a-00002-of-00009-cd"], "of which 0, 3, 4, 5, 6 and others are missing"),
        (["a-00000-of-00001", "b-00000-of-00002-x", "b-00001-of-00002-y"], ""),
    ],
)
def test_a_folder_that_lacks_a_part_names_it(tmp_path: Path, parts: list[str], message: str) -> None:
    for part in parts:
        (tmp_path / f"{part}.jsonl").write_bytes(JSON_LINES)
    if message:
        with pytest.raises(InputError, match=message):
            read(tmp_path)
    else:
        assert read(tmp_path) == TEXTS * 3


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.json", b'["A chair."]'), ("a.jsonl", JSON_LINES), ("a.parquet", b""), ("saved", b"")],
)
@pytest.mark.parametrize("how", [{"delimiter": ","}, {"header": False}, {"encoding": "cp1252"}])
def test_what_does_not_apply_is_said(tmp_path: Path, name: str, content: bytes, how: dict[str, Any]) -> None:
    dataset = Dataset.from_dict({"text": TEXTS})
    (tmp_path / name).write_bytes(content) if content else None
    if name == "saved":
        dataset.save_to_disk(str(tmp_path / name))
    elif name == "a.parquet":
        dataset.to_parquet(str(tmp_path / name))
    if "encoding" in how and name.startswith("a.json"):
        assert read(tmp_path / name, **how)
    else:
        with pytest.raises(InputError, match=f"The {next(iter(how))} .* does not apply: the text source is"):
            read(tmp_path / name, **how)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("https://example.org/a.txt", "is an address, and texts are read from files here"),
        ("s3://bucket/a.jsonl", "is an address"),
        ("https://huggingface.co/datasets/owner/name/tree/main", "by its name: owner/name"),
        ("hf://datasets/owner/name", "by its name: owner/name"),
        ("a\0b", "holds a NUL"),
    ],
)
def test_an_address_is_no_dataset_on_the_hub(name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read(name)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["", "  "])
def test_a_source_without_a_name_is_not_the_folder_of_the_process(name: str) -> None:
    with pytest.raises(InputError, match="has no name"):
        read(name)  # type: ignore[arg-type]
