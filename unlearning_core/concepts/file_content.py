"""What a file really is, by its first bytes, and its text: unpacked, decoded, a line at a time.

The name of a file is a hint and no more: a PDF called words.txt is a PDF. Text is UTF-8 unless a byte order mark or the
person says otherwise; no other encoding is guessed, because a wrong guess changes words without a sign.
"""

import bz2
import codecs
import gzip
import io
import lzma
import os
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from unlearning_core.errors import InputError

LONGEST_LINE = 16_000_000
"""Characters of a line at most: a line is one text in memory."""

LARGEST_WHOLE = 2_000_000_000
"""Bytes at most of a file that has to be read whole, unpacked."""

SOURCE = "the text source"
"""How a sentence calls a file of texts, whose encoding a person can name."""

TEXT, EXCEL, WORD, PDF, PARQUET, ARROW = "text", "Excel workbook", "Word document", "PDF", "Parquet", "Arrow"

ABOUT = ("readme", "license", "licence", "changelog", "citation", "dataset_infos", "dataset_info", "sha256sums")
"""Stems of files that tell about a dataset and are no part of it."""

_START = 65_536
_CHUNK = 262_144
_PACKED = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\x00": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
_PACKED_SUFFIXES = (".gz", ".bz2", ".xz", ".zst", ".zip")
_READ = {b"%PDF-": PDF, b"PAR1": PARQUET, b"ARROW1": ARROW, b"FEA1": ARROW}
_NAMED = {
    b"\xd0\xcf\x11\xe0": "an old Office file (.doc, .xls or .ppt)",
    b"{\\rtf": "a rich text file (RTF)",
    b"GGUF": "a GGUF model",
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"GIF8": "a GIF image",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"Rar!": "a RAR archive",
    b"SQLite format 3": "a SQLite database",
    b"\x93NUMPY": "a NumPy array",
    b"\x89HDF": "an HDF5 file",
    b"\x7fELF": "a program",
    b"\x80\x02": "a pickle",
    b"\x80\x04": "a pickle",
    b"\x80\x05": "a pickle",
    b"\x04\x22\x4d\x18": "a file packed by LZ4",
    b"Obj\x01": "an Avro file",
    b"version https://git-lfs.github.com/spec/": "a pointer of Git LFS in place of the file itself (get that by: git "
    "lfs pull)",
    b"WEBVTT": "subtitles (WebVTT)",
    b"ID3": "a sound file",
    b"OggS": "a sound file",
}
_ADVICE = "Export its text as UTF-8, one text a line, as JSON lines or as CSV, and give that file."
_BOMS = (
    (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"), (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip


def checked_file(path: Path, what: str) -> Path:
    """`path`, which is a regular file that may be read.

    Raises:
        InputError: it is missing, a folder, a pipe or a device (which could be waited on for ever), or may not be read.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        if path.is_symlink():
            raise InputError(
                f"{path} is a link to {os.readlink(path)}, which does not exist. Correct the link."
            ) from None
        raise InputError(f"{path} does not exist. Check the path of {what}.") from None
    except PermissionError:
        raise InputError(f"{path} may not be read: permission denied. Change the rights of {what}.") from None
    except (OSError, ValueError) as error:  # a circle of links, a name too long, a NUL in it
        raise InputError(f"{path} cannot be opened: {error}. Check the path of {what}.") from None
    if stat.S_ISDIR(mode):
        raise InputError(f"{path} is a folder, but {what} must be a file.")
    if not stat.S_ISREG(mode):
        raise InputError(f"{path} is a pipe or a device, not a file. Write {what} into a file and give that.")
    if not os.access(path, os.R_OK):
        raise InputError(f"{path} may not be read: permission denied. Change the rights of {what}.")
    return path


def content_name(path: Path) -> Path:
    """The name that tells the format: without the ending of a compression, "texts.jsonl.gz" is "texts.jsonl"."""
    return path.with_suffix("") if path.suffix.lower() in _PACKED_SUFFIXES else path


class FileContent:
    """A file, looked into.

    Attributes:
        path: where it is.
        name: what tells the format of text: the file's own name, without the ending of a compression, or that of the
            one file in a zip.
        packing: "gzip", "bzip2", "xz", "zstd", "zip", or "" where it is not compressed.
        kind: `TEXT`, `EXCEL`, `WORD`, `PDF`, `PARQUET` or `ARROW`.
        encoding: of text, as Python names it.
        start: the first bytes, unpacked.
    """

    def __init__(self, path: Path, what: str = SOURCE, encoding: str | None = None) -> None:
        """Raises InputError: not a readable file, damaged, or of a kind that holds no text to be read; names the kind.

        Args:
            what: how a sentence calls it.
            encoding: of its text, where the person says; else its byte order mark tells, or it is UTF-8.
        """
        self.path, self.what = checked_file(path, what), what
        try:
            with path.open("rb") as file:
                first = file.read(16)
        except OSError as error:
            raise self._unreadable(error) from error
        self.packing = next((name for mark, name in _PACKED.items() if first.startswith(mark)), "")
        self.name, self.kind, self._member = content_name(path) if self.packing else path, TEXT, ""
        if first.startswith((b"PK\x03\x04", b"PK\x05\x06")):
            self._look_into_zip()
        with self.open() as unpacked:
            self.start = unpacked.read(_START)
        if self.kind == TEXT:
            self.kind = self._kind()
        if self.kind != TEXT and self.packing:
            raise InputError(f"{path} is a {self.packing} file with a {self.kind} file in it. Unpack it and give that.")
        self.encoding = self._encoding(encoding) if self.kind == TEXT else ""

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """The bytes, unpacked; raises InputError where the file is damaged or locked by a password."""
        try:
            with self._stream() as stream:
                yield stream
        except (EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, gzip.BadGzipFile) as error:
            raise self._damaged(error) from error
        except (RuntimeError, NotImplementedError, OSError) as error:
            raise (self._damaged(error) if self.packing else self._unreadable(error)) from error

    def lines(self) -> Iterator[str]:
        """The lines with their ends, each of which is a line feed whatever it was; streamed.

        Raises:
            InputError: a byte is not of the encoding (names line and offset), a line holds NUL or is longer than
                `LONGEST_LINE`.
        """
        pending: list[str] = []
        size, number = 0, 1
        for text in self._decoded():
            *whole, rest = text.split("\n")
            for piece in whole:
                line = "".join([*pending, piece])
                pending, size = [], 0
                yield self._checked(line, number) + "\n"
                number += 1
            if rest:
                pending.append(rest)
                size += len(rest)
                if size > LONGEST_LINE:
                    self._checked("".join(pending), number)
        if pending:
            yield self._checked("".join(pending), number)

    def whole(self) -> str:
        """All of the text; raises InputError as `lines` does, and where it is more than `LARGEST_WHOLE`."""
        parts, size = [], 0
        for text in self._decoded():
            parts.append(text)
            size += len(text)
            if size > LARGEST_WHOLE:
                raise InputError(f"{self.path} is too large to be read whole. Write its texts as JSON lines (.jsonl).")
        return "".join(parts)

    def _stream(self) -> IO[bytes]:
        if self.packing == "gzip":
            return io.BufferedReader(gzip.GzipFile(self.path, "rb"))
        if self.packing == "bzip2":
            return bz2.open(self.path, "rb")
        if self.packing == "xz":
            return lzma.open(self.path, "rb")
        if self.packing == "zstd":
            import pyarrow

            return io.BufferedReader(pyarrow.CompressedInputStream(pyarrow.OSFile(str(self.path)), "zstd"))
        if self.packing == "zip":
            return zipfile.ZipFile(self.path).open(self._member)
        return self.path.open("rb")

    def _unreadable(self, error: Exception) -> InputError:
        if isinstance(error, PermissionError):
            return InputError(f"{self.path} may not be read: permission denied. Change the rights of {self.what}.")
        return InputError(f"{self.path} cannot be read: {error}. Copy {self.what} to another place and give that.")

    def _damaged(self, error: Exception) -> InputError:
        reason = " ".join(str(error).split())[:200].rstrip(".") or type(error).__name__
        office = {".xlsx": "an Excel workbook", ".docx": "a Word document"}
        named = office.get(self.path.suffix.lower(), f"a {self.packing or 'zip'} file")
        return InputError(
            f"{self.path} is {named}, or calls itself one, and cannot be unpacked: {reason}. It is damaged or "
            f"incomplete: get {self.what} again, or unpack it yourself and give what is in it."
        )

    def _look_into_zip(self) -> None:
        """Office files are zips; another zip is read where there is one file in it."""
        try:
            with zipfile.ZipFile(self.path) as archive:
                names = [one for one in archive.namelist() if not one.endswith("/")]
                kept = archive.read("mimetype")[:80].decode("latin-1") if "mimetype" in names else ""
        except Exception as error:
            raise self._damaged(error) from error
        if "xl/workbook.xml" in names or "xl/workbook.bin" in names or "spreadsheet" in kept:
            self.kind = EXCEL
        elif "word/document.xml" in names:
            self.kind = WORD
        elif kept or "[Content_Types].xml" in names:
            known = {"epub": "an e-book (EPUB)", "opendocument.text": "an OpenDocument text (.odt)"}
            named = next((title for part, title in known.items() if part in kept), "an Office or OpenDocument file")
            raise InputError(f"{self.path} is {named}, which is not read here. {_ADVICE}")
        else:
            inside = [one for one in names if not Path(one).name.startswith(".") and not one.startswith("__MACOSX/")]
            if len(inside) > 1:
                inside = [one for one in inside if Path(one).stem.lower() not in ABOUT] or inside
            if len(inside) != 1:
                shown = ", ".join(inside[:5]) + (", …" if len(inside) > 5 else "")
                raise InputError(
                    f"{self.path} is a zip of {len(inside)} files ({shown}); expected one file of text. Unpack it and "
                    "give the folder or one of the files."
                )
            self.packing, self._member, self.name = "zip", inside[0], Path(inside[0])

    def _kind(self) -> str:
        start = self.start
        for mark, kind in _READ.items():
            if start.startswith(mark):
                return kind
        named = next((title for mark, title in _NAMED.items() if start.startswith(mark)), None)
        named = named or ("a tar archive" if start[257:262] == b"ustar" else None)
        if any(start.startswith(mark) for mark in (*_PACKED, b"PK\x03\x04")):
            named = f"a {self.packing or 'compressed'} file with another compressed file in it"
        head = start[:1024].removeprefix(codecs.BOM_UTF8).lstrip().lower()
        if head.startswith((b"<!doctype html", b"<html")):
            named = "a web page (HTML)"
        elif head.startswith(b"<?xml"):
            named = "an XML file"
        elif start.startswith(b"ORC") and self.name.suffix.lower() == ".orc":
            named = "an ORC file"
        if named is not None:
            raise InputError(f"{self.path} is {named}, which is not read here. {_ADVICE}")
        if self.name.suffix.lower() in (".lz4", ".orc", ".avro", ".br", ".lzma", ".7z", ".rar"):
            raise InputError(
                f"{self.path} is called a {self.name.suffix} file, and none of those is read here. {_ADVICE}"
            )
        # A stream of Arrow batches has no mark of its own but the length of its schema.
        return ARROW if start[:4] == b"\xff\xff\xff\xff" and self.name.suffix.lower() == ".arrow" else TEXT

    def _encoding(self, given: str | None) -> str:
        if given is not None:
            try:
                codec = codecs.lookup(given)
            except (LookupError, ValueError):
                codec = None
            if codec is None or not codec._is_text_encoding:
                raise InputError(
                    f"The encoding {given!r} is not known. Name one such as utf-8, utf-16, cp1252 or shift_jis."
                )
            return "utf-8-sig" if codec.name == "utf-8" else codec.name
        for mark, name in _BOMS:
            if self.start.startswith(mark):
                return name
        if b"\0" in self.start:
            odd, even = self.start[1:512:2].count(0), self.start[0:512:2].count(0)
            few = max(4, len(self.start[:512]) // 8)
            if max(odd, even) >= few > min(odd, even):
                name = "utf-16-le" if odd > even else "utf-16-be"
                raise InputError(
                    f"{self.path} looks like UTF-16 without a byte order mark. Say so with the encoding {name}, or "
                    "save it as UTF-8."
                )
            offset = self.start.index(0)
            raise InputError(f"{self.path} is not text: byte {offset} is NUL. {_ADVICE}")
        return "utf-8-sig"

    def _decoded(self) -> Iterator[str]:
        """The text in pieces, every line end made a line feed."""
        decoder = codecs.getincrementaldecoder(self.encoding)("strict")
        ends = io.IncrementalNewlineDecoder(None, translate=True)
        before, newlines = 0, 0
        with self.open() as file:
            while True:
                chunk = file.read(_CHUNK)
                pending = len(decoder.getstate()[0])
                try:
                    text = ends.decode(decoder.decode(chunk, final=not chunk), final=not chunk)
                except UnicodeDecodeError as error:
                    raise self._undecodable(error, before - pending, newlines) from None
                before += len(chunk)
                newlines += text.count("\n")
                if text:
                    yield text
                if not chunk:
                    return

    def _undecodable(self, error: UnicodeDecodeError, offset: int, newlines: int) -> InputError:
        read = error.object[: error.start]
        # What UTF-8's decoder is given first may lack the byte order mark, which it has taken off.
        bom = (
            3 if offset <= 0 and self.start.startswith(codecs.BOM_UTF8) and not read.startswith(codecs.BOM_UTF8) else 0
        )
        line = newlines + read.count(b"\n") + 1
        if b"\n" not in self.start and b"\r" in self.start:
            line = newlines + read.count(b"\r") + 1
        return self.not_text(error.object[error.start], max(offset, 0) + bom + error.start, line)

    def not_text(self, byte: int, offset: int, line: int) -> InputError:
        """The sentence for a byte that the encoding has not: `offset` counts from 0, `line` from 1."""
        if self.encoding != "utf-8-sig":
            return InputError(
                f"{self.path} is not {self.encoding} text: byte 0x{byte:02x} at offset {offset}, line {line}. Name "
                "another encoding, or save it as UTF-8."
            )
        in_windows = bytes([byte]).decode("cp1252", "replace")
        hint = f" In cp1252 (Windows, Western Europe) it would be {in_windows!r}." if in_windows.isalpha() else ""
        return InputError(
            f"{self.path} is not UTF-8 text: byte 0x{byte:02x} at offset {offset}, line {line}.{hint} Save it again "
            f"with the encoding UTF-8{', or name its encoding' if self.what == SOURCE else ''}."
        )

    def _checked(self, line: str, number: int) -> str:
        if "\0" in line:
            raise InputError(f"{self.path}, line {number}: holds a NUL, so it is not text. {_ADVICE}")
        if len(line) > LONGEST_LINE:
            raise InputError(
                f"{self.path}, line {number}: longer than {LONGEST_LINE:,} characters, and a line is one text. Put "
                "line breaks between the texts."
            )
        return line


def read_text(path: Path, what: str, encoding: str | None = None) -> str:
    """The whole text of a file, without its byte order mark.

    Raises:
        InputError: the file is missing, a folder, no text (names what it is), or not UTF-8 (names line and byte).
    """
    content = FileContent(path, what, encoding)
    if content.kind != TEXT:
        raise InputError(f"{path} is a {content.kind} file, but {what} must be a text file. {_ADVICE}")
    return content.whole()
