"""A run is a folder: its settings, its state, its log and what each stage left; every file whole or not at all."""

import hashlib
import json
import os
import re
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unlearning_core.config import ExperimentConfig, build_config, read_config_values
from unlearning_core.errors import InputError
from unlearning_core.files import disk_errors, write_file, write_json
from unlearning_core.jobs.liveness import PROCESS_FILE, alive
from unlearning_core.logs import redact

if TYPE_CHECKING:
    import pandas as pd

    from unlearning_core.concepts.labelling import LabelledSet
    from unlearning_core.edits.mask import Shapes
    from unlearning_core.edits.recipe import Recipe
    from unlearning_core.evaluation.likelihood import Measurement
    from unlearning_core.evaluation.never_knew import Distance

RUN_ID = re.compile(r"\d{8}-\d{6}-[\w.-]+-[0-9a-f]{6}")


@dataclass(frozen=True)
class Run:
    """A run folder.

    Attributes:
        folder: `<root>/<time>-<label>-<short id>`; its name is the run's id.
    """

    folder: Path

    @property
    def id(self) -> str:
        """What the URL and the CLI call this run."""
        return self.folder.name

    @property
    def config(self) -> ExperimentConfig:
        """The complete, resolved settings; raises InputError when the file was damaged."""
        return build_config(read_config_values(self.folder / "config.json"), origin=f"{self.folder}/config.json")

    def save_config(self, config: ExperimentConfig) -> None:
        """Replace the settings; stages whose inputs this changes run again the next time."""
        write_json(self.folder / "config.json", config.model_dump())
        self.set_status(config_digest=config_digest(config))

    def status(self) -> dict[str, Any]:
        """`{"state", "stage", "message", "stages": {name: {"state", "fingerprint", "seconds", "summary"}}}`."""
        path = self.folder / "status.json"
        if not path.is_file():
            return {"state": "new", "stage": None, "message": "", "stages": {}}
        return json.loads(path.read_text(encoding="utf-8"))

    def at_work(self) -> bool:
        """Whether a process works on it: a command's, this one, or one in the background (each has a folder)."""
        try:
            status = self.status()
        except ValueError:  # damaged: nobody can go on with it
            status = {}
        working = status.get("process") if status.get("state") == "running" else None
        files = [path for depth in ("*", "*/*") for path in self.folder.glob(f"{depth}/{PROCESS_FILE}")]
        recorded = [self.read_json(str(path.relative_to(self.folder))) for path in files]
        return any(alive(process) for process in (working, *recorded) if process)

    def set_status(self, **changes: Any) -> None:
        """Change the run's own state (new, running, stopped, failed, finished), the current stage or the message."""
        write_json(self.folder / "status.json", self.status() | changes | {"updated": _now()})

    def set_stage(self, name: str, **changes: Any) -> None:
        """Change what is known of one stage."""
        status = self.status()
        status["stages"][name] = status["stages"].get(name, {}) | changes
        write_json(self.folder / "status.json", status | {"updated": _now()})

    def event(self, kind: str, **values: Any) -> None:
        """Append a line to `events.jsonl`."""
        line = redact(json.dumps({"time": _now(), "kind": kind} | values, ensure_ascii=False, default=str))
        path = self.folder / "events.jsonl"
        with disk_errors(path), path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    def events(self) -> Iterator[dict[str, Any]]:
        """The events so far; a line still being written is left for the next call."""
        path = self.folder / "events.jsonl"
        if path.is_file():
            for line in path.read_text(encoding="utf-8").splitlines():
                try:
                    yield json.loads(line)
                except json.JSONDecodeError:
                    continue

    def read_json(self, name: str) -> Any:
        """A JSON file of the run, or None when the stage that writes it has not run."""
        path = self.folder / name
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None

    def fingerprint(self, step: str) -> str | None:
        """Identity of the result of a stage, for a cache key; None while there is no finished one."""
        known = self.status()["stages"].get(step, {})
        return known.get("fingerprint") if known.get("state") == "finished" else None

    def ranking(self) -> "pd.DataFrame":
        """The ranking (columns site, layer, index, score, rank, protected); InputError while there is none."""
        return self._table("ranking.parquet")

    def massive(self) -> "pd.DataFrame":
        """The massive neurons; InputError while the neurons are not ranked."""
        return self._table("massive.parquet")

    def _table(self, name: str) -> "pd.DataFrame":
        import pandas as pd

        if not (self.folder / name).is_file():
            raise InputError(f"The neurons of the run {self.id} are not ranked yet. Rank them first.")
        return pd.read_parquet(self.folder / name)

    def ranking_history(self) -> list[dict[str, Any]]:
        """How the training behind the ranking went, step by step; empty for a method that trains nothing."""
        return self.read_json("course.json") or []

    def sentences(self, part: str) -> "LabelledSet":
        """The labelled sentences of `train` or `held_out`; WorkFailed while they are not labelled."""
        from unlearning_core.runs.context import RunContext

        return RunContext(self).sentences(part)

    def concept_facts(self) -> dict[str, Any] | None:
        """What was counted when the sentences were labelled."""
        return self.read_json("data/concept.json")

    def recipe(self, shapes: "Shapes | None" = None) -> "Recipe":
        """The recipe of the cut that is kept; InputError where it is missing, damaged or not of these shapes."""
        from unlearning_core.edits.recipe import Recipe

        return Recipe.load(self.folder / "recipe", shapes)

    def recipe_files(self) -> dict[str, bytes]:
        """The files of the recipe by name."""
        return {name: (self.folder / "recipe" / name).read_bytes() for name in ("recipe.json", "mask.safetensors")}

    def model(self, state: str) -> Path:
        """The folder of a saved model; InputError while it is not there."""
        folder = self.folder / "models" / state
        if not folder.is_dir():
            raise InputError(f"This run has no {state} model yet. Bring the run up to date first.")
        return folder

    def has_model(self, state: str) -> bool:
        """Whether the model of that state is there; the base always is."""
        return state == "base" or (self.folder / "models" / state).is_dir()

    def states(self) -> list[str]:
        """The states whose model is there, the base first."""
        return [state for state in ("base", "pruned", "retrained") if self.has_model(state)]

    def measurement(self, state: str) -> "Measurement | None":
        """What was measured of a state."""
        import pandas as pd

        from unlearning_core.evaluation.likelihood import Measurement

        path = self.folder / "measurements" / f"{state}.parquet"
        return Measurement.from_sentences(pd.read_parquet(path)) if path.is_file() else None

    def distance(self, state: str) -> "Distance | None":
        """How far a state is from the model that never knew."""
        from unlearning_core.evaluation.never_knew import Distance

        folder = self.folder / "distances" / state
        return Distance.load(folder) if folder.is_dir() else None

    def written(self, state: str) -> list[dict[str, Any]] | None:
        """What a state wrote after the test prompts, as in generations.json."""
        return self.read_json(f"measurements/{state}.json")

    def metrics(self) -> dict[str, Any] | None:
        """The metrics by state."""
        return self.read_json("metrics.json")

    def generations(self) -> dict[str, Any] | None:
        """What every state wrote."""
        return self.read_json("generations.json")

    def training_report(self) -> list[dict[str, Any]] | None:
        """What the filter left and dropped of the training text."""
        return self.read_json("data/training/report.json")

    @property
    def training_folder(self) -> Path:
        """Where a training keeps how far it is."""
        return self.folder / "retraining"

    def note(self, name: str) -> Any:
        """A small JSON value kept beside the results ("guide", "pins", "model"), or None."""
        return self.read_json(_NOTES[name])

    def write_note(self, name: str, value: Any) -> None:
        """Keep a small JSON value beside the results; None removes it."""
        path = self.folder / _NOTES[name]
        if value is None:
            path.unlink(missing_ok=True)
        else:
            write_json(path, value)

    @property
    def kept_inputs_folder(self) -> Path:
        """Where uploads are kept."""
        return (self.folder / "inputs").resolve()

    def keep_input(self, name: str, content: bytes) -> Path:
        """Keep an uploaded file; returns where."""
        target = self.kept_inputs_folder / name
        write_file(target, lambda path: path.write_bytes(content))
        return target

    def config_bytes(self) -> bytes:
        """The settings as they lie on disk."""
        return (self.folder / "config.json").read_bytes()

    def work_folder(self, name: str) -> Path:
        """A folder for work that is no result (written sentences, how far a method is)."""
        return (self.folder / name).resolve()


