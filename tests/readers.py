"""Every reader of the product, with the good files that it reads: what a mutated file must not get past."""

import json
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tests.tiny_experiment import write_experiment
from unlearning_core.activations.statistics import Statistics
from unlearning_core.cli import main
from unlearning_core.concepts.neighbours import given_words
from unlearning_core.concepts.texts import read_texts
from unlearning_core.concepts.tokens_labels import read as read_tokens_labels
from unlearning_core.concepts.words import read_words
from unlearning_core.config.reading import load_config
from unlearning_core.edits.recipe import Recipe
from unlearning_core.errors import InputError
from unlearning_core.jobs.events import EventLog, loss_curve, read_events
from unlearning_core.jobs.liveness import is_working_in
from unlearning_core.jobs.status import status, tail
from unlearning_core.models.inspection import inspect_model
from unlearning_core.models.loading import load_model
from unlearning_core.models.sources.folder import find_weights, read_tokenizer
from unlearning_core.models.sources.zip import unpack_zip
from unlearning_core.reports.run_report import run_report
from unlearning_core.reports.run_table import run_table
from unlearning_core.reports.two_runs import different_settings
from unlearning_core.runs.listing import list_runs, open_run
from unlearning_core.runs.probe_set import base_levels
from unlearning_core.runs.rankings import kept_rankings
from unlearning_core.runs.recipes import named
from unlearning_core.runs.run import Run
from unlearning_core.runs.transfer import export_run, import_run


@dataclass(frozen=True)
class Reader:
    """Something that reads files of a person's or of an earlier day.

    Attributes:
        files: under the folder of good files, those that it reads.
        read: reads them all, as its users do.
    """

    name: str
    files: Callable[[Path], list[Path]]
    read: Callable[[Path], object]


def good_files(root: Path) -> Path:
    """One good file or folder of each kind, under `root`: a finished run, a model, texts and all else."""
    config = write_experiment(root / "experiment")
    settings = ("neural_probing.ranker=activation_ratio", "retraining.max_steps=2")
    assert main(["run", str(config), "--output-dir", str(root / "runs"), "--set", *settings]) == 0
    run = list_runs(root / "runs")[0]
    shutil.copytree(run.folder / "recipe", run.folder / "recipes" / "mine")
    shutil.copytree(run.folder / "recipe", root / "recipe")
    export_run(run, root / "run.zip")
    shutil.make_archive(str(root / "model"), "zip", root / "experiment" / "model")
    (root / "tokens.txt").write_text("She sat on the chair .\nThe cat sleeps .\n", encoding="utf-8")
    (root / "labels.txt").write_text("O O O O target O\nO O O O\n", encoding="utf-8")
    for name, text in {
        "texts.txt": "The chair is old.\nThe cat sleeps.\n",
        "texts.csv": 'text,source\n"The chair, old.",a\nThe cat sleeps.,b\n',
        "texts.jsonl": '{"text": "The chair is old."}\n{"text": "The cat sleeps."}\n',
        "texts.json": json.dumps(["The chair is old.", "The cat sleeps."]),
    }.items():
        (root / name).write_text(text, encoding="utf-8")
    return root


def the_run(root: Path) -> Run:
    """The finished run, found whatever has become of it."""
    (folder,) = (path for path in (root / "runs").iterdir() if path.name[0] == "2")
    return Run(folder)


def _in_run(*names: str) -> Callable[[Path], list[Path]]:
    return lambda root: [path for name in names for path in sorted(the_run(root).folder.glob(name))]


def _stored(*names: str) -> Callable[[Path], list[Path]]:
    return lambda root: [path for name in names for path in sorted((root / "runs" / ".artifacts").glob(f"*/*/{name}"))]


def _at(*names: str) -> Callable[[Path], list[Path]]:
    return lambda root: [root / name for name in names]


