"""What can be known before the work begins is refused then: no stage has run, no folder is left behind."""

import json
from pathlib import Path

import pytest

from tests.tiny_experiment import write_experiment
from unlearning_core.cli import main
from unlearning_core.config.reading import load_config
from unlearning_core.errors import InputError, WorkFailed
from unlearning_core.rankers.registry import RANKERS
from unlearning_core.runs import room
from unlearning_core.runs.pipeline import create_run, execute
from unlearning_core.runs.plan import plan


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checked")
    write_experiment(folder, neural_probing={"ranker": "activation_ratio"}, retraining={"max_steps": 3})
    (folder / "chat.jsonl").write_text('{"numbers": [1, 2]}\n', encoding="utf-8")
    (folder / "half.csv").write_text("id,body\n1,A dog ran.\n", encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("assignment", "expected"),
    [
        ("retraining.learning_rate=2", "retraining.learning_rate is 2"),
        ("retraining.learning_rate=0", "retraining.learning_rate is 0"),
        ("retraining.num_train_epochs=1e-9", "retraining.num_train_epochs is 1e-09"),
        ("retraining.num_train_epochs=1e9", "retraining.num_train_epochs"),
        ("retraining.weight_decay=11", "retraining.weight_decay is 11"),
        ("retraining.batch_size=70000", "retraining.batch_size is 70000"),
        ("retraining.max_length=99999", "retraining.max_length is 99999"),
        ("retraining.dataset=none.jsonl", "retraining.dataset: none.jsonl does not exist"),
        ("retraining.dataset=CHAT", "retraining.dataset: "),
        ("retraining.dataset=HALF", "retraining.dataset: "),
        ("retraining.train_dataset_path=none.txt", "retraining.train_dataset_path: none.txt"),
        ("neural_probing.retain_corpus=none.txt", "neural_probing.retain_corpus: none.txt"),
        ("neural_probing.neighbours=none.txt", "neural_probing.neighbours: none.txt"),
        ("neural_probing.prune_ratio=0.00001", "cuts 0 neurons of 144"),
        ("neural_probing.protected_layers=[7]", "names layer 7"),
        ("neural_probing.protected_layers=[0, 1, 2]", "layers are protected"),
        ('neural_probing.excluded_neurons=[["mlp", 0, 999]]', "mlp layer 0 neuron 999"),
        ('test_prompts=["Anna", "  "]', "test_prompts: prompt 2 is empty"),
        (f'test_prompts=["{"a chair " * 300}"]', "test_prompts: prompt 1 is"),
        ("generation.samples=0", "generation.samples is 0"),
        ("seed=4294967296", "seed is 4294967296"),
        ("base_model.num_layers=9", "base_model.num_layers is 9"),
        ("base_model.neurons_per_layer=9", "base_model.neurons_per_layer is 9"),
        ("base_model.model_type=bloom", "base_model.model_type is 'bloom'"),
        ("push_to_hub=me/a model", "push_to_hub is 'me/a model'"),
        ("push_to_hub=me/model", "HF_HUB_OFFLINE"),
    ],
)
@pytest.mark.parametrize("dry", [True, False], ids=["dry", "run"])
def test_a_setting_that_cannot_go_well_is_refused_before_anything_is_made(
    folder: Path, capsys: pytest.CaptureFixture[str], assignment: str, expected: str, dry: bool
) -> None:
    given = assignment.replace("CHAT", str(folder / "chat.jsonl")).replace("HALF", str(folder / "half.csv"))
    words = ["run", str(folder / "config.json"), "--output-dir", str(folder / "runs"), *["--dry-run"] * dry]
    assert main([*words, "--set", given]) == 2
    assert expected in capsys.readouterr().err
    assert not (folder / "runs").exists()


def test_a_page_that_goes_on_with_a_run_is_told_before_the_first_stage(folder: Path, tmp_path: Path) -> None:
    config = load_config(folder / "config.json")
    config.retraining.dataset = str(folder / "gone.jsonl")
    run = create_run(config, tmp_path)
    execute(run, until="label")  # it needs no training text
    with pytest.raises(InputError, match=r"retraining\.dataset: .*gone\.jsonl"):
        execute(run)
    assert set(run.status()["stages"]) == {"label"}


def test_a_disk_or_memory_too_small_is_told_at_the_start(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = create_run(load_config(folder / "config.json"), tmp_path)
    monkeypatch.setattr(room, "available", lambda device: 1000)
    with pytest.raises(InputError, match=r"Retraining .* needs .* GB"):
        execute(run)
    monkeypatch.undo()
    monkeypatch.setattr(room, "CHECKPOINT_BYTES", 10**15)
    with pytest.raises(WorkFailed, match=r"this run writes up to .*retrain"):
        execute(run)
    assert not run.status()["stages"]


def test_a_dry_run_tells_what_a_run_then_does_and_writes_nothing(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["run", str(folder / "config.json"), "--output-dir", str(tmp_path / "runs")]
    assert main([*words, "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "14 of 144 neurons" in said
    assert "60 sentences with it, 60 without" in said
    assert "Nothing was written." in said
    assert not (tmp_path / "runs").exists()
    told = {stage.name: stage.writes for stage in plan(load_config(folder / "config.json"), tmp_path).stages}

    assert main(words) == 0
    run = Path(capsys.readouterr().out.splitlines()[-1])
    stages = json.loads((run / "status.json").read_text())["stages"]
    assert [line.split("  ")[0] for line in said.splitlines() if line.split("  ")[0] in stages] == list(stages)
    assert stages["prune"]["summary"]["cut"] == 14
    saved = (run / "models" / "pruned" / "model.safetensors").stat().st_size
    assert told["prune"] == pytest.approx(saved, rel=0.1)
    assert told["retrain"] == pytest.approx(4 * saved, rel=0.1)  # the model, and one checkpoint of three times its size

    # The same again has nothing to do; another seed takes its times from the first run.
    assert main([*words, "--dry-run"]) == 0
    assert "Nothing is to be done" in capsys.readouterr().out
    assert main([*words, "--dry-run", "--set", "seed=5"]) == 0
    again = capsys.readouterr().out
    assert f"as in {run.name}" in again
    assert "rough estimate" not in again


@pytest.mark.parametrize("name", list(RANKERS))
def test_a_ranker_says_roughly_what_it_costs(name: str) -> None:
    ranker = RANKERS[name]
    few, many = (ranker.passes(ranker.check(), sentences) for sentences in (200, 20_000))
    assert 1 <= many <= few < 1000
