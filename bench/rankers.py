"""The tournament of the rankings: rankers x sites x alignments x concepts x models, on text held out from the ranking.

Each row cuts one ranking from its top at 0.1 % to 20 % and says what the cut forgets and what it costs elsewhere. What
the rows come to, method by method, is in the table and the figure (`bench.rankers_summary` says how it is averaged).
Every row is kept as soon as it is measured: the same command goes on after a stop, and may add models, concepts,
rankers, sites or alignments.
"""

import argparse
import hashlib
import itertools
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from bench.rankers_figure import figure, known_figure
from bench.rankers_rows import Contest, Entry, Texts
from bench.rankers_summary import CASE, KEYS, default_entry, in_markdown, summarise, with_overlap
from unlearning_core.concepts.file_content import read_text
from unlearning_core.errors import InputError, Stopped, WorkbenchError, WorkFailed
from unlearning_core.evaluation.sweep import RATIOS
from unlearning_core.files import write_json, write_text
from unlearning_core.models.ground_truth import ground_truth
from unlearning_core.models.loading import load_model
from unlearning_core.models.sources.resolve import fingerprint
from unlearning_core.rankers.registry import RANKERS, get_ranker

SITES, ALIGNMENTS = ("mlp", "head", "residual"), ("before", "at")
Concepts = Annotated[dict[str, Annotated[list[str], Field(min_length=1)]], Field(min_length=1)]
CUTS = tuple(ratio for ratio in RATIOS if ratio > 0)


def main(given: argparse.Namespace) -> None:
    """Measure what is missing, write the rows and the figure, print the table."""
    tournament = Tournament(given.json, read_concepts(given.concepts), _settings(given))
    texts = Texts(given.corpus, given.texts, given.train, given.held_out, given.seed)
    rankers = [get_ranker(name).name for name in _listed(given.rankers)] if given.rankers else _available()
    ways = itertools.product(_listed(given.sites, SITES), _listed(given.alignments, ALIGNMENTS), rankers)
    try:
        tournament.play(given.models, [Entry(ranker, site, alignment) for site, alignment, ranker in ways], texts)
    except KeyboardInterrupt as stop:
        raise Stopped(f"Stopped. The rows measured so far are in {given.json}; the same command goes on.") from stop
    summary = summarise(tournament.rows, default_entry())
    print(in_markdown(summary))
    if tournament.rows:
        picture = given.figure or given.json.with_suffix(".svg")
        write_text(picture, figure(tournament.rows, summary))
        print(f"\n{picture}")
    if any(method["precision"] is not None for method in summary["methods"]):
        picture = picture.with_name(f"{picture.stem}-known.svg")
        write_text(picture, known_figure(summary["methods"], summary["default"]))
        print(picture)


def add_options(add: Callable[..., Any]) -> None:
    """The options of `python -m bench rankers`."""
    add("--models", required=True, nargs="+", help="folders, .gguf files, Hub ids or starters")
    add("--concepts", required=True, type=Path, help='JSON: {"name": ["word", ...]}')
    add("--corpus", required=True, type=Path, help="text to rank on and to measure on")
    add("--rankers", help="some of them, with commas (default: all that are available)")
    add("--sites", default="mlp", help=f"some of {','.join(SITES)} (default: mlp)")
    add("--alignments", default=",".join(ALIGNMENTS), help="before, at, or both with a comma (default)")
    add("--json", required=True, type=Path, help="file of the rows, kept as they are measured")
    add("--figure", type=Path, help="SVG to write (default: beside the rows)")
    add("--texts", type=int, help="texts of the corpus that are read (default: all)")
    add("--train", type=int, default=300, help="sentences of each kind to rank on, at most")
    add("--held-out", type=int, default=100, help="sentences of each kind to measure on, at most")
    add("--seed", type=int, default=0, help="of splits, draws and rankers")
    add("--dtype", default="auto", help="float32, bfloat16, float16 or auto (default), as in a run")