def look_at_run(root: Path) -> None:
    """Everything that the pages, the command line and the report ask of a run, each on its own."""
    run = the_run(root)
    firsts: list[InputError] = []

    def each(*asked: Callable[[], Any]) -> None:
        for ask in asked:
            try:
                ask()
            except InputError as error:
                firsts.append(error)

    list_runs(root / "runs")
    run_table([run])
    named(root / "runs")
    each(
        lambda: open_run(run.id, root / "runs"), lambda: run.config, lambda: run_report(run), lambda: list(run.events())
    )
    each(lambda: kept_rankings(run), lambda: base_levels(run), lambda: different_settings(run, run), run.own_files)
    each(run.status, run.at_work, run.damage, run.ranking, run.massive, run.ranking_history, run.recipe)
    each(run.concept_facts, run.states, run.metrics, run.generations, run.search)
    each(lambda: run.sentences("train"), lambda: run.sentences("held_out"), run.recipe_files, run.training_text)
    for state in ("base", "pruned", "retrained"):
        each(*(partial(ask, state) for ask in (run.measurement, run.written, run.distance)))
    each(lambda: Statistics.load(run.ranking_folder() / "statistics.npz"))
    each(run.manifest.worker, run.manifest.references, lambda: run.manifest.kept("rank"), lambda: run.note("shown"))
    each(lambda: status(run.training_folder), lambda: loss_curve(run.training_folder))
    if firsts:
        raise firsts[0]


def look_at_imported(root: Path) -> None:
    """The same, with records that say of the results what they are: as an enemy would make a zip of a run."""
    for record in (root / "runs" / ".artifacts").glob("*/*/artifact.json"):
        content = json.loads(record.read_text(encoding="utf-8"))
        files = {name: {"size": path.stat().st_size, "hash": None} for name in content["files"]
                 if (path := record.parent / name).is_file()}  # fmt: skip
        if files != content["files"]:
            record.chmod(0o644)
            record.write_text(json.dumps(content | {"files": files}), encoding="utf-8")
    look_at_run(root)


def _look_at_model(root: Path) -> None:
    model = root / "experiment" / "model"
    inspect_model(str(model))
    find_weights(model)
    read_tokenizer(model)("The chair is old.")
    load_model(str(model), device="cpu")


def _look_at_job(root: Path) -> None:
    folder = the_run(root).training_folder
    status(folder), tail(folder), read_events(folder), loss_curve(folder), loss_curve(folder, "eval")
    is_working_in(folder)
    EventLog(folder, silent=True)


def _import(root: Path) -> None:
    target = root / "imported"
    try:
        look = import_run(root / "run.zip", target)
        run_report(look)
    finally:
        with suppress(OSError):
            assert not [path for path in target.iterdir() if path.name.startswith(".importing")]
        shutil.rmtree(target, ignore_errors=True)


def _unpack(root: Path) -> None:
    target = root / "unpacked"
    try:
        unpack_zip(root / "model.zip", target)
    finally:
        shutil.rmtree(target, ignore_errors=True)


def _texts(name: str) -> Callable[[Path], object]:
    return lambda root: list(read_texts(str(root / name)))


READERS: tuple[Reader, ...] = (
    Reader("config", _at("experiment/config.json"), lambda root: load_config(root / "experiment/config.json")),
    Reader("words", _at("experiment/words.txt"), lambda root: read_words(root / "experiment/words.txt")),
    Reader("neighbours", _at("experiment/words.txt"), lambda root: given_words(str(root / "experiment/words.txt"))),
    *(
        Reader(name, _at(name), _texts(name))
        for name in ("texts.txt", "texts.csv", "texts.jsonl", "texts.json")
    ),
    Reader(
        "tokens and labels", _at("tokens.txt", "labels.txt"),
        lambda root: read_tokens_labels(root / "tokens.txt", root / "labels.txt"),
    ),
    Reader(
        "model",
        lambda root: [path for path in sorted((root / "experiment/model").iterdir()) if path.is_file()],
        _look_at_model,
    ),
    Reader("model zip", _at("model.zip"), _unpack),
    Reader("recipe", _at("recipe/recipe.json", "recipe/mask.safetensors"), lambda root: Recipe.load(root / "recipe")),
    Reader(
        "run", _in_run("*.json", "*.jsonl", "recipe/*", "recipes/*/*", "data/*.json*", "work/*/*.jsonl", "inputs/*"),
        look_at_run,
    ),
    Reader(
        "results", _stored("artifact.json", "*.parquet", "measurements/*"), look_at_run,
    ),
    Reader(
        "imported", _stored("data/*.json*", "c*.json", "*s.json", "*.parquet", "*.npz", "measurements/*", "recipe/*"),
        look_at_imported,
    ),
    Reader("job", _in_run("retraining/*"), _look_at_job),
    Reader("run zip", _at("run.zip"), _import),
)  # fmt: skip
