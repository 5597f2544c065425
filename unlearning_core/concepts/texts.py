"""Texts one by one from any source a person names: a file, a folder or a dataset on the Hub."""

import logging
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import Any, TypeVar

from unlearning_core.concepts import dataset_sources
from unlearning_core.concepts.file_texts import FileReader
from unlearning_core.concepts.json_texts import json_lines
from unlearning_core.concepts.reading import SHOWN, Reading, Understood
from unlearning_core.concepts.rows import TextOfRow, text_of_row
from unlearning_core.errors import InputError, WorkbenchError
from unlearning_core.progress import Progress, ProgressCallback, silent

log = logging.getLogger(__name__)

Item = TypeVar("Item")

_REPORT_EVERY = 1000


def read_texts(
    source: str | Path,
    *,
    split: str | None = None,
    column: str | None = None,
    delimiter: str | None = None,
    header: bool | None = None,
    encoding: str | None = None,
    roles: Sequence[str] = (),
    only: Mapping[str, Any] | None = None,
    limit: int | None = None,
    progress: ProgressCallback = silent,
) -> "TextStream":
    """The texts of a source, without the blank ones, stripped of white space at both ends.

    What the source was understood as is logged once its first texts are read; `TextStream.peek` tells it too.

    Args:
        source: `.json` (a list of strings or of objects with the text), `.jsonl`, `.csv` or `.tsv`, `.parquet`,
            `.arrow`, `.xlsx`, `.docx`, `.pdf`, any other text file (a line is a text), one of these compressed by gzip,
            bzip2, xz, zstd or zip, a folder of such files, a folder written by `save_to_disk`, or a Hub dataset,
            `owner/name` or `owner/name:configuration`, which is streamed. Objects and rows may hold conversations
            (concepts/conversations.py).
        split, column, delimiter, header, encoding, roles: how to read it, see `reading.Reading`.
        only: of JSON lines, those rows whose fields have these values.
        limit: at most this many texts.
        progress: told how many texts were read, every thousand.

    Raises:
        InputError: while it is read: the source is missing, holds no text, can be read in more than one way, or is
            damaged; names the file and the line.
    """
    reading = Reading(
        split=split, column=column, delimiter=delimiter, header=header, encoding=encoding, roles=tuple(roles)
    )
    log.info("reading texts from %s (%s, only=%s, limit=%s)", source, reading, only, limit)
    understood = Understood(str(source))
    if only:
        understood.name += f" (rows with {', '.join(f'{key} = {value}' for key, value in only.items())})"
        texts = _with_fields(Path(source), reading, understood, only)
    else:
        texts = source_texts(source, reading, understood)
    return TextStream(readable(texts, understood.name), understood, limit, progress)


class TextStream(Iterator[str]):
    """The texts of a source, read as they are asked for.

    Attributes:
        understood: what the source was understood as, as far as it has been read.
    """

    def __init__(
        self, texts: Iterable[str], understood: Understood, limit: int | None, progress: ProgressCallback
    ) -> None:
        self.understood = understood
        self._limit, self._progress = limit, progress
        self._texts = self._clean(texts)
        self._ahead: deque[str] = deque()
        self._told = False

    def __next__(self) -> str:
        self.peek()
        return self._ahead.popleft() if self._ahead else next(self._texts)

    def peek(self) -> Understood:
        """What the source is understood as, and its first texts, none of which is taken from the stream by this.

        Raises:
            InputError: as `read_texts` says.
        """
        if not self._told:
            self._told = True
            self._ahead.extend(islice(self._texts, SHOWN))
            self.understood.tell()
        return self.understood

    def _clean(self, texts: Iterable[str]) -> Iterator[str]:
        read, understood = 0, self.understood
        for read, clean in enumerate(islice(filter(None, map(clean_text, texts)), self._limit), start=1):
            if read % _REPORT_EVERY == 0:
                self._progress(Progress("reading texts", read, self._limit, "texts"))
            understood.add(clean)
            yield clean
        if read == 0 and self._limit != 0 and understood.roles:
            raise InputError(
                f"{understood.name} holds no text of the roles that are read ({understood.text}); the roles in it are "
                f"{', '.join(sorted(understood.roles))}. Name those whose turns are meant."
            )
        if read == 0 and self._limit != 0:
            raise InputError(f"{understood.name} holds no text. Give a source with at least one line or row of text.")