def read_concepts(path: Path) -> dict[str, list[str]]:
    """Concepts by name from a JSON file.

    Raises:
        InputError: it is not JSON, or not of the form {"name": ["word", ...]}.
    """
    try:
        return TypeAdapter(Concepts).validate_json(read_text(path, "the concepts"), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        where = f" at {first['loc'][0]!r}" if first["loc"] else ""
        raise InputError(
            f'{path} must be a JSON object of lists of words, {{"name": ["word", ...]}}, with at least one of each; '
            f"found {str(first['input'])[:100]!r}{where}: {first['msg']}."
        ) from error


def _settings(given: argparse.Namespace) -> dict[str, Any]:
    """What all rows of a file share."""
    corpus = str(given.corpus)
    if given.corpus.is_file():
        with given.corpus.open("rb") as file:
            corpus = hashlib.file_digest(file, "sha256").hexdigest()
    return {"corpus": corpus} | {name: getattr(given, name) for name in ("texts", "train", "held_out", "seed", "dtype")}


def _available() -> list[str]:
    missing = {name: reason for name, ranker in RANKERS.items() if (reason := ranker.unavailable())}
    for name, reason in missing.items():
        print(f"Without {name}: {reason}", file=sys.stderr)
    return [name for name in RANKERS if name not in missing]


def _listed(text: str, known: Sequence[str] = ()) -> list[Any]:
    """The names between commas; raises InputError for one that is not among the known ones, if those are given."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    wrong = [name for name in names if known and name not in known]
    if wrong or not names:
        raise InputError(f"{text!r} names {wrong[0] if wrong else 'nothing'}; choose some of {', '.join(known)}.")
    return names


class Tournament:
    """The rows of one file.

    Attributes:
        rows: those that are there.
    """

    def __init__(self, path: Path, concepts: dict[str, list[str]], settings: dict[str, Any]) -> None:
        """Go on with the file at `path`, or begin it.

        Raises:
            InputError: it was made with other settings or other words of a concept of the same name.
        """
        self._path, self._concepts, self._settings = path, concepts, settings
        found = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        self.rows: list[dict[str, Any]] = found.get("rows", [])
        self._models: dict[str, str] = found.get("models", {})
        self._left_out: list[dict[str, str]] = []
        earlier: dict[str, list[str]] = found.get("concepts", {})
        changed = [name for name, words in concepts.items() if earlier.get(name, words) != words]
        if found and (changed or found.get("settings") != settings):
            what = f"other words for {changed[0]!r}" if changed else f"other settings ({found.get('settings')})"
            raise InputError(f"{path} holds rows made with {what}. Give another file with --json, or delete it.")
        self._concepts_kept = earlier | concepts

    def play(self, models: Sequence[str], entries: Sequence[Entry], texts: Texts) -> None:
        """Measure every row that is missing."""
        splits: dict[str, Any] = {}
        for source in models:
            self._forget_other(source)
            loaded = None
            for concept, words in self._concepts.items():
                missing = [entry for entry in entries if not self._has(source, concept, entry)]
                if not missing:
                    continue
                loaded = loaded or load_model(source, dtype=self._settings["dtype"])
                try:
                    splits[concept] = splits.get(concept) or texts.split(words)
                    truth = ground_truth(source)
                    known = truth if truth is not None and truth.concept == concept else None
                    contest = Contest(loaded, splits[concept], CUTS, self._settings["seed"], known)
                except InputError as error:
                    self._leave_out(source, concept, None, error)
                    continue
                for entry in missing:
                    self._measure(contest, source, concept, entry)
        self._save()

    def _measure(self, contest: Contest, source: str, concept: str, entry: Entry) -> None:
        try:
            figures = contest.row(entry)
        except (InputError, WorkFailed) as error:
            self._leave_out(source, concept, entry, error)
            return
        self.rows.append({"model": source, "concept": concept} | vars(entry) | figures)
        self._save()
        way = ", ".join(vars(entry).values())
        print(f"{source}, {concept}: {way}: {figures['selectivity']:.3f}", file=sys.stderr, flush=True)

    def _has(self, source: str, concept: str, entry: Entry) -> bool:
        wanted = [source, concept, *vars(entry).values()]
        return any([row[key] for key in (*CASE, *KEYS)] == wanted for row in self.rows)

    def _forget_other(self, source: str) -> None:
        """Drop the rows of a model of that name whose weights were others."""
        now = fingerprint(source)
        if self._models.get(source, now) != now:
            self.rows = [row for row in self.rows if row["model"] != source]
        self._models[source] = now

    def _leave_out(self, source: str, concept: str, entry: Entry | None, why: WorkbenchError) -> None:
        place = {"model": source, "concept": concept} | (vars(entry) if entry else {})
        self._left_out.append(place | {"why": str(why)})
        print(f"Left out {', '.join(place.values())}: {why}", file=sys.stderr, flush=True)

    def _save(self) -> None:
        self.rows = with_overlap(self.rows)
        write_json(
            self._path,
            {"rows": self.rows}
            | summarise(self.rows, default_entry())
            | {"left_out": self._left_out, "models": self._models, "concepts": self._concepts_kept}
            | {"settings": self._settings},
        )
