"""Workbooks, Word documents and PDFs as text."""

import io
import zipfile
from pathlib import Path

import docx
import pytest

from unlearning_core.concepts.texts import read_texts
from unlearning_core.errors import InputError

TEXTS = ["He sat down.", "A chair, a table.", "Zwölf Stühle."]


def read(path: Path, **how: object) -> list[str]:
    return list(read_texts(path, **how))  # type: ignore[arg-type]


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
    assert read(path, header=True) == TEXTS
    with pytest.raises(InputError, match="The delimiter ';' does not apply: the text source is an Excel workbook"):
        read(path, delimiter=";")
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


def test_a_cell_far_from_the_others_in_a_binary_workbook(tmp_path: Path) -> None:
    def record(kind: int, place: int, size: int = 200) -> bytes:
        return bytes([kind, 0x80 | size & 0x7F, size >> 7]) + place.to_bytes(4, "little") + bytes(size - 4)

    def binary(*records: bytes) -> InputError:
        with zipfile.ZipFile(tmp_path / "a.xlsb", "w") as archive:
            archive.writestr("xl/workbook.bin", b"")
            archive.writestr("xl/worksheets/sheet1.bin", b"".join(records))
        with pytest.raises(InputError) as caught:
            read(tmp_path / "a.xlsb")
        return caught.value

    near, far = (record(0, 0), record(2, 0)), record(0, 1_048_575)
    said = "1,048,576 rows and 16,384 columns, the last ones at row 1048576, column 16384;"
    assert said in str(binary(*near, b"\x94\x01\x00", far, record(7, 16_383)))
    assert "columns" not in str(binary(*near, far, record(1, 16_383), b"\xff"))


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


def test_a_folder_of_documents(tmp_path: Path) -> None:
    for number, text in enumerate(TEXTS):
        document = docx.Document()
        document.add_paragraph(text)
        document.save(str(tmp_path / f"{number}.docx"))
    assert read(tmp_path) == TEXTS