_NOTES = {"guide": "guide.json", "pins": "pinned_neurons.json", "model": "model.json"}


def create_run(config: ExperimentConfig, root: Path | None = None) -> Run:
    """Make a new run folder under `root` (the config's output_dir) with the resolved config in it.

    Raises:
        InputError: there is no such ranker, or its parameters are not its own; nothing is made then.
    """
    from unlearning_core.rankers.registry import get_ranker

    get_ranker(config.neural_probing.ranker).check(config.neural_probing.ranker_parameters)
    base = root if root is not None else Path(config.output_dir)
    label = run_label(config)
    folder = base / f"{datetime.now():%Y%m%d-%H%M%S}-{label}-{secrets.token_hex(3)}"
    with disk_errors(folder):
        folder.mkdir(parents=True)
    run = Run(folder)
    run.save_config(config)
    run.set_status(state="new", stages={}, created=_now())
    return run


def run_label(config: ExperimentConfig) -> str:
    """A short name of model and concept for the folder's name."""
    probing = config.neural_probing
    model = Path(config.base_model.base_model_path).name or "model"
    concept = (
        probing.activations_label
        or (Path(probing.concept_definition).stem if isinstance(probing.concept_definition, str) else None)
        or (probing.concept_definition[0] if probing.concept_definition else "concept")
    )
    return re.sub(r"[^\w.-]+", "_", f"{model}-{concept}")[:60].strip("-_.") or "run"


