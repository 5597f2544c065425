"""One run: its settings, what it came to, and the few things that are kept beside; nobody else knows its folder.

Results live in the store (runs/store.py), each written once; the run points at them (runs/manifest.py). Its folder
shows them under the names that people and scripts open (`metrics.json`, `ranking.parquet`, `recipe/`,
`models/pruned`): further names of the same files, which nothing writes through.
"""

import json
import logging
import re
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unlearning_core.concepts.labelled_files import read_labelled
from unlearning_core.concepts.labelling import LabelledSet
from unlearning_core.config.reading import build_config, read_config_values
from unlearning_core.config.schema import ExperimentConfig
from unlearning_core.errors import InputError
from unlearning_core.files import PROGRAM, disk_errors, read_object, write_file, write_json
from unlearning_core.jobs.liveness import PROCESS_FILE, is_alive
from unlearning_core.logs import redact
from unlearning_core.reading import parse_lines, read_json, read_table
from unlearning_core.runs import forms
from unlearning_core.runs.manifest import Manifest, kind_of
from unlearning_core.runs.store import Artifact, Store, digest, file_list, has_sizes, is_whole, link, now

if TYPE_CHECKING:
    import pandas as pd

    from unlearning_core.edits.mask import Shapes
    from unlearning_core.edits.recipe import Recipe
    from unlearning_core.evaluation.measurement import Measurement
    from unlearning_core.evaluation.never_knew import Distance

CONFIG, EVENTS, LOG = "config.json", "events.jsonl", "log.txt"

BEFORE_A_CUT = {"label", "rank", "measure base", "distance base", "search", "filter"}
"""Stages whose results an earlier version never wrote through."""
_NOTE = re.compile(r"[a-z_]+")

