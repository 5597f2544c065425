"""What several commands share: the folder of a run, the words of a concept, starters, the bar, ways to print."""

import difflib
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter, validators

from unlearning_core.cli.progress_bar import TerminalProgress
from unlearning_core.concepts.lemmas import uninflected
from unlearning_core.concepts.words import Concept, read_words
from unlearning_core.config.reading import starter_names
from unlearning_core.config.schema import DEFAULT_STARTER
from unlearning_core.errors import InputError
from unlearning_core.files import can_hold, write_text
from unlearning_core.progress import ProgressCallback

if TYPE_CHECKING:
    from unlearning_core.models.loading import LoadedModel
    from unlearning_core.runs.run import Run

Bar = Annotated[TerminalProgress, Parameter(parse=False)]
"""Not an option: `main` passes the progress bar of this call."""

RunFolder = Annotated[Path, Parameter(name="RUN_FOLDER", help="folder of a run, the last line that `run` prints.")]

_STARTERS = " or ".join(f"{name} (default)" if name == DEFAULT_STARTER else name for name in starter_names())
Starter = Annotated[str, Parameter(metavar="NAME", help=f"which starter: {_STARTERS}.")]

OutputFolder = Annotated[Path, Parameter(validator=validators.Path(file_okay=False))]
OutputFile = Annotated[Path, Parameter(validator=validators.Path(dir_okay=False))]
"""Refused before the work, not after it, where something of the other kind is there."""

SentenceCount = Annotated[int, Parameter(validator=validators.Number(gte=2))]
"""Held-out sentences of each kind at most: of fewer than two there is no standard error."""


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class ConceptOptions:
    """The options by which a command is told the concept.

    Attributes:
        words: a file of concept words, one a line.
        no_inflections: match the words exactly as written.
        language: of the inflections, as a code (en, de, zh, pt-BR).
    """

    words: Path
    no_inflections: bool = False
    language: str = "en"

    def concept(self) -> Concept:
        """The concept; says so where its language has no known inflections.

        Raises:
            InputError: the file has no words, or there is no such language.
        """
        concept = Concept(read_words(self.words), not self.no_inflections, self.language)
        if concept.inflections and (sentence := uninflected(concept.language)):
            print(sentence, file=sys.stderr)
        return concept


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """The options by which a command is told a model.

    Attributes:
        model: folder, .gguf file, Hub id or starter.
        revision: branch, tag or commit of a Hub model.
        extra_tokens: what to do about tokens of the tokenizer without a row in the embedding: refuse, resize (new rows)
            or drop (do without them).
        device_map: auto spreads the model over all graphics cards, then memory, then disk.
        allow_pickle: load weights that can run code (.bin, .pt) too.
    """

    model: str
    revision: str | None = None
    extra_tokens: Literal["refuse", "resize", "drop"] = "refuse"
    device_map: Literal["auto"] | None = None
    allow_pickle: bool = False

    def load(self, progress: ProgressCallback, dtype: str = "auto") -> "LoadedModel":
        """The model; raises as `load_model`."""
        from unlearning_core.models.loading import load_model

        return load_model(
            self.model, revision=self.revision, dtype=dtype, allow_pickle=self.allow_pickle,
            extra_tokens=self.extra_tokens, device_map=self.device_map, progress=progress,
        )  # fmt: skip


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class ReadingOptions:
    """The options by which a command is told how a text source is to be read, where it is in doubt.

    Attributes:
        split: of a dataset (default: train, or the only one); of a workbook the sheet.
        column: that holds the text; of a table without a header its number.
        delimiter: of a table: a sign, or comma, semicolon, tab, pipe; none: each line is one text.
        header: whether the first row of a table names its columns.
        encoding: of a text file, such as cp1252 (default: UTF-8, or what its byte order mark says).
        roles: of chat data: whose turns are read (default: all but system and tools).
    """

    split: str | None = None
    column: str | None = None
    delimiter: str | None = None
    header: Literal["yes", "no"] | None = None
    encoding: str | None = None
    roles: Annotated[tuple[str, ...], Parameter(consume_multiple=True)] = ()

    def settings(self) -> dict[str, Any]:
        """The same as arguments of `read_texts` and of `FilterSettings`."""
        return asdict(self) | {"header": None if self.header is None else self.header == "yes"}


def open_folder(folder: Path) -> "Run":
    """The run in a folder that a person typed, whatever the folder is called.

    Raises:
        InputError: no run is in it; names the run there with the nearest name, else the newest one.
    """
    from unlearning_core.runs.listing import list_runs
    from unlearning_core.runs.run import Run

    folder = folder.resolve()
    if (folder / "config.json").is_file() and (folder / "status.json").is_file():
        run = Run(folder)
        if damage := run.damage():
            print(damage, file=sys.stderr)
        return run
    known = [str(run.folder) for run in list_runs(folder) or list_runs(folder.parent)]
    nearest = [*difflib.get_close_matches(str(folder), known, n=1, cutoff=0.8), *known][:1]
    advice = f"Did you mean {nearest[0]}?" if nearest else "Give the folder that `run` printed as its last line."
    raise InputError(f"There is no run in {folder}. {advice}")


def check_folder_of(output: Path) -> None:
    """Refuse a file to write whose folder is not there, or may not be written, before the work.

    Raises:
        InputError: one of these.
    """
    folder = output.absolute().parent
    if not folder.is_dir():
        raise InputError(f"--output {output}: there is no folder {folder}. Make it first, or give another path.")
    if not can_hold(output):
        raise InputError(f"--output {output}: no file can be made in {folder}. Give another path.")


def print_or_write(text: str, output: Path | None) -> None:
    """Print `text`, or write it to `output` and print that path."""
    if output is None:
        print(text, end="")
    else:
        write_text(output, text)
        print(output)


def print_table(rows: list[dict[str, str]]) -> None:
    """Print rows of the same keys as columns; one line a row where the output is no terminal."""
    from rich.console import Console
    from rich.table import Table

    table = Table(*rows[0], box=None, pad_edge=False)
    table.columns[0].no_wrap = True
    for row in rows:
        table.add_row(*row.values())
    Console(width=None if sys.stdout.isatty() else 1000).print(table)
