"""What can be known before the work begins is refused then: no stage has run, no folder is left behind."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from tests.tiny_experiment import write_experiment
from tests.tiny_models import save_tiny
from unlearning_core.cli import main
from unlearning_core.config.reading import load_config
from unlearning_core.config.schema import MethodSection
from unlearning_core.edits.cut_settings import CutSettings
from unlearning_core.errors import InputError, WorkFailed
from unlearning_core.models.loading import load_model
from unlearning_core.rankers.registry import RANKERS
from unlearning_core.runs import room
from unlearning_core.runs.context import RunContext
from unlearning_core.runs.pace import measure_pace
from unlearning_core.runs.pipeline import create_run, execute
from unlearning_core.runs.plan import plan
from unlearning_core.runs.stages.rank import rank_inputs


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
    with pytest.raises(InputError, match=r"Retraining .* needs .* MB"):
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


def test_what_a_run_does_not_do_any_more_is_not_asked_for(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = load_config(folder / "config.json")
    config.methods = [MethodSection(name="prune")]
    config.retraining.max_length = 100_000  # nothing is retrained
    model = shutil.copytree(folder / "model", tmp_path / "model")
    config.base_model.base_model_path = str(model)
    (tmp_path / "config.json").write_text(config.model_dump_json(), encoding="utf-8")
    words = ["run", str(tmp_path / "config.json"), "--output-dir", str(tmp_path / "runs")]
    assert main(words) == 0
    shutil.rmtree(model)
    capsys.readouterr()
    assert main([*words, "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "is not at hand, and is not needed any more" in said
    assert "Nothing is to be done" in said


def test_the_own_sentences_must_be_there_for_the_filter_too(folder: Path, tmp_path: Path) -> None:
    config = load_config(folder / "config.json")
    config.neural_probing.sentences = str(shutil.copy(folder / "sentences.json", tmp_path / "s.json"))
    run = create_run(config, tmp_path / "runs")
    execute(run, until="label")
    (tmp_path / "s.json").unlink()
    with pytest.raises(InputError, match=r"neural_probing\.sentences: .*s\.json does not exist"):
        execute(run)
    assert set(run.status()["stages"]) == {"label"}


def test_checkpoints_that_are_there_already_need_no_room(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = create_run(load_config(folder / "config.json"), tmp_path)
    execute(run, until="filter")
    (run.training_folder / "checkpoints").mkdir(parents=True)
    (run.training_folder / "checkpoints" / "half").write_bytes(bytes(10**6))
    monkeypatch.setattr(room.shutil, "disk_usage", lambda place: SimpleNamespace(free=10**6))
    room.check_room(RunContext(run), ["retrain"])
    shutil.rmtree(run.training_folder)
    monkeypatch.setattr(room.shutil, "disk_usage", lambda place: SimpleNamespace(free=5 * 10**5))
    with pytest.raises(WorkFailed, match="retrain"):
        room.check_room(RunContext(run), ["retrain"])


def test_a_plan_times_a_model_whose_context_is_full(tmp_path: Path) -> None:
    loaded = load_model(str(save_tiny("gpt2", tmp_path / "model", n_positions=16)), device="cpu")
    pace = measure_pace(loaded, ["She put the chair beside the wooden table and sat down by the river. " * 3] * 4)
    assert pace.token > 0
    assert pace.step > 0


@pytest.mark.parametrize(
    ("name", "content", "words", "as_ever"),
    [
        ("t.jsonl", b'{"text": "He said \\"sit\\".", "held_out": 1}\n', ("chair",), True),
        ("t.txt", b"The chair is old.\n", ("chair",), True),
        ("t.txt", b"The chair is old.\n", ("Stühle",), False),
        ("t.txt", "The ch\u200bair.\n".encode(), ("chair",), False),
        ("t.txt", b"Great.\\nchairs\n", ("chair",), False),
        ("t.jsonl", b'{"text": "Great.\\\\nchairs"}\n', ("chair",), False),
        ("t.txt", b"chair2\n", ("chair",), False),
        ("t.txt", b"a rocking_chair\n", ("rocking chair",), False),
        ("t.csv", b"text\nThe chair.\n", ("chair",), False),
    ],
)
def test_results_of_older_rules_are_taken_only_where_both_agree(
    folder: Path, tmp_path: Path, name: str, content: bytes, words: tuple[str, ...], as_ever: bool
) -> None:
    (tmp_path / name).write_bytes(content)
    config = load_config(folder / "config.json")
    config.neural_probing.concept_definition = list(words)
    context = RunContext(create_run(config, tmp_path / "runs"))
    rules = context.rules(str(tmp_path / name))
    assert (rules == {}) is as_ever
    (tmp_path / name).unlink()
    assert RunContext(context.run).rules(str(tmp_path / name)) == rules  # remembered


@pytest.mark.parametrize(("family", "mixed"), [("llama", False), ("qwen2_moe", True), ("mixtral", True)])
def test_a_ranking_of_a_mixture_of_experts_is_not_that_of_an_earlier_version(
    tmp_path: Path, family: str, mixed: bool
) -> None:
    config = load_config(write_experiment(tmp_path, family))
    context = RunContext(create_run(config, tmp_path / "runs"))
    assert ("experts" in rank_inputs(context)) is mixed


def test_a_ranking_that_does_not_fill_its_site_is_refused() -> None:
    ranking = pd.DataFrame({"site": "mlp", "layer": [0, 0, 1, 1], "index": [0, 1, 0, 1], "rank": range(4)})
    assert CutSettings(0.5).mask(ranking, {"mlp": (2, 2)}).cut == 2
    with pytest.raises(InputError, match=r"4 neurons of the site mlp, and the model has 16"):
        CutSettings(0.5).mask(ranking, {"mlp": (2, 8)})
