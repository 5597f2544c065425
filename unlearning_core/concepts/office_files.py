"""Workbooks, Word documents and PDFs as text, by libraries that are kept for it: calamine, python-docx and pypdf.

A workbook is a table; a paragraph of a Word document, or a cell of a table in it, is a text; a page of a PDF is a text,
since it does not say where its paragraphs end.
"""

import io
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from unlearning_core.concepts.file_content import LARGEST_WHOLE
from unlearning_core.errors import InputError

MOST_CELLS = 20_000_000
"""Cells of a sheet at most, empty ones between others too: the library makes room for rows times columns."""

_PIECE, _LONGEST_TAG = 1_000_000, 10_000
_LAST_CELL = 11
"""Records 0 to 11 of a binary sheet are a row, an empty cell and the kinds of cells."""
_ROW_OR_CELL = re.compile(
    rb"""<(?:\w+:)?(?:(?P<tag>row)(?=\s)(?:[^<>]*?\sr=["'](?P<row>\d{1,9})["'])?[^<>]*(?<!/)>"""
    rb"""|c(?=[\s>])(?:[^<>]*?\sr=["'](?P<place>[A-Za-z]{1,4}\d{1,9})["'])?[^<>]*(?<!/)>(?!\s*</))"""
)
_NOT_SAID = ("del", "moveFrom", "rt", "Fallback", "p")
"""Parts of a Word paragraph that are not its text: what was taken out, readings above signs, the older form of a text
box, and the paragraphs in one, which are texts of their own."""
_SIGNS = {"tab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "\u2011"}
_WORD_BROKEN = re.compile(r"(?<=\w)[-\u00ad\u2010]\n(?=[^\W\d_])")


def workbook_rows(path: Path, sheet: str | None) -> tuple[str, list[list[str]]]:
    """The name of the sheet, and its rows, empty ones left out, each cell as text.

    Args:
        sheet: which one; may be None where only one holds anything.

    Raises:
        InputError: the workbook is damaged or locked, or which sheet is meant cannot be told.
    """
    from python_calamine import CalamineWorkbook

    _check_size(path)
    _check_cells(path)
    with path.open("rb") as file:
        workbook = CalamineWorkbook.from_filelike(io.BytesIO(file.read()))
    names = workbook.sheet_names
    if sheet is not None and sheet not in names:
        raise InputError(f"{path} has no sheet {sheet!r}; its sheets are {', '.join(names)}. Name one as the split.")
    found = {}
    for name in names if sheet is None else [sheet]:
        rows = [[_cell(cell) for cell in row] for row in workbook.get_sheet_by_name(name).to_python()]
        if kept := [row for row in rows if any(row)]:
            found[name] = kept
    if len(found) > 1:
        raise InputError(f"{path} has several sheets: {', '.join(found)}. Name one of them as the split.")
    if not found:
        raise InputError(f"{path} holds no text: its sheets are empty. Give a workbook with a text in each row.")
    return next(iter(found.items()))


def document_texts(path: Path) -> Iterator[str]:
    """The paragraphs of a Word document, those of tables and text boxes too, in their order.

    What was put in or taken out with tracked changes counts as done; fields of a form are text like any other.
    """
    from docx import Document

    _check_size(path)
    for paragraph in Document(str(path)).element.body.iter("{*}p"):
        if not any(_name(above) in ("moveFrom", "Fallback") for above in paragraph.iterancestors()):
            yield "".join(_said(paragraph))


def pdf_texts(path: Path) -> Iterator[str]:
    """The text of each page; a word that is broken at the end of a line is joined again.

    Raises:
        InputError: it is locked by a password, or no page holds text (a scan).
    """
    from pypdf import PdfReader

    reader, found = PdfReader(path), False
    if reader.is_encrypted and not reader.decrypt(""):
        raise InputError(f"{path} is locked by a password. Save it without one.")
    for page in reader.pages:
        text = _WORD_BROKEN.sub("", page.extract_text())
        found = found or bool(text.strip())
        yield text
    if not found:
        raise InputError(f"{path} is a PDF without text, such as a scan. Run text recognition on it first.")


def _cell(value: object) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return "" if value is None else str(value).strip()


def _check_size(path: Path) -> None:
    """Raises InputError where the parts of an Office file would unpack to more than can be read whole."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if sum(part.file_size for part in archive.infolist()) > LARGEST_WHOLE // 4:
                raise InputError(f"{path} unpacks to more than 500 MB. Save its text as CSV or JSON lines.")


def _name(element: Any) -> str:
    """The name of an XML element without its namespace; "" of a comment."""
    return str(element.tag).rpartition("}")[2]


def _said(paragraph: Any) -> Iterator[str]:
    waiting = list(reversed(paragraph))
    while waiting:
        element = waiting.pop()
        name = _name(element)
        if name == "t":
            yield element.text or ""
        elif name in _SIGNS:
            yield _SIGNS[name]
        elif name not in (*_NOT_SAID, "pPr", "rPr"):
            waiting += reversed(element)


def _check_cells(path: Path) -> None:
    """Raises InputError where the cells of a sheet lie so far apart that the space between them fills the memory."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        for part in archive.namelist():
            if part.endswith(".xml"):
                with archive.open(part) as file:
                    _check_sheet(f"{path}, {part}", _cells_of_xml(file))
            elif part.endswith(".bin") and "sheets/" in part:
                _check_sheet(f"{path}, {part}", _cells_of_binary(archive.read(part)))


def _check_sheet(where: str, cells: Iterator[tuple[int, int, str]]) -> None:
    first, last, far = [10**9, 10**9], [0, 0], ["", ""]
    for row, column, name in cells:
        for axis, at in enumerate((row, column)):
            first[axis] = min(first[axis], at)
            if at > last[axis]:
                last[axis], far[axis] = at, name
    rows, columns = (last[axis] - first[axis] + 1 for axis in (0, 1))
    if last[0] and rows * columns > MOST_CELLS:
        raise InputError(
            f"{where}: its cells lie in {rows:,} rows and {columns:,} columns, the last ones at "
            f"{' and '.join(dict.fromkeys(far))}; at most {MOST_CELLS:,} cells are read. Delete the cells that stand "
            "far from the table, or save it as CSV."
        )


def _cells_of_xml(file: IO[bytes]) -> Iterator[tuple[int, int, str]]:
    """(row and column from 1, name) of each cell of a sheet that is not empty; some stand twice."""
    row, before = 1, b""
    while piece := file.read(_PIECE):
        text = before + piece
        for found in _ROW_OR_CELL.finditer(text):
            place, number = found["place"], found["row"]
            if found["tag"]:
                row = int(number) if number else row
            elif place is None:
                # A cell that does not say where it is stands in its row, after the one before it.
                yield row, 1, f"row {row}"
            else:
                letters = place.rstrip(b"0123456789")
                yield int(place[len(letters) :]), _column(letters), place.decode()
        before = text[-_LONGEST_TAG:]


def _cells_of_binary(data: bytes) -> Iterator[tuple[int, int, str]]:
    """The same of a sheet of an .xlsb: records of a number, a length and so many bytes ([MS-XLSB] 2.1.4)."""
    at, row = 0, 0
    while at < len(data):
        record, at = _number(data, at, 2)
        size, at = _number(data, at, 4)
        if record <= _LAST_CELL and size >= 4:
            value = int.from_bytes(data[at : at + 4], "little")
            if record == 0:
                row = value + 1
            elif record > 1:
                yield row, value + 1, f"row {row}, column {value + 1}"
        at += size


def _number(data: bytes, at: int, most: int) -> tuple[int, int]:
    """A number of at most so many bytes of seven bits, and where what follows it begins."""
    value = 0
    for place in range(most):
        if at >= len(data):
            break
        byte, at = data[at], at + 1
        value |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            break
    return value, at


def _column(letters: bytes) -> int:
    number = 0
    for letter in letters.upper():
        number = 26 * number + letter - 64
    return number
