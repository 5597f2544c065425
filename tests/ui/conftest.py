"""A tiny model on disk, runs in a folder of their own, and the app in Streamlit's test harness."""

import json
import math
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from streamlit.components.v2 import manifest_scanner
from streamlit.testing.v1 import AppTest

from tests.tiny_models import save_tiny
from tests.ui.pieces import NewRun, OpenPage
from unlearning_core.config.reading import build_config
from unlearning_core.runs.pipeline import create_run, execute
from unlearning_core.runs.run import Run

ROOT = Path(__file__).resolve().parents[2]
WORDS = ["chair", "sofa", "bench"]


def sentences() -> list[str]:
    """Twenty-four short sentences with a concept word and as many without."""
    things = ("table", "window", "door", "river", "garden", "station", "house", "market")
    with_concept = [f"She put the {word} beside the {thing} today." for word in WORDS for thing in things]
    without = [f"The {what} near the {thing} was quiet." for what in ("cat", "boat", "old man") for thing in things]
    return with_concept + without


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny("llama", tmp_path_factory.mktemp("model") / "tiny-llama")


@pytest.fixture(scope="session")
def sentence_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("text") / "sentences.json"
    path.write_text(json.dumps(sentences()), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def never_knew(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The section of a config that compares with another tiny model, on questions and on two sets of text."""
    folder = tmp_path_factory.mktemp("never-knew")
    asked = [
        {"prompt": f"Q: Where is the {word}? A:", "paraphrase": "Near the river.", "perturbed": [f"In the {thing}."]}
        for word in WORDS
        for thing in ("garden", "house")
    ]
    texts = sentences()
    for name, rows in {
        "questions": asked,
        "forget": [{"text": text} for text in texts[:10]],
        "retain": [{"text": text} for text in texts[-10:]],
    }.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return {
        "model": str(save_tiny("llama", folder / "model", seed=1)),
        "questions": str(folder / "questions.jsonl"),
        "forget_texts": str(folder / "forget.jsonl"),
        "retain_texts": str(folder / "retain.jsonl"),
    }


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this test's run folders are made."""
    monkeypatch.setenv("UNLEARNING_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("UNLEARNING_MODELS", str(tmp_path / "models"))
    monkeypatch.chdir(ROOT)
    return tmp_path / "runs"


@pytest.fixture(scope="session", autouse=True)
def packages_looked_through_once() -> Iterator[None]:
    """Every `AppTest` reads the metadata of all packages for components of Streamlit: a seventh of a second."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest_scanner, "scan_component_manifests", cache(manifest_scanner.scan_component_manifests))
        yield


@pytest.fixture(autouse=True)
def no_curves(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that wants the curves of a cut computes them; the Prune page would start a process for every run."""
    monkeypatch.setattr(
        "unlearning_core.runs.sweep.RunSweep.start", lambda sweep, *limits: sweep._job.mkdir(parents=True)
    )
    # Whether they are started unasked depends on how fast the machine is at the moment.
    monkeypatch.setattr("pages.components.prune.cut_curves.AT_ONCE", math.inf)


@pytest.fixture
def new_run(runs: Path, tiny_folder: Path, sentence_file: Path) -> NewRun:
    """Makes a run of the tiny model, brought up to date through a stage."""

    def make(until: str | None = None, **sections: dict) -> Run:
        values: dict = {
            "base_model": {"base_model_path": str(tiny_folder)},
            "neural_probing": {
                "concept_definition": WORDS, "sentences": str(sentence_file), "activations_label": "seats",
                "prune_ratio": 0.05, "ranker": "activation_ratio",
            },
            "retraining": {"max_steps": 4, "batch_size": 4, "learning_rate": 1e-3, "max_length": 64},
            "generation": {"max_new_tokens": 6, "samples": 2},
            "test_prompts": ["The chair", "She put the"],
            "output_dir": str(runs),
        }  # fmt: skip
        for name, change in sections.items():
            values[name] = values.get(name, {}) | change
        run = create_run(build_config(values), runs)
        if until is not None:
            execute(run, until=until)
        return run

    return make


@pytest.fixture
def open_page(runs: Path) -> OpenPage:
    """The app at a page, on a run or on none."""

    def open_at(page: str, run: Run | None = None) -> AppTest:
        app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=600)
        if run is not None:
            app.query_params["run"] = run.id
        app.run()
        if page != "start":
            app.switch_page(f"pages/{page}.py").run()
        return app

    return open_at


@pytest.fixture
def at_neuron(runs: Path) -> OpenPage:
    """The Neurons page of a run with a neuron in its link."""

    def open_at(run: Run, neuron: str) -> AppTest:
        app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=600)
        app.query_params["run"] = run.id
        app.run()
        app.switch_page("pages/neurons.py")
        app.query_params["neuron"] = neuron
        return app.run()

    return open_at
