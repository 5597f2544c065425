"""A method of one's own: a function and a row of the registry, and everything else knows of it."""

import json
from pathlib import Path

import pytest
import torch
from pydantic import BaseModel, Field

from tests.tiny_experiment import write_experiment
from unlearning_core.cli.app import main
from unlearning_core.methods.method import Method, MethodInput, Summary
from unlearning_core.methods.registry import METHODS
from unlearning_core.runs.run import Run


class Parameters(BaseModel):
    """Of the toy method."""

    factor: float = Field(0.9, gt=0, lt=1, description="what the weights of the head are multiplied with")


def shrink(given: MethodInput, parameters: Parameters) -> Summary:
    """Shrink the output head: every word becomes likelier to be any other."""
    loaded = given.load()
    with torch.no_grad():
        loaded.model.get_output_embeddings().weight.mul_(parameters.factor)
    given.save(loaded)
    return {"factor": parameters.factor}


SHRINK = Method("shrink", "Shrink the head", "Makes the model less sure of everything.", "shrunk", Parameters, shrink)


@pytest.fixture
def experiment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The words of the command that runs it after a cut."""
    monkeypatch.setitem(METHODS, SHRINK.name, SHRINK)
    config = write_experiment(tmp_path, neural_probing={"ranker": "activation_ratio"})
    given = json.loads(config.read_text()) | {"methods": ["prune", {"name": "shrink", "parameters": {"factor": 0.5}}]}
    config.write_text(json.dumps(given))
    return ["run", str(config), "--output-dir", str(tmp_path / "runs")]


def test_it_is_listed_run_measured_and_reported(experiment: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["methods"]) == 0
    assert "Makes the model less sure of everything." in capsys.readouterr().out
    assert main(experiment) == 0
    printed = capsys.readouterr().out
    run = Run(Path(printed.splitlines()[-1]))
    metrics = run.metrics() or {}
    assert list(metrics) == ["base", "pruned", "shrunk"]
    assert metrics["shrunk"]["concept_nll"] != metrics["pruned"]["concept_nll"]
    assert "shrunk" in printed.splitlines()[1]
    assert run.status()["stages"]["shrink"]["summary"] == {"factor": 0.5}
    assert main(["report", str(run.folder)]) == 0
    assert '<th scope="col">Shrunk</th>' in capsys.readouterr().out


def test_what_it_makes_is_made_again_only_when_it_has_changed(
    experiment: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from dataclasses import replace

    def fingerprints() -> dict[str, str]:
        assert main(experiment) == 0
        run = Run(Path(capsys.readouterr().out.splitlines()[-1]))
        return {name: known["fingerprint"] for name, known in run.status()["stages"].items()}

    first = fingerprints()
    assert fingerprints() == first
    monkeypatch.setitem(METHODS, SHRINK.name, replace(SHRINK, version=2))
    changed = {name for name, found in fingerprints().items() if found != first[name]}
    assert changed == {"shrink", "measure shrunk", "report"}


@pytest.mark.parametrize(
    ("methods", "sentence"),
    [
        (["shrinks"], "no method called 'shrinks'. Did you mean 'shrink'"),
        (["prune", "prune"], "names 'prune' 2 times"),
        ([{"name": "shrink", "parameters": {"factor": 2}}], "'factor' of the method 'shrink' is 2"),
        ([{"name": "prune", "parameters": {"prune_ratio": 0.1}}], "stand in the section neural_probing"),
    ],
)
def test_what_cannot_be_done_is_said_before_a_run_is_made(
    experiment: list[str], methods: list[object], sentence: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main([*experiment, "--set", f"methods={json.dumps(methods)}"]) == 2
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "runs").exists() or not list((tmp_path / "runs").glob("2*"))
