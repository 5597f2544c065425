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

import docx
import pyarrow
import pyarrow.feather
import pytest

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
    path.write_bytes(zipped(LINES, "a.txt", ("b.txt",)))
    with pytest.raises(InputError, match=r"a zip of 2 files \(a.txt, b.txt\)"):
        read(path)
    path.write_bytes(zipped(LINES)[:60])
    with pytest.raises(InputError, match="cannot be unpacked"):
        read(path)


def workbook(sheets: dict[str, list[list[object]]]) -> bytes:
    """A workbook with inline texts and numbers, by the format's own rules (ECMA-376)."""
    made = io.BytesIO()
    head = '<?xml version="1.0" encoding="UTF-8"?>'
    main, rel = "http://schemas.openxmlformats.org/spreadsheetml/2006/main", "http://schemas.openxmlformats.org"
    office = f"{rel}/officeDocument/2006/relationships"
    with zipfile.ZipFile(made, "w") as archive:
        types = "".join(
            f'<Override PartName="/xl/worksheets/sheet{n}.xml" ContentType="application/vnd.openxmlformats-'
            'officedocument.spreadsheetml.worksheet+xml"/>'
            for n, _ in enumerate(sheets, start=1)
        )
        archive.writestr(
            "[Content_Types].xml",
            f'{head}<Types xmlns="{rel}/package/2006/content-types"><Default Extension="rels" ContentType="application/'
            'vnd.openxmlformats-package.relationships+xml"/><Override PartName="/xl/workbook.xml" ContentType='
            f'"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/>{types}</Types>',
        )
        relations = f'{head}<Relationships xmlns="{rel}/package/2006/relationships">'
        archive.writestr(
            "_rels/.rels",
            f'{relations}<Relationship Id="r" Type="{office}/officeDocument" Target="xl/workbook.xml"/>'
            "</Relationships>",
        )
        names = "".join(f'<sheet name="{name}" sheetId="{n}" r:id="r{n}"/>' for n, name in enumerate(sheets, start=1))
        archive.writestr(
            "xl/workbook.xml", f'{head}<workbook xmlns="{main}" xmlns:r="{office}"><sheets>{names}</sheets></workbook>'
        )
        targets = "".join(
            f'<Relationship Id="r{n}" Type="{office}/worksheet" Target="worksheets/sheet{n}.xml"/>'
            for n, _ in enumerate(sheets, start=1)
        )
        archive.writestr("xl/_rels/workbook.xml.rels", f"{relations}{targets}</Relationships>")
        for n, rows in enumerate(sheets.values(), start=1):
            cells = "".join(f"<row>{''.join(map(cell, row))}</row>" for row in rows)
            archive.writestr(
                f"xl/worksheets/sheet{n}.xml",
                f'{head}<worksheet xmlns="{main}"><sheetData>{cells}</sheetData></worksheet>',
            )
    return made.getvalue()


def cell(value: object) -> str:
    return f"<c><v>{value}</v></c>" if isinstance(value, int) else f'<c t="inlineStr"><is><t>{value}</t></is></c>'


def test_a_workbook_is_a_table(tmp_path: Path) -> None:
    rows: list[list[object]] = [["id", "text"], *([n, text] for n, text in enumerate(TEXTS))]
    path = tmp_path / "texts.xlsx"
    path.write_bytes(workbook({"One": rows, "Empty": []}))
    assert read(path) == TEXTS
    assert read(path, split="One", column="id") == ["0", "1", "2"]
    path.write_bytes(workbook({"One": rows[1:]}))
    assert read(path) == TEXTS  # without a header the one column of prose
    path.rename(tmp_path / "called.csv")
    assert read(tmp_path / "called.csv") == TEXTS


@pytest.mark.parametrize(
    ("stray", "message"),
    [
        ('<row r="1048576"><c r="XFD1048576" s="1"><v>1</v></c></row>', "1,048,576 rows and 16,384 .* at XFD1048576;"),
        ('<row r="9"><c r="XFD9"><v>1</v></c></row><row r="999999"><c><v>1</v></c></row>', "at row 999999 and XFD9"),
        ("<row r='100000'>\n<c t='n' r='ZZ100000'><v>1</v></c></row>", "100,000 rows and 702 columns"),
        ('<row r="1048576"><c r="XFD1048576" s="1"/><c r="XFC1048576" s="1"></c></row>', ""),
        (f'<row r="3"><c r="A3" t="inlineStr"><is><t>{"word " * 300_000}</t></is></c></row>', ""),
    ],
)
def test_a_cell_far_from_the_others_is_named_before_it_fills_the_memory(
    tmp_path: Path, stray: str, message: str
) -> None:
    changed = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(workbook({"One": [["text"], [TEXTS[0]]]}))) as old,
        zipfile.ZipFile(changed, "w") as new,
    ):
        for name in old.namelist():
            new.writestr(name, old.read(name).replace(b"</sheetData>", f"{stray}</sheetData>".encode()))
    (tmp_path / "texts.xlsx").write_bytes(changed.getvalue())
    if message:
        with pytest.raises(InputError, match=message):
            read(tmp_path / "texts.xlsx")
    else:
        assert read(tmp_path / "texts.xlsx")[0] == TEXTS[0]


def test_a_workbook_of_several_sheets_is_asked_about(tmp_path: Path) -> None:
    path = tmp_path / "texts.xlsx"
    path.write_bytes(workbook({"One": [["text"], [TEXTS[0]]], "Two": [["text"], [TEXTS[1]]]}))
    with pytest.raises(InputError, match=r"several sheets: One, Two. Name one of them as the split"):
        read(path)
    assert read(path, split="Two") == [TEXTS[1]]
    with pytest.raises(InputError, match="no sheet 'Three'; its sheets are One, Two"):
        read(path, split="Three")