def config_digest(config: ExperimentConfig) -> str:
    """Identity of the settings, whatever the folder they are run in."""
    return digest(config.model_dump(exclude={"output_dir"}))


def digest(value: Any) -> str:
    """SHA-256 of a JSON-able value, independent of key order."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=False, default=str).encode()).hexdigest()


def open_run(run_id: str, root: Path = Path("runs")) -> Run:
    """The run of that id.

    Raises:
        InputError: the id has a form no run has, or the folder is gone.
    """
    # The id may come from a URL: only names of the form that create_run gives are looked up.
    if not RUN_ID.fullmatch(run_id) or not (root / run_id / "config.json").is_file():
        raise InputError(f"There is no run {run_id!r} in {root}. Open one of the listed runs or start a new one.")
    return Run(root / run_id)


def list_runs(root: Path = Path("runs")) -> list[Run]:
    """All runs under `root`, newest first."""
    if not root.is_dir():
        return []
    names = sorted((path.name for path in root.iterdir() if RUN_ID.fullmatch(path.name)), reverse=True)
    return [Run(root / name) for name in names if (root / name / "config.json").is_file()]


def find_resumable(config: ExperimentConfig, root: Path) -> Run | None:
    """The newest run of exactly these settings, finished or not: its finished stages need not run again."""
    wanted = config_digest(config)
    for run in list_runs(root):
        if run.status().get("config_digest") == wanted:
            return run
    return None


def delete_run(run: Run) -> None:
    """Remove the run's folder whole: it is out of every list at once, or still there as it was.

    Raises:
        InputError: it is being worked on, or its folder may not be changed.
    """
    if run.at_work():
        raise InputError(f"The run {run.id} is being worked on. Stop it first, then delete it.")
    with disk_errors(run.folder):
        # A rename cannot be interrupted half-way; what lies under a name of this form is no run.
        away = Path(tempfile.mkdtemp(prefix=".deleted.", dir=run.folder.parent))
        try:
            os.replace(run.folder, away / run.id)
        finally:
            shutil.rmtree(away, ignore_errors=True)


def reuse(source: Path, target: Path) -> None:
    """Make `target` the same as `source`, by hard links where the file system has them: no second copy of a model."""
    if source.is_dir():
        shutil.copytree(source, target, copy_function=_link_or_copy, dirs_exist_ok=True)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        _link_or_copy(str(source), str(target))


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S%z")
