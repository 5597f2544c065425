"""What the settings name by a path: found again where the run was moved to another place or machine.

The word files are copied into the run when it is made; `export` copies the texts too. What a source held when it was
last seen is remembered in the manifest, so that a finished stage stays finished where its source is not at hand.
"""

import hashlib
import re
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

from unlearning_core.concepts.file_content import checked_file
from unlearning_core.config.reading import locations
from unlearning_core.config.schema import ExperimentConfig
from unlearning_core.errors import WorkbenchError
from unlearning_core.runs.manifest import DAMAGED
from unlearning_core.runs.run import Run
from unlearning_core.runs.store import is_safe

_Seen = tuple[int, int, int, int]
"""Of a file: what changes whenever it does."""


def word_sources(config: ExperimentConfig) -> list[str]:
    """The files of words that the settings name."""
    probing = config.neural_probing
    return [text for text in (probing.concept_definition, probing.neighbours) if isinstance(text, str)]


def text_sources(config: ExperimentConfig) -> list[str]:
    """The texts and questions that the settings name, files and others."""
    others = {config.base_model.base_model_path, config.never_knew.model, *word_sources(config)}
    return [place for place in locations(config) if place not in others]


def keep_sources(run: Run, sources: list[str]) -> None:
    """Copy those that are files into the run, unless they lie there already."""
    for source in sources:
        path = Path(source)
        if path.is_file() and not path.resolve().is_relative_to(run.folder.resolve()):
            kept = run.keep_input(_name(path), path.read_bytes())
            _remember(run, source, copy=kept.name)


def at_hand(run: Run, source: str) -> str:
    """`source` itself where it is there, else its copy in the run, else `source`."""
    path = Path(source)
    if path.exists():
        return source
    copy = _known(run, source).get("copy")
    moved = run.kept_inputs_folder / (copy if is_safe(copy) else path.name)
    # A path in the run's own folder, as it was called before the run was moved.
    own = path.parent.name == run.kept_inputs_folder.name
    return str(moved) if (copy or own) and moved.is_file() else source


def remembered(run: Run, source: str, look: Callable[[str], Any], name: str = "fingerprint") -> Any:
    """What `look` says of the source; where that cannot be seen any more, what it said the last time.

    `name` is what is asked, under which the answer is kept in the run.
    """
    place = at_hand(run, source)
    known = _known(run, source)
    gone = Path(source).is_absolute() and not Path(place).exists()
    if gone and name in known:
        return known[name]
    try:
        found = look(place)
    except WorkbenchError:
        if name in known:
            return known[name]
        raise
    # A manifest that cannot be read stays as it is, and says so, until the run is gone on with.
    seen = (name in known and known[name] == found) or not run.folder.is_dir()  # a run that is only planned
    if not seen and run.status()["state"] != DAMAGED:
        _remember(run, source, **{name: found})
    return found


def reads_as_ever(source: str) -> bool:
    """Whether earlier versions split this text, found words in it and read its form as this one does.

    They did where each line or JSON value is a text of plain letters (ASCII) without markup, escapes, or digits grown
    to words; of a dataset on the Hub nothing can be told, and its column of text was read alike.
    """
    path = Path(source)
    if not path.is_file():
        return not path.is_dir()
    return path.suffix.lower() in _PLAIN and _is_plain(path, _seen(path))


@lru_cache(maxsize=256)
def _is_plain(path: Path, seen: _Seen) -> bool:
    content = path.read_bytes()
    escapes = path.suffix.lower() == ".txt" and b"\\" in content
    return content.isascii() and not escapes and not _OTHERWISE.search(content)


_PLAIN = (".txt", ".json", ".jsonl", ".ndjson")
_OTHERWISE = re.compile(rb"""[%&*<`]|\\[^"/n]|[A-Za-z][0-9]|[0-9][A-Za-z]|[A-Za-z]_[A-Za-z](?![^"\n]*"\s*[:,}])""")
"""Signs that words are found beside or across since; `\\"`, `\\n` and the names of fields belong to JSON."""


def text_fingerprint(source: str) -> Any:
    """What a text holds: a digest for a file, names, sizes and times for a folder, the name of a dataset on the Hub."""
    path = Path(source)
    if path.is_file():
        return _digest(path, _seen(checked_file(path, "the text source")))
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file())
        return [[str(file.relative_to(path)), file.stat().st_size, file.stat().st_mtime_ns] for file in files]
    return source


def _seen(path: Path) -> _Seen:
    """What changes whenever the file does: a page asks for the same texts again and again, and would read all of them.

    The time of the last change of its entry is among it, which no program can set back.
    """
    found = path.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


@lru_cache(maxsize=256)
def _digest(path: Path, seen: _Seen) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _name(path: Path) -> str:
    mark = hashlib.sha256(str(path).encode()).hexdigest()[:6]
    return f"{path.stem}-{mark}{path.suffix}"


def _known(run: Run, source: str) -> dict[str, Any]:
    return run.status().get("sources", {}).get(source, {})


def _remember(run: Run, source: str, **values: Any) -> None:
    def change(found: dict[str, Any]) -> None:
        sources = found.setdefault("sources", {})
        sources[source] = sources.get(source, {}) | values

    run.manifest.change(change)
