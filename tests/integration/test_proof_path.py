"""`unlearn evaluate` and `unlearn audit` on a tiny model, from the command line to verdict.json."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.tiny_experiment import SEATS, write_experiment
from unlearning_core.cli.app import main
from unlearning_core.errors import Stopped
from unlearning_core.evaluation.parts import PARTS
from unlearning_core.evaluation.text_losses import gap_closed
from unlearning_core.models.loading import load_model
from unlearning_core.progress import Progress
from unlearning_core.runs.proof import prove
from unlearning_core.runs.run import Run

QUICK = {
    "questions": None, "max_statements": 8, "max_texts": 8, "max_questions": 8, "question_samples": 1,
    "prompt_samples": 1, "new_tokens": 4, "depth_texts": 4, "learning_rates": [1e-3, 1e-2], "relearning_steps": 2,
    "relearning_batch": 4, "attack_samples": 2,
}  # fmt: skip
THIN = ("losses", "questions", "writing")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished run with a model that never knew: the base with other noise in it."""
    folder = tmp_path_factory.mktemp("proof")
    config = write_experiment(folder, neural_probing={"ranker": "activation_ratio"}, proof=QUICK)
    twin = load_model(str(folder / "model"), dtype="float32")
    with torch.no_grad():
        for weight in twin.model.parameters():
            weight.add_(0.05 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(1)))
    twin.model.save_pretrained(folder / "twin")
    twin.tokenizer.save_pretrained(folder / "twin")
    settings = json.loads(config.read_text())
    settings["never_knew"] = {"model": str(folder / "twin")}
    config.write_text(json.dumps(settings))
    assert main(["run", str(config), "--output-dir", str(folder / "runs")]) == 0
    return Run(next((folder / "runs").glob("2*")))


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
    assert list(written["states"]) == ["pruned", "retrained", "never_knew"]
    # The gap as the frames have it, and nothing of it for the base.
    frames = {state: run.proof_frames("losses", state) or {} for state in ("base", "retrained", "never_knew")}
    rows = frames["never_knew"]["losses"]
    own = gap_closed(frames["base"], frames["retrained"], rows[rows["set"] == "statements"].reset_index(drop=True))
    assert own is not None
    assert written["gap_closed"] == pytest.approx(own.value)
    metrics = run.proof_metrics() or {}
    assert metrics["never_knew"]["gap_closed"] == pytest.approx(1.0)
    assert (run.folder / "verdict.json").is_file()
    for one in written["states"].values():
        named = [check["metric"] for check in one["checks"] if check["passed"] is False]
        assert one["failed"] == named
        assert (one["verdict"] == "forgotten") == all(check["passed"] for check in one["checks"])
    assert main(["report", str(run.folder)]) == 0
    assert written["sentence"] in capsys.readouterr().out


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
        if "questions" in (run.status().get("stage") or "") or update.task.startswith("measuring other"):
            raise Stopped("Stopped.")
        if run.status().get("stage") == "losses pruned":
            raise Stopped("Stopped.")

    before = len(states_measured(run))
    with pytest.raises(Stopped):
        prove(run, stop, parts=["losses"])
    assert states_measured(run)[before:] == ["losses base", "losses pruned"]
    prove(run, parts=["losses"])
    assert "losses base" not in states_measured(run)[before + 2 :]
    assert run.status()["state"] == "finished"


def test_the_settings_of_a_proof_make_no_other_run(run: Run, tmp_path: Path) -> None:
    config = json.loads(run.config_bytes())
    config["proof"]["relearning_steps"] = 3
    (tmp_path / "config.json").write_text(json.dumps(config))
    root = run.folder.parent
    assert main(["run", str(tmp_path / "config.json"), "--output-dir", str(root)]) == 0
    assert [path.name for path in root.glob("2*")] == [run.id]


def test_an_unknown_part_is_refused(run: Run) -> None:
    with pytest.raises(Exception, match="no part 'depht'"):
        prove(run, parts=["depht"])


def test_an_audit_of_the_base_itself_finds_that_nothing_is_forgotten(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = run.config.base_model.base_model_path
    sentences = str(run.config.neural_probing.sentences)
    (tmp_path / "words.txt").write_text("\n".join(SEATS))
    command = ["audit", base, base, "--words", str(tmp_path / "words.txt"), "--sentences", sentences, "--quick"]
    assert main([*command, "--output-dir", str(tmp_path / "runs"), "--json", str(tmp_path / "a.json")]) == 0
    found = json.loads((tmp_path / "a.json").read_text())
    assert found["verdict"] == "not forgotten"
    # A random model knows nothing of the concept: there is no gap to close.
    assert (found["gap_closed"], found["retain_delta"]) == (None, 0.0)
    audited = Run(Path(capsys.readouterr().out.splitlines()[-1]))
    assert audited.states() == ["base", "candidate"]
    assert audited.status()["stages"]["candidate"]["summary"]["same_weights"] is True


def test_an_audit_of_another_vocabulary_is_refused_with_the_reason(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sentences = str(run.config.neural_probing.sentences)
    (tmp_path / "words.txt").write_text("\n".join(SEATS))
    base = run.config.base_model.base_model_path
    command = ["audit", base, "smallworld", "--words", str(tmp_path / "words.txt"), "--sentences", sentences, "--quick"]
    assert main([*command, "--output-dir", str(tmp_path / "runs")]) == 2
    assert "candidate model smallworld has another vocabulary" in capsys.readouterr().err