def test_a_word_document_gives_paragraphs_and_cells(tmp_path: Path) -> None:
    document = docx.Document()
    document.add_paragraph(TEXTS[0])
    table = document.add_table(1, 2)
    table.cell(0, 0).text, table.cell(0, 1).text = TEXTS[1], TEXTS[2]
    document.add_paragraph("The end.")
    document.save(str(tmp_path / "texts.docx"))
    assert read(tmp_path / "texts.docx") == [*TEXTS, "The end."]


WORD = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'


@pytest.mark.parametrize(
    ("paragraphs", "texts"),
    [
        ("<w:p><w:r><w:t>A </w:t></w:r><w:ins><w:r><w:t>chair</w:t></w:r></w:ins><w:r><w:t>.</w:t></w:r></w:p>",
         ["A chair."]),
        ("<w:p><w:del><w:r><w:delText>table</w:delText></w:r></w:del><w:ins><w:hyperlink><w:r><w:t>chair</w:t></w:r>"
         "</w:hyperlink></w:ins></w:p>", ["chair"]),
        ("<w:sdt><w:sdtContent><w:p><w:r><w:t>A</w:t><w:tab/><w:t>chair</w:t><w:br/></w:r><w:sdt><w:sdtContent><w:r>"
         "<w:t>s.</w:t></w:r></w:sdtContent></w:sdt></w:p></w:sdtContent></w:sdt>", ["A\tchair\ns."]),
        ("<w:moveFrom><w:p><w:r><w:t>Old.</w:t></w:r></w:p></w:moveFrom><w:p><w:moveFrom><w:r><w:t>Old.</w:t></w:r>"
         "</w:moveFrom><w:moveTo><w:r><w:t>Now.</w:t></w:r></w:moveTo></w:p>", ["Now."]),
        ("<w:p><w:r><w:t>One.</w:t><w:pict><w:txbxContent><w:p><w:r><w:t>Box.</w:t></w:r></w:p></w:txbxContent>"
         "</w:pict></w:r></w:p><!-- no text -->", ["One.", "Box."]),
    ],
)  # fmt: skip
def test_a_word_document_loses_nothing_that_is_shown(tmp_path: Path, paragraphs: str, texts: list[str]) -> None:
    document = docx.Document()
    for element in docx.oxml.parse_xml(f"<w:body {WORD}>{paragraphs}</w:body>"):
        document.element.body.append(element)
    document.save(str(tmp_path / "texts.docx"))
    assert read(tmp_path / "texts.docx") == texts


def pdf(*pages: str) -> bytes:
    """A PDF of one font, a text a page, lines by line feeds (PDF 1.4 reference, 3.4 and 5.3)."""
    count = len(pages)
    kids = " ".join(f"{3 + 2 * n} 0 R" for n in range(count))
    parts = ["<< /Type /Catalog /Pages 2 0 R >>", f"<< /Type /Pages /Kids [{kids}] /Count {count} >>"]
    for n, page in enumerate(pages):
        shown = " ".join(f"({line}) Tj T*" for line in page.split("\n"))
        stream = f"BT /F 12 Tf 14 TL 50 700 Td {shown} ET"
        parts += [
            f"<< /Type /Page /Parent 2 0 R /Contents {4 + 2 * n} 0 R /Resources << /Font << /F << /Type /Font "
            "/Subtype /Type1 /BaseFont /Helvetica >> >> >> /MediaBox [0 0 600 800] >>",
            f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream",
        ]
    body, places = "%PDF-1.4\n", []
    for n, part in enumerate(parts, start=1):
        places.append(len(body))
        body += f"{n} 0 obj\n{part}\nendobj\n"
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    end = f"xref\n0 {len(parts) + 1}\n0000000000 65535 f \n{table}"
    return f"{body}{end}trailer << /Size {len(parts) + 1} /Root 1 0 R >>\nstartxref\n{len(body)}\n%%EOF".encode()


def test_a_pdf_gives_its_pages_whatever_it_is_called(tmp_path: Path) -> None:
    for name in ("texts.pdf", "texts.txt"):
        (tmp_path / name).write_bytes(pdf("He sat on the arm-\nchair. It\nwas red.", "Mia ran."))
        one, two = read(tmp_path / name)
        assert one.split() == "He sat on the armchair. It was red.".split()
        assert two == "Mia ran."
    (tmp_path / "scan.pdf").write_bytes(pdf(""))
    with pytest.raises(InputError, match="a PDF without text, such as a scan"):
        read(tmp_path / "scan.pdf")
    (tmp_path / "scan.pdf").write_bytes(b"%PDF-1.4 nothing more")
    with pytest.raises(InputError, match=r"scan\.pdf is a PDF that cannot be read"):
        read(tmp_path / "scan.pdf")


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


def test_a_folder_of_documents(tmp_path: Path) -> None:
    for number, text in enumerate(TEXTS):
        document = docx.Document()
        document.add_paragraph(text)
        document.save(str(tmp_path / f"{number}.docx"))
    assert read(tmp_path) == TEXTS


@pytest.mark.parametrize("name", ["", "  "])
def test_a_source_without_a_name_is_not_the_folder_of_the_process(name: str) -> None:
    with pytest.raises(InputError, match="has no name"):
        read(name)  # type: ignore[arg-type]