MEND = "Delete the file and resume the run: it is made again."
"""What to do about a damaged result."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Run:
    """A run.

    Attributes:
        folder: its folder, whose name is the run's id; the results of all runs beside it are in one store.
    """

    folder: Path

    @property
    def id(self) -> str:
        """What the URL and the CLI call this run."""
        return self.folder.name

    @property
    def store(self) -> Store:
        """Where its results are, and those of the runs beside it."""
        return Store(self.folder.parent)

    @property
    def manifest(self) -> Manifest:
        """What it points at, how far it is, who works on it."""
        return Manifest(self.folder)

    # Settings, state, events

    @property
    def config(self) -> ExperimentConfig:
        """The complete, resolved settings; raises InputError when the file was damaged."""
        return build_config(read_config_values(self.folder / CONFIG), origin=f"{self.folder}/{CONFIG}")

    def config_bytes(self) -> bytes:
        """`config.json` as it is."""
        return (self.folder / CONFIG).read_bytes()

    def save_config(self, config: ExperimentConfig) -> None:
        """Replace the settings; stages whose inputs this changes run again the next time.

        Raises:
            InputError: the run was deleted meanwhile.
        """
        with self.manifest.there():
            write_json(self.folder / CONFIG, config.model_dump(), make_folder=False)
        self.manifest.update(config_digest=config_digest(config))

    def status(self) -> dict[str, Any]:
        """`{"state", "stage", "message", "stages": {name: {"state", "fingerprint", "seconds", "summary"}}}`."""
        return self.manifest.read()

    def at_work(self) -> bool:
        """Whether a process works on it or in it: a command's, this one, or one in the background."""
        if self.manifest.worker() is not None:
            return True
        files = [path for depth in ("*", "*/*") for path in self.folder.glob(f"{depth}/{PROCESS_FILE}")]
        return any(is_alive(process) for path in files if (process := read_object(path)))

    def event(self, kind: str, **values: Any) -> None:
        """Append a line to `events.jsonl`."""
        line = redact(json.dumps({"time": now(), "kind": kind} | values, ensure_ascii=False, default=str))
        path = self.folder / EVENTS
        with disk_errors(path), path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    def events(self) -> Iterator[dict[str, Any]]:
        """The events so far; a line still being written is left for the next call, one that is none is left out."""
        path = self.folder / EVENTS
        for event in parse_lines(path.read_bytes().split(b"\n") if path.is_file() else []):
            if isinstance(event, dict) and isinstance(event.get("kind"), str):
                yield event

    @property
    def log_file(self) -> Path:
        """Its log."""
        return self.folder / LOG

    # Results

    def fingerprint(self, step: str) -> str | None:
        """Identity of a stage's result: changes when the result does; None while there is none."""
        return self.status()["stages"].get(step, {}).get("fingerprint")

    def result(self, step: str) -> Artifact | None:
        """The finished result of a stage."""
        return self.store.get(kind_of(step), self.fingerprint(step))

    def file(self, step: str, name: str) -> Path | None:
        """A file or folder of a stage's result: in the store, or in the folder of a run that was copied here."""
        state = self.status()["stages"].get(step, {})
        if state.get("state") != "finished":
            return None
        artifact = self.store.get(kind_of(step), state.get("fingerprint"))
        path = (artifact.folder if artifact is not None else self.folder) / name
        return path if path.exists() else None

    def point(self, step: str, artifact: Artifact, *, taken_from: str | None = None) -> None:
        """Make `artifact` the result of a stage; `show` then gives its files their names in the run's folder."""
        self.drop(step)
        self.manifest.finish(step, artifact, taken_from=taken_from)

    def drop(self, step: str) -> None:
        """The stage is being made anew: until then the run has no result of it, and shows none."""
        # In this order: whoever is killed in between leaves a result that is not shown, never one of before.
        self._hide(self.status()["stages"].get(step, {}).get("files") or {})
        self.manifest.drop(step)

    def show(self, artifact: Artifact) -> None:
        """Give the files of `artifact` their names in the run's folder, in place of what was there."""
        names = list(artifact.record["files"])
        with disk_errors(self.folder):
            self._hide(names)
            for name in names:
                link(artifact.path(name), self.folder / name)

    def _hide(self, names: Iterable[str]) -> None:
        for name in names:
            path = self.folder / name
            if name.startswith("models/"):  # whole: stock transformers reads whatever lies beside the weights
                shutil.rmtree(path.parent, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)

    def shows(self, artifact: Artifact) -> bool:
        """Whether the files of `artifact` are there under their names."""
        return has_sizes(self.folder, artifact.record.get("files", {}))

    def adopt(self, step: str, outputs: Iterable[str]) -> Artifact | None:
        """The result of a stage that came with the folder, of a copied run or an earlier version, put into the store.

        None where the files are not all there, or not whole.
        """
        state = self.status()["stages"].get(step, {})
        there = [path for name in outputs for path in _files(self.folder / name)]
        files = {path.relative_to(self.folder).as_posix(): path for path in there}
        known = state.get("files")
        whole = is_whole(self.folder, known) if known else all((self.folder / name).exists() for name in outputs)
        if state.get("state") != "finished" or not whole or not files or (self.damage() and step not in BEFORE_A_CUT):
            return None
        chosen = {name: path for name, path in files.items() if not known or name in known}
        fingerprint, summary = state["fingerprint"], state.get("summary") or {}
        return self.store.adopt(kind_of(step), fingerprint, chosen, summary, state.get("seconds") or 0.0)

    def damage(self) -> str | None:
        """A sentence when files of this run are those of another one, as an earlier version could leave them.

        Told by the recipe, whose number of cut neurons is then not the one that the prune stage noted.
        """
        state = self.status()["stages"].get("prune", {})
        if state.get("files") or state.get("state") != "finished":
            return None
        cut, noted = read_object(self.folder / "recipe" / "recipe.json").get("cut"), state.get("summary", {}).get("cut")
        if cut is None or noted is None or cut == noted:
            return None
        return (
            f"The run {self.id} is damaged: its prune stage cut {noted:,} neurons, but its recipe names {cut:,}. An "
            "earlier version of the workbench has written another run's models into it. Resume it: they are made again."
        )

    def ranking(self) -> "pd.DataFrame":
        """The ranking (columns site, layer, index, score, rank, protected); raises InputError while there is none."""
        return read_table(self.ranking_file(), forms.RANKING, mend=MEND)

    def massive(self) -> "pd.DataFrame":
        """The neurons that write the attention sink; raises InputError while none are ranked."""
        path = self._needed("rank", "massive.parquet", "The neurons of this run are not ranked yet.")
        return read_table(path, forms.MASSIVE, mend=MEND)

    def ranking_folder(self) -> Path:
        """The folder of what a pass kept: `statistics.npz` and `massive.parquet`; raises InputError likewise."""
        return self._needed("rank", "statistics.npz", "The neurons of this run are not ranked yet.").parent

    def ranking_history(self) -> list[dict[str, float]]:
        """How the training behind the ranking went, step by step; empty for a method that trains nothing."""
        return self._json("rank", "course.json", forms.History) or []

    def ranking_file(self) -> Path:
        """The file of the ranking; raises InputError while there is none."""
        return self._needed("rank", "ranking.parquet", "The neurons of this run are not ranked yet.")

    def sentences_file(self, part: str) -> Path:
        """The file of the labelled sentences; raises InputError while there are none."""
        return self._needed("label", f"data/{part}.jsonl", "The sentences of this run are not labelled yet.")

    def sentences(self, part: str) -> LabelledSet:
        """The labelled sentences of `train` or `held_out`; raises InputError while there are none."""
        return LabelledSet(read_labelled(self.sentences_file(part)), 0)

    def concept_facts(self) -> dict[str, Any] | None:
        """What labelling counted, or None while nothing is labelled."""
        return self._json("label", "data/concept.json", forms.ConceptFacts)

    def recipe(self, shapes: "Shapes | None" = None) -> "Recipe":
        """Which neurons are cut; raises InputError while there is no cut, or where it is not of a model of `shapes`."""
        from unlearning_core.edits.recipe import Recipe

        return Recipe.load(self._needed("prune", "recipe", "This run has no cut yet."), shapes)

    def recipe_files(self) -> dict[str, bytes]:
        """The files of the recipe, by name."""
        folder = self._needed("prune", "recipe", "This run has no cut yet.")
        try:
            return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
        except OSError as error:
            raise InputError(f"{folder} cannot be read ({error.strerror or error}). {MEND}") from error

    def states(self) -> list[str]:
        """The states of the model that are there, "base" first, then in the order of the methods."""
        from unlearning_core.methods.registry import methods_of

        return ["base", *(method.state for method, _ in methods_of(self.config) if self.has_model(method.state))]

    def has_model(self, state: str) -> bool:
        """Whether the model of that state is there."""
        return self._model(state) is not None

    def model(self, state: str) -> Path:
        """The folder of a saved model, as `from_pretrained` takes it.

        Raises:
            InputError: it is not there yet.
        """
        path = self._model(state)
        if path is None:
            raise InputError(
                f"The run {self.id} has no {state} model yet. Bring it there first: {PROGRAM} resume {self.folder}"
            )
        return path

    def _model(self, state: str) -> Path | None:
        from unlearning_core.methods.registry import CONTROL, method_of_state

        method = method_of_state(state)
        step = method.name if method is not None else CONTROL if state == CONTROL else None
        return self.file(step, f"models/{state}") if step is not None else None

    def measurement(self, state: str) -> "Measurement | None":
        """Losses of that state on the held-out sentences, or None while they are not measured."""
        from unlearning_core.evaluation.measurement import Measurement

        path = self.file(f"measure {state}", f"measurements/{state}.parquet")
        return Measurement.load(path) if path is not None else None

    def distance(self, state: str) -> "Distance | None":
        """How far that state is from the never-knew model, or None while that is not measured."""
        from unlearning_core.evaluation.never_knew import Distance

        path = self.file(f"distance {state}", f"distances/{state}")
        return Distance.load(path) if path is not None and self.config.never_knew.model is not None else None

    def written(self, state: str) -> list[dict[str, Any]] | None:
        """What that state writes after the test prompts, or None while it has not."""
        return self._json(f"measure {state}", f"measurements/{state}.json", forms.Written)

    def metrics(self) -> dict[str, Any] | None:
        """`metrics.json`: values by state and metric, or None while the run has no report."""
        return self._json("report", "metrics.json", forms.Metrics)

    def generations(self) -> dict[str, Any] | None:
        """`generations.json`: texts by state, or None while the run has no report."""
        return self._json("report", "generations.json", forms.Generations)

    def proof_frames(self, part: str, state: str) -> "dict[str, pd.DataFrame] | None":
        """What a part of an evaluation measured of that state, by name of the table; None while it has not."""
        folder = self.file(f"{part} {state}", f"proof/{part}/{state}")
        return None if folder is None else _tables(folder)

    def benchmark_frames(self, task: str, state: str) -> "dict[str, pd.DataFrame] | None":
        """What that state scored in a task of the harness: `scores` and `samples`; None while it was not measured."""
        folder = self.file(f"benchmark {task} {state}", f"benchmarks/{task}/{state}")
        return None if folder is None else _tables(folder)

    def proof_metrics(self) -> dict[str, Any] | None:
        """The metrics of the evaluation, by state, as `metrics` gives those of the path; None while there is none."""
        return self._json("verdict", "proof/metrics.json", forms.Metrics)

    def verdict(self) -> dict[str, Any] | None:
        """`verdict.json`: what the evaluation came to, or None while there is none."""
        return self._json("verdict", "verdict.json", forms.Verdict)

    def search(self) -> dict[str, Any] | None:
        """What the search for a cut found, or None where there was none."""
        return self._json("search", "search.json", forms.Found)

    def training_text(self) -> Path:
        """The folder of the filtered text, with `train` and `validation`; raises InputError while there is none."""
        return self._needed("filter", "data/training", "The training text of this run is not filtered yet.")

    def _needed(self, step: str, name: str, missing: str) -> Path:
        path = self.file(step, name)
        if path is None:
            raise InputError(f"{missing} Bring it there first: {PROGRAM} resume {self.folder} --until {step}")
        return path

    def _json(self, step: str, name: str, form: Any) -> Any:
        path = self.file(step, name)
        return read_json(path, form, mend=MEND) if path is not None else None

    # What is kept beside the results

    def note(self, name: str) -> Any:
        """A small thing that is remembered with the run, JSON-able, or None; one that is damaged is forgotten."""
        path = self._note(name)
        if not path.is_file():
            return None
        try:
            return read_json(path, forms.NOTES.get(name, object), mend=MEND)
        except InputError as error:
            log.warning("%s", error)
            return None

    def write_note(self, name: str, value: Any) -> None:
        """Remember it; None forgets it.

        Raises:
            InputError: the run was deleted meanwhile.
        """
        if value is None:
            self._note(name).unlink(missing_ok=True)
        else:
            with self.manifest.there():
                write_json(self._note(name), value, make_folder=False)

    def _note(self, name: str) -> Path:
        assert _NOTE.fullmatch(name), name
        return self.folder / f"{name}.json"

    @property
    def kept_inputs_folder(self) -> Path:
        """Where files are kept that a person uploaded, or that the settings name and the run cannot do without."""
        return self.folder / "inputs"

    def keep_input(self, name: str, content: bytes) -> Path:
        """Keep a file with the run; returns where."""
        target = self.kept_inputs_folder / name
        write_file(target, lambda path: path.write_bytes(content))
        return target.resolve()

    @property
    def training_folder(self) -> Path:
        """Where a training that runs, or was stopped, keeps its events, status and checkpoints."""
        return self.folder / "retraining"

    def job_folder(self, name: str) -> Path:
        """Where a process in the background keeps what it is told and what it says."""
        return self.folder / "jobs" / name

    def work_folder(self, name: str) -> Path:
        """Where work that takes long keeps how far it is."""
        return self.folder / "work" / name

    @property
    def tuning_folder(self) -> Path:
        """Where the recipes are that were tried for this run, and what came of them (runs/tuning/)."""
        return self.folder / "tuning"

    @property
    def reproduce_file(self) -> Path:
        """The settings of the recipe that was taken, with the versions that it was found with: `run` takes it."""
        return self.folder / "reproduce.json"

    @property
    def recipes_folder(self) -> Path:
        """Where cuts are kept that a person gave a name."""
        return self.folder / "recipes"

    def own_files(self) -> list[Path]:
        """What the run has beside its results: settings, manifest, log, notes, inputs, named recipes."""
        results = {name for state in self.status()["stages"].values() for name in state.get("files") or {}}
        top = [path for path in self.folder.iterdir() if path.suffix in (".json", ".jsonl", ".txt")]
        told = [self.training_folder / name for name in ("events.jsonl", "status.json")]
        folders = (self.kept_inputs_folder, self.recipes_folder, self.tuning_folder)
        kept = [path for folder in folders for path in folder.rglob("*")]
        files = [path for path in (*top, *told, *kept) if path.is_file() and path.name != "worker.json"]
        return [path for path in files if path.relative_to(self.folder).as_posix() not in results]


def config_digest(config: ExperimentConfig) -> str:
    """Identity of the settings, whatever the folder they are run in and however its outcome is checked."""
    values = config.model_dump(exclude={"output_dir", "proof"})
    if values["methods"] is None:  # as before there were any to choose
        del values["methods"]
    for name in ("picked_neurons", "layer_ratios"):  # likewise
        if not values["neural_probing"][name]:
            del values["neural_probing"][name]
    return digest(values)


def _tables(folder: Path) -> "dict[str, pd.DataFrame]":
    return {path.stem: read_table(path, {}, mend=MEND) for path in sorted(folder.glob("*.parquet"))}


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        return [path / name for name in file_list(path)]
    return [path] if path.is_file() else []