def source_texts(source: str | Path, reading: Reading, understood: Understood) -> Iterator[str]:
    """The texts of a source as they stand in it, blank ones too; raises whatever the libraries raise."""
    dataset_sources.check_name(str(source))
    path = Path(source)
    if path.is_dir() and not dataset_sources.is_saved_dataset(path):
        splits, left_out = dataset_sources.data_files(path)
        chosen = dataset_sources.choose_split(list(splits), reading.split, str(source))
        note_folder(understood, splits, chosen, left_out)
        yield from folder_texts(splits[chosen], reading, understood)
    elif not path.is_dir() and (path.exists() or path.is_symlink()):
        if reading.split not in (None, "train") and FileReader.has_no_splits(path):
            raise InputError(f"{path} is one file, which has no split {reading.split!r}. Leave the split out.")
        yield from FileReader(reading, understood).texts(path)
    else:
        reading.check_no_table("a dataset", encoding=False)
        dataset = dataset_sources.open_dataset(str(source), split=reading.split)
        understood.format = "dataset"
        if isinstance(dataset, dict):
            chosen = dataset_sources.choose_split(list(dataset), reading.split, str(source))
            understood.format += f", split {chosen}"
            dataset = dataset[chosen]
        yield from dataset_texts(dataset, str(source), choose_text(dataset, str(source), reading, understood))


def note_folder(
    understood: Understood, splits: Mapping[str, Sequence[Path]], chosen: str, left_out: Sequence[Path]
) -> None:
    """Tell which files of a folder are read, and which are not."""
    others = f" of {', '.join(splits)}" if len(splits) > 1 else ""
    understood.notes.append(f"split {chosen}{others}, {len(splits[chosen])} files")
    if left_out:
        few = ", ".join(file.name for file in left_out[:3])
        understood.notes.append(f"NOT read: {few}{' and others' if len(left_out) > 3 else ''}")


def folder_texts(files: Sequence[Path], reading: Reading, understood: Understood) -> Iterator[str]:
    """The texts of several files, which are read alike: what the first one's rows are decides for all."""
    reader = FileReader(reading, understood)
    for file in files:
        yield from readable(reader.texts(file), str(file))


def choose_text(dataset: Any, name: str, reading: Reading, understood: Understood) -> TextOfRow:
    """Which part of the rows of a dataset is its text; told in `understood`."""
    chosen = text_of_row(dataset_sources.column_names(dataset), reading.column, reading.roles, name)
    understood.takes(chosen.description(), chosen.seen)
    return chosen


def dataset_texts(dataset: Any, name: str, chosen: TextOfRow) -> Iterator[str]:
    """The texts of a dataset; raises InputError where a column holds something else."""
    for number, row in enumerate(dataset_sources.dataset_rows(dataset, chosen.fields), start=1):
        yield from chosen.texts(row, f"{name}, row {number}")


def readable(items: Iterable[Item], name: str) -> Iterator[Item]:
    """The items; raises InputError as `sentences_for_errors` does while they are read."""
    iterator = iter(items)
    while True:
        with sentences_for_errors(name):
            try:
                item = next(iterator)
            except StopIteration:
                return
        yield item


@contextmanager
def sentences_for_errors(name: str) -> Iterator[None]:
    """Whatever a library raises inside the `with` becomes a sentence that names the source.

    Raises:
        InputError: the source could not be read.
    """
    try:
        yield
    except (WorkbenchError, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:  # a panic in a Rust library is no Exception
        log.info("%s could not be read", name, exc_info=True)
        if isinstance(error, PermissionError):
            raise InputError(f"{name} may not be read: permission denied. Change its rights.") from error
        reason = " ".join(str(error).split())[:300].rstrip(".") or type(error).__name__
        raise InputError(
            f"{name} could not be read to its end ({reason}). It may be damaged or not what its name says: open it in "
            "a program of its kind and save it again, or give its text as JSON lines."
        ) from error


def clean_text(text: str) -> str:
    """White space at both ends removed; halves of surrogate pairs, which JSON may hold, become U+FFFD."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text.strip()


def _with_fields(path: Path, reading: Reading, understood: Understood, only: Mapping[str, Any]) -> Iterator[str]:
    reader = FileReader(reading, understood)
    understood.format = "JSON lines"
    rows = json_lines(path, only)
    yield from chain.from_iterable(reader.row(value, f"{path}, line {number}") for number, value in rows)
