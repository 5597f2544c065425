"""Workbooks, Word documents and PDFs as text, by libraries that are kept for it: calamine, python-docx and pypdf.

A workbook is a table; a paragraph of a Word document, or a cell of a table in it, is a text; a page of a PDF is a text,
since it does not say where its paragraphs end.
"""

import io
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

from unlearning_core.concepts.file_content import LARGEST_WHOLE
from unlearning_core.errors import InputError

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
    """The paragraphs of a Word document and of the cells of its tables, in their order."""
    from docx import Document
    from docx.table import Table

    _check_size(path)
    waiting = [Document(str(path)).iter_inner_content()]
    while waiting:
        part = next(waiting[-1], None)
        if part is None:
            waiting.pop()
        elif isinstance(part, Table):
            cells = {id(cell._tc): cell for row in part.rows for cell in row.cells}  # a merged cell stands once
            waiting += [cell.iter_inner_content() for cell in reversed(list(cells.values()))]
        else:
            yield part.text


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
