"""`unlearn evaluate` and `unlearn audit` on a tiny model, from the command line to verdict.json."""

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from safetensors.torch import load_file, save_file

from tests.tiny_models import save_tiny
from unlearning_core.cli.app import main
from unlearning_core.config.reading import build_config, read_config_values, starter_file
from unlearning_core.errors import Stopped
from unlearning_core.evaluation.parts import PARTS
from unlearning_core.evaluation.text_losses import gap_closed
from unlearning_core.files import ROOT
from unlearning_core.models import loading
from unlearning_core.progress import Progress
from unlearning_core.runs.pipeline import create_run, execute
from unlearning_core.runs.proof import prove
from unlearning_core.runs.run import Run
from unlearning_core.runs.transfer import export_run, import_run

SMALL = {
    "max_statements": 64, "max_texts": 32, "max_questions": 24, "question_samples": 1, "answer_tokens": 24,
    "prompt_samples": 1, "new_tokens": 24, "depth_texts": 8, "learning_rates": [1e-4, 3e-3], "relearning_steps": 8,
    "attack_samples": 2, "control": False,
}  # fmt: skip
THIN = ("losses", "questions", "writing")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished run: SmallWorld, cut by a quick ranking, beside its twin that never knew seats."""
    folder = tmp_path_factory.mktemp("proof")
    values = read_config_values(starter_file("smallworld"))
    values["neural_probing"] |= {
        "ranker": "activation_ratio", "ranker_parameters": {}, "prune_ratio": 0.02, "max_concept_sentences": 80,
        "max_retain_sentences": 80, "token_rows": {},
    }  # fmt: skip
    values |= {"methods": ["prune"], "test_prompts": ["Q: What is a chair? A:"]}
    values["generation"] = {"samples": 1, "max_new_tokens": 8}
    values["never_knew"] |= {"max_texts": 20, "max_questions": 10}
    values["proof"] |= SMALL
    run = create_run(build_config(values, folder=starter_file("smallworld").parent), folder / "runs")
    execute(run)
    return run


def states_measured(run: Run) -> list[str]:
    return [event["stage"] for event in run.events() if event["kind"] == "stage" and event["state"] == "running"]


def test_it_measures_every_state_judges_each_and_writes_what_scripts_read(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.json"
    assert main(["evaluate", str(run.folder), "--json", str(out)]) == 0
    printed = capsys.readouterr().out
    written: dict[str, Any] = json.loads(out.read_text())
    assert printed.splitlines()[-1] == f"Verdict: {written['verdict']}"
    assert set(written) >= {
        "gap_closed", "questions_answered", "retain_delta", "neighbour_delta", "other_sense_delta", "uds", "relearn",
        "attacks", "verdict",
    }  # fmt: skip
    assert set(written["relearn"]) == {"steps_50", "steps_90", "twin_steps_50", "worst_learning_rate"}
    assert set(written["attacks"]) == {part.name for part in PARTS.values() if part.attack}
    assert list(written["states"]) == ["pruned", "never_knew"]
    # The gap as the frames have it, and nothing of it for the base.
    frames = {state: run.proof_frames("losses", state) or {} for state in ("base", "pruned", "never_knew")}
    rows = frames["never_knew"]["losses"]
    own = gap_closed(frames["base"], frames["pruned"], rows[rows["set"] == "statements"].reset_index(drop=True))
    assert own is not None
    assert written["gap_closed"] == pytest.approx(own.value)
    metrics = run.proof_metrics() or {}
    assert metrics["never_knew"]["gap_closed"] == pytest.approx(1.0)
    # A suite that fails the model that never knew is wrong; so is one that passes a cut of neurons chosen badly.
    gone = [check for check in written["states"]["never_knew"]["checks"] if check["subject"] == "gone"]
    assert [check["sentence"] for check in gone if check["passed"] is False] == []
    assert written["verdict"] in ("not forgotten", "harmful")
    assert (run.folder / "verdict.json").is_file()
    for one in written["states"].values():
        named = [check["metric"] for check in one["checks"] if check["judges"] and check["passed"] is False]
        assert one["failed"] == named
        assert (one["verdict"] == "forgotten") == all(check["passed"] for check in one["checks"] if check["judges"])
    assert main(["report", str(run.folder)]) == 0
    assert written["sentence"] in capsys.readouterr().out
    assert main(["report", str(run.folder), "--model-card", "pruned"]) == 0
    card = capsys.readouterr().out
    front = yaml.safe_load(card.split("---")[1])
    assert "base_model" not in front  # the bundled model is none of the Hub's
    assert "# smallworld after unlearning: pruned" in card
    assert all(
        sentence in card for sentence in (written["sentence"], written["states"]["pruned"]["checks"][0]["sentence"])
    )
    assert main(["report", str(run.folder), "--model-card", "retrained"]) == 2


def test_an_exported_run_takes_its_evaluation_along(run: Run, tmp_path: Path) -> None:
    moved = import_run(export_run(run, tmp_path / "run.zip"), tmp_path / "runs")
    assert moved.verdict() == run.verdict() is not None
    for state in ("base", "pruned"):
        own, theirs = (one.proof_frames("losses", state) for one in (run, moved))
        assert own is not None
        assert theirs is not None
        pd.testing.assert_frame_equal(own["losses"], theirs["losses"])


def test_what_is_up_to_date_is_not_measured_again(run: Run) -> None:
    prove(run, parts=THIN)
    before = len(states_measured(run))
    prove(run, parts=THIN)
    assert len(states_measured(run)) == before


def test_a_stop_keeps_what_was_measured(run: Run) -> None:
    changed = run.config
    changed.proof.max_statements = 9
    run.save_config(changed)

    def stop(update: Progress) -> None:
        if run.status().get("stage") == "losses pruned":
            raise Stopped("Stopped.")

    before = len(states_measured(run))
    with pytest.raises(Stopped):
        prove(run, stop, parts=["losses"])
    assert states_measured(run)[before:] == ["losses base", "losses pruned"]
    prove(run, parts=["losses"])
    assert "losses base" not in states_measured(run)[before + 2 :]
    # What was measured with other settings is not in the verdict any more.
    metrics = run.proof_metrics() or {}
    assert metrics["pruned"]["statement_nll"] is not None
    assert "lens_told" not in metrics["pruned"]
    assert (run.verdict() or {})["states"]["pruned"]["verdict"] != "forgotten"
    assert run.status()["state"] == "finished"


def test_the_settings_of_a_proof_make_no_other_run(run: Run, tmp_path: Path) -> None:
    config = json.loads(run.config_bytes())
    config["proof"]["relearning_steps"] = 3
    (tmp_path / "config.json").write_text(json.dumps(config))
    root = run.folder.parent
    assert main(["run", str(tmp_path / "config.json"), "--output-dir", str(root)]) == 0
    assert [path.name for path in root.glob("2*")] == [run.id]
    assert run.config.proof.relearning_steps == 3


@pytest.mark.parametrize("name", ["questions", "attack_texts", "other_sense_texts", "prompts"])
def test_a_file_that_is_not_there_is_refused_before_anything_is_measured(
    run: Run, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before, good = len(states_measured(run)), run.config
    changed = run.config
    setattr(changed.proof, name, str(run.folder / "missing.txt"))
    run.save_config(changed)
    assert main(["evaluate", str(run.folder)]) == 2
    run.save_config(good)
    assert f"proof.{name}" in capsys.readouterr().err
    assert len(states_measured(run)) == before


def test_an_unknown_part_is_refused(run: Run) -> None:
    with pytest.raises(Exception, match="no part 'depht'"):
        prove(run, parts=["depht"])


def audited(run: Run, candidate: str, folder: Path, *, given: bool = True) -> tuple[int, Path]:
    """The exit code of an audit of SmallWorld, and where it wrote what it found."""
    (folder / "words.txt").write_text("chair\nbench\nsofa\nstool\n")
    sentences = str(folder / "sentences.jsonl")
    rows = [item.text for part in ("train", "held_out") for item in run.sentences(part).items]
    Path(sentences).write_text("".join(json.dumps({"text": text}) + "\n" for text in rows))
    command = [
        "audit",
        "smallworld",
        candidate,
        "--words",
        str(folder / "words.txt"),
        *(["--sentences", sentences] if given else []),
        "--quick",
    ]
    out = folder / "audit.json"
    return main([*command, "--output-dir", str(folder / "runs"), "--json", str(out)]), out


def test_an_audit_of_the_base_itself_finds_that_nothing_is_forgotten(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in set(PARTS) - set(THIN):  # the others are tried on the run above
        monkeypatch.delitem(PARTS, name)
    code, out = audited(run, "smallworld", tmp_path)
    assert code == 0
    found = json.loads(out.read_text())
    assert found["verdict"] == "not forgotten"
    assert (found["gap_closed"], found["questions_answered"], found["retain_delta"]) == (0.0, 1.0, 0.0)
    opened = Run(Path(capsys.readouterr().out.splitlines()[-1]))
    assert opened.states() == ["base", "candidate"]
    assert opened.status()["stages"]["candidate"]["summary"]["same_weights"] is True


def test_an_audit_of_another_vocabulary_is_refused_with_the_reason(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out = audited(run, str(save_tiny("llama", tmp_path / "other")), tmp_path)
    assert (code, out.exists()) == (2, False)
    assert "candidate model" in (said := capsys.readouterr().err)
    assert "another vocabulary than smallworld" in said


@pytest.mark.parametrize(("value", "given"), [(float("nan"), True), (float("inf"), True), (float("nan"), False)])
def test_an_audit_of_weights_that_are_no_numbers_is_refused_before_the_base_is_measured_or_writes(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
    value: float, given: bool,
) -> None:  # fmt: skip
    shutil.copytree(ROOT / "models" / "smallworld", tmp_path / "broken")
    path = tmp_path / "broken" / "model.safetensors"
    weights = load_file(path)
    name = sorted(weights)[3]
    weights[name].view(-1)[7] = value
    save_file(weights, path, metadata={"format": "pt"})
    loaded: list[str] = []
    load = loading.load_model
    monkeypatch.setattr(loading, "load_model", lambda source, **how: loaded.append(source) or load(source, **how))
    code, out = audited(run, str(tmp_path / "broken"), tmp_path, given=given)
    assert (code, out.exists(), loaded) == (2, False, [])
    said = capsys.readouterr().err
    assert f"the tensor {name} holds 1 numbers that are NaN or infinite" in said
    assert str(tmp_path / "broken") in said
    assert not list((tmp_path / "runs").glob("*/measurements/*"))
