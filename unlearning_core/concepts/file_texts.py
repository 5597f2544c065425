"""The texts of one file, whatever its form: text, JSON, tables, Parquet and Arrow, workbooks, documents."""

from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

from unlearning_core.concepts import delimited
from unlearning_core.concepts.dataset_sources import arrow_batches, parquet_batches
from unlearning_core.concepts.dialects import ONE_COLUMN, Dialect
from unlearning_core.concepts.file_content import ARROW, EXCEL, PARQUET, PDF, TEXT, WORD, FileContent
from unlearning_core.concepts.json_texts import is_one_list, items_of, lines_of
from unlearning_core.concepts.line_forms import advice, json_form, other_form
from unlearning_core.concepts.office_files import document_texts, pdf_texts, workbook_rows
from unlearning_core.concepts.reading import Reading, Understood
from unlearning_core.concepts.rows import TextOfRow, text_of_row
from unlearning_core.errors import InputError, WorkbenchError

_SAMPLE = 200
_JSON = (".json", ".jsonl", ".ndjson")
_WORKBOOKS = (".xlsx", ".xlsm", ".xlsb")


class FileReader:
    """Reads files of one source alike: the first row decides where the text is in all rows of all of them."""

    def __init__(self, reading: Reading, understood: Understood) -> None:
        self.reading = reading
        self.understood = understood
        self._chosen: TextOfRow | None = None

    @staticmethod
    def has_no_splits(path: Path) -> bool:
        """Whether a split means nothing for a file: only the sheets of a workbook are such."""
        return path.suffix.lower() not in _WORKBOOKS

    def texts(self, path: Path) -> Iterator[str]:
        """The texts as they stand in the file, blank ones too.

        Raises:
            InputError: the file is missing, damaged, of no known kind, or can be read in more than one way; names the
                file and the line. Of text files, what Python raises besides is turned into one by `texts.readable`.
        """
        content = FileContent(path, encoding=self.reading.encoding)
        try:
            yield from self._of_kind(content, path)
        except (WorkbenchError, GeneratorExit):
            raise
        except Exception as error:
            if content.kind == TEXT:
                raise
            reason = " ".join(str(error).split())[:200].rstrip(".") or type(error).__name__
            raise InputError(
                f"{path} is {_ARTICLES[content.kind]} that cannot be read: {reason}. It is damaged or of an unknown "
                "form: save it again, or give its text as JSON lines."
            ) from error

    def _of_kind(self, content: FileContent, path: Path) -> Iterator[str]:
        if content.kind == TEXT:
            yield from self._text(content)
            return
        self.reading.check_no_table(_ARTICLES[content.kind], header=content.kind == EXCEL, encoding=False)
        if content.kind in (PARQUET, ARROW):
            yield from self._columns(path, *(parquet_batches if content.kind == PARQUET else arrow_batches)(path))
        elif content.kind == EXCEL:
            yield from self._workbook(path)
        elif content.kind == WORD:
            self._told_without_columns("Word document, a paragraph is a text")
            yield from document_texts(path)
        elif content.kind == PDF:
            self._told_without_columns("PDF, a page is a text")
            yield from pdf_texts(path)

    def row(self, value: Any, where: str) -> list[str]:
        """The texts of one row of JSON or of a dataset; raises InputError where it is another than those before."""
        if isinstance(value, dict) and self._chosen is None:
            self._chosen = text_of_row(list(value), self.reading.column, self.reading.roles, where)
            self.understood.takes(self._chosen.description(), self._chosen.seen)
        elif isinstance(value, list) and self._chosen is None:
            self._chosen = TextOfRow(None, ("messages",), tuple(self.reading.roles))
            self.understood.takes("each row a list of turns, a text each", self._chosen.seen)
        chosen = self._chosen or TextOfRow(None, ())
        return chosen.texts(value, where)

    def _told(self, form: str) -> None:
        """Tell the format, that of the first file where there are several."""
        self.understood.format = self.understood.format or form

    def _told_without_columns(self, form: str) -> None:
        """The same of a format without rows; raises InputError where a column or roles are asked for."""
        self._told(form)
        for name, value in (
            ("column", self.reading.column),
            ("roles", ", ".join(self.reading.roles)),
            ("header", self.reading.header),
        ):
            if value not in (None, ""):
                raise InputError(
                    f"{self.understood.name} has no columns, so {name} {value!r} means nothing ({form}). Leave it out, "
                    "or name the delimiter where the file is a table."
                )

    def _text(self, content: FileContent) -> Iterator[str]:
        suffix, encoding = content.name.suffix.lower(), _called(content)
        if suffix in _JSON:
            self.reading.check_no_table("JSON", encoding=True)
        if suffix == ".json":
            self._told(f"JSON, {encoding}")
            yield from chain.from_iterable(self.row(value, where) for where, value in items_of(content))
        elif suffix in _JSON:
            self._told(f"JSON lines, {encoding}")
            yield from self._lines_of_json(content)
        elif suffix in (".parquet", ".xlsx", ".xlsm", ".docx", ".pdf", ".xls", ".doc", ".arrow", ".feather", ".epub"):
            raise InputError(
                f"{content.path} is not a {_KINDS.get(suffix, suffix[1:])} file, though its name says so. Get it "
                "again, or name it for what it is."
            )
        elif suffix in (".csv", ".tsv") or (self.reading.delimiter or "none").strip().lower() != "none":
            yield from self._table(content, encoding)
        else:
            yield from self._lines(content, encoding)

    def _lines_of_json(self, content: FileContent) -> Iterator[str]:
        if is_one_list(content):
            rows = items_of(content)
        else:
            rows = ((f"{content.path}, line {number}", value) for number, value in lines_of(content))
        for where, value in rows:
            yield from self.row(value, where)

    def _lines(self, content: FileContent, encoding: str) -> Iterator[str]:
        lines = content.lines()
        sample = list(islice(lines, _SAMPLE))
        found = other_form(sample, content.name.suffix.lower()) or delimited.looks_like_table(sample)
        if found and self.reading.delimiter is None:
            raise _looks_like(found, content, "each line of a {} file is one text")
        self._told_without_columns(f"text, {encoding}, a line is a text")
        yield from chain(sample, lines)

    def _table(self, content: FileContent, encoding: str) -> Iterator[str]:
        reading, name = self.reading, str(content.path)
        if reading.delimiter is None and json_form(list(islice(content.lines(), 5))) == "JSON lines":
            raise _looks_like("JSON lines", content, "a {} file is a table")
        dialect, rows = delimited.table_rows(content.lines(), name, reading.column, reading.delimiter, reading.header)
        sample = list(islice(rows, _SAMPLE))
        self._told(f"table, {encoding}, {dialect.description()}")
        place = self._place(dialect, [row for _, row in sample], name)
        for number, row in chain(sample, rows):
            yield from self._cells(dialect, row, place, f"{name}, line {number}")

    def _workbook(self, path: Path) -> Iterator[str]:
        sheet, rows = workbook_rows(path, self.reading.split)
        names, has_header = delimited.headers_of(rows, self.reading.column, self.reading.header)
        width = len(names)
        dialect = Dialect(ONE_COLUMN, "", width, names, has_header)
        told = f"columns {', '.join(names)}" if has_header else "no header"
        self._told(f"Excel workbook, sheet {sheet}, {told}")
        rows = rows[1:] if has_header else rows
        place = self._place(dialect, rows[:_SAMPLE], str(path))
        for number, row in enumerate(rows, start=2 if has_header else 1):
            yield from self._cells(dialect, row, place, f"{path}, row {number}")

    def _place(self, dialect: Dialect, sample: list[list[str]], name: str) -> int | None:
        """The place of the text column, or None where the table holds conversations."""
        reading = self.reading
        if dialect.has_header and (self._chosen is not None or reading.column is None):
            self._chosen = self._chosen or text_of_row(dialect.header, None, reading.roles, name)
            self.understood.takes(self._chosen.description(), self._chosen.seen)
            column = self._chosen.column
            if column is None:
                return None
            return delimited.text_column(dialect, column, sample, name)
        if reading.roles:
            raise InputError(f"{name} names no roles, so roles cannot be chosen. Leave the roles out.")
        place = delimited.text_column(dialect, reading.column, sample, name)
        if dialect.width > 1:
            named = repr(dialect.header[place]) if dialect.has_header else f"column {dialect.header[place]}"
            self.understood.text = f"text in {named}"
        return place

    def _cells(self, dialect: Dialect, row: list[str], place: int | None, where: str) -> list[str]:
        if place is not None:
            return [row[place]]
        return self.row(dict(zip(dialect.header, row, strict=False)), where)

    def _columns(self, path: Path, names: list[str], batches: Any) -> Iterator[str]:
        if self._chosen is None:
            self._chosen = text_of_row(names, self.reading.column, self.reading.roles, str(path))
            self.understood.takes(self._chosen.description(), self._chosen.seen)
        missing = [field for field in self._chosen.fields if field not in names]
        if missing:
            raise InputError(
                f"{path} has no column {missing[0]!r}, which the files before it have; its columns are "
                f"{', '.join(names)}. Give every file the same columns."
            )
        self._told("columns of a Parquet or Arrow file")
        number = 0
        for batch in batches(self._chosen.fields):
            for row in batch.to_pylist():
                number += 1
                yield from self._chosen.texts(row, f"{path}, row {number}")


_ARTICLES = {
    EXCEL: "an Excel workbook", WORD: "a Word document", PDF: "a PDF", PARQUET: "a Parquet file", ARROW: "an Arrow file"
}  # fmt: skip
_KINDS = {".parquet": "Parquet", ".docx": "Word", ".pdf": "PDF", ".arrow": "Arrow", ".feather": "Feather"}


def _called(content: FileContent) -> str:
    """The encoding as a person calls it, with how the file is packed."""
    names = {"utf-8-sig": "UTF-8", "utf-16": "UTF-16", "utf-32": "UTF-32"}
    name = names.get(content.encoding, content.encoding)
    return f"{name}, {content.packing}" if content.packing else name


def _looks_like(form: str, content: FileContent, but: str) -> InputError:
    but = but.format(content.name.suffix or "text")
    return InputError(
        f"{content.path} looks like {form}, but {but}. {advice(form)}; or say with the delimiter none that each line "
        "is one text."
    )
