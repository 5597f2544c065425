"""The whole path from one JSON file, as a person runs it: what it leaves behind, what it does not do twice."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from gguf import GGUFReader
from safetensors.numpy import load_file

from tests.integration.pushed_to import TOKEN, taking_pushes
from tests.tiny_experiment import SEATS, write_experiment
from unlearning_core.config.reading import load_config
from unlearning_core.edits.recipe import Recipe
from unlearning_core.edits.weights import survivors
from unlearning_core.runs.run import Run

ROOT = Path(__file__).resolve().parents[2]


def command(*arguments: object, cwd: Path, timeout: float = 800, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "unlearning_core", *map(str, arguments)],
        cwd=cwd, env=environment() | more, capture_output=True, text=True, timeout=timeout, check=False,
    )  # fmt: skip


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}


def stage_states(run: Run) -> dict[str, list[str]]:
    """By stage, the states that the run's events tell, in order."""
    states: dict[str, list[str]] = {}
    for event in run.events():
        if event["kind"] == "stage":
            states.setdefault(event["stage"], []).append(event["state"])
    return states


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Run, subprocess.CompletedProcess[str]]:
    folder = tmp_path_factory.mktemp("experiment")
    write_experiment(folder)
    result = command("run", "config.json", cwd=folder)
    assert result.returncode == 0, result.stderr
    return folder, Run(Path(result.stdout.splitlines()[-1])), result


def test_a_push_sends_what_its_dry_run_lists_and_nothing_of_this_machine(
    finished: tuple[Path, Run, object], tmp_path: Path
) -> None:
    folder, run, _ = finished
    for what in ("recipe", "model"):
        listed = command("push", run.folder, "me/forgot", "--what", what, "--dry-run", cwd=tmp_path)
        assert listed.returncode == 0, listed.stderr
        with taking_pushes() as hub:
            online = {"HF_ENDPOINT": hub.address, "HF_TOKEN": TOKEN, "HF_HUB_OFFLINE": "0"}
            sent = command("push", run.folder, "me/forgot", "--what", what, cwd=tmp_path, **online)
            assert (sent.returncode, sent.stdout.strip()) == (0, f"{hub.address}/me/forgot/commit/1"), sent.stderr
            assert [(one["name"], one["visibility"]) for one in hub.made] == [("forgot", "private")]
            files = hub.files["me/forgot"]
            hub.refused = True
            again = command("push", run.folder, "me/forgot", "--what", what, cwd=tmp_path, **online)
            assert again.returncode == 2
            assert "the Hub refused (403)" in again.stderr
        for path, content in files.items():
            assert f"{len(content):>14,}  {path}\n" in listed.stdout
        assert f"bytes in {len(files)} files would be sent to me/forgot." in listed.stdout
        assert files["README.md"].decode() in listed.stdout
        assert files["recipe/mask.safetensors"] == (run.folder / "recipe" / "mask.safetensors").read_bytes()
        assert [path for path, content in files.items() if str(folder).encode() in content] == []
        settings = json.loads(files["reproduce.json"])
        assert settings["neural_probing"] == load_config(run.folder / "config.json").neural_probing.model_dump(
            mode="json"
        ) | {
            key: Path(value).name
            for key, value in settings["neural_probing"].items()
            if key in ("concept_definition", "sentences") and isinstance(value, str)
        }
        weights = [path for path in files if path.endswith("model.safetensors")]
        assert weights == ([] if what == "recipe" else ["model.safetensors"])
        title = files["README.md"].decode().split("\n# ")[1].split("\n")[0]
        assert title == f"model after unlearning: {'pruned' if what == 'recipe' else 'retrained'}"
        assert ("library_name" in files["README.md"].decode()) == (what == "model")
    for path in ("model.safetensors", "config.json", "tokenizer.json"):
        assert files[path] == (run.model("retrained") / path).read_bytes()


def test_every_model_is_sent_and_none_that_is_not_whole(finished: tuple[Path, Run, object], tmp_path: Path) -> None:
    _, run, _ = finished
    listed = command("push", run.folder, "me/forgot", "--what", "models", "--dry-run", cwd=tmp_path)
    assert listed.returncode == 0, listed.stderr
    for state in ("pruned", "retrained"):
        assert f"  {state}/model.safetensors\n" in listed.stdout
    for name, more in (("push", ["me/forgot", "--dry-run"]), ("gguf", [])):
        wrong = command(name, run.folder, *more, "--state", "nonsense", cwd=tmp_path)
        assert wrong.returncode == 2
        assert "The state is 'nonsense', and this run's settings make" in wrong.stderr
    broken = shutil.copytree(run.folder, tmp_path / "broken")
    (broken / "models" / "retrained" / "model.safetensors").unlink()
    refused = command("push", broken, "me/forgot", "--dry-run", cwd=tmp_path)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "weights" in refused.stderr


def test_its_recipe_and_its_gguf_file_need_no_workbench(finished: tuple[Path, Run, object], tmp_path: Path) -> None:
    folder, run, _ = finished
    written = command("gguf", run.folder, "--type", "q8_0", "-o", tmp_path / "last.gguf", cwd=tmp_path)
    assert (written.returncode, written.stdout.strip()) == (0, str(tmp_path / "last.gguf")), written.stderr
    assert {tensor.tensor_type.name for tensor in GGUFReader(tmp_path / "last.gguf").tensors} >= {"F32", "F16"}
    script = [sys.executable, "-I", run.folder / "recipe" / "apply_recipe.py", folder / "model", tmp_path / "again"]
    subprocess.run(script, check=True, capture_output=True)
    pruned, again = (load_file(place / "model.safetensors") for place in (run.model("pruned"), tmp_path / "again"))
    assert all((pruned[name] == again[name]).all() for name in pruned)


def test_the_run_folder_holds_what_the_readme_lists(finished: tuple[Path, Run, object]) -> None:
    folder, run, _ = finished
    names = {path.name for path in run.folder.iterdir()}
    expected = {"config.json", "status.json", "events.jsonl", "ranking.parquet", "recipe", "metrics.json"}
    assert expected | {"generations.json", "log.txt", "models"} <= names
    assert run.folder.parent == folder / "runs"
    assert run.status()["state"] == "finished"
    assert "neural_probing" in (folder / "logs" / "app.log").read_text()
    assert {path.name for path in run.folder.rglob(".*") if path.is_file()} <= {".lock", ".work.lock"}


def test_metrics_have_the_keys_of_every_step(finished: tuple[Path, Run, object]) -> None:
    metrics = finished[1].metrics()
    assert list(metrics) == ["base", "pruned", "retrained"]
    for step, values in metrics.items():
        for key in ("concept_nll", "retain_nll", "concept_accuracy", "retain_accuracy", "concept_words_per_100"):
            assert isinstance(values[key], float), (step, key)
            assert f"{key}_stderr" in values
        if step != "base":
            for kind, name in (("concept", "forget"), ("retain", "retain")):
                change = values[f"{kind}_nll"] - metrics["base"][f"{kind}_nll"]
                assert values[f"{name}_delta"] == pytest.approx(change, abs=1e-9)


def test_stock_transformers_loads_both_models_and_cut_neurons_are_zero(finished: tuple[Path, Run, object]) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    run = finished[1]
    mask = Recipe.load(run.folder / "recipe").mask
    ranking = pd.read_parquet(run.folder / "ranking.parquet")
    assert mask.cut == round(0.1 * len(ranking))
    for step in ("pruned", "retrained"):
        folder = run.folder / "models" / step
        model = AutoModelForCausalLM.from_pretrained(folder)
        tokenizer = AutoTokenizer.from_pretrained(folder)
        assert model(**tokenizer("Anna sat", return_tensors="pt")).logits.isfinite().all()
        assert survivors(folder, mask) == []
        for _, layer, index in mask.neurons()[["site", "layer", "index"]].itertuples(index=False):
            assert not model.model.layers[layer].mlp.down_proj.weight[:, index].any(), (layer, index)


def test_every_prompt_is_continued_by_every_step(finished: tuple[Path, Run, object]) -> None:
    generations = finished[1].generations()
    for step in ("base", "pruned", "retrained"):
        pairs = [(text["prompt"], text["sample"]) for text in generations[step]]
        assert pairs == [(prompt, sample) for prompt in ("Anna looked at", "Ben sat on") for sample in (0, 1)]


def test_held_out_sentences_are_trained_on_nowhere(finished: tuple[Path, Run, object]) -> None:
    from datasets import load_from_disk

    data = finished[1].folder / "data"
    parts = {
        part: {json.loads(line)["text"] for line in (data / f"{part}.jsonl").read_text().splitlines()}
        for part in ("train", "held_out")
    }
    assert not parts["train"] & parts["held_out"]
    trained = [
        text for part in ("train", "validation") for text in load_from_disk(str(data / "training" / part))["text"]
    ]
    assert trained
    assert not set(trained) & parts["held_out"]
    assert not [text for text in trained if any(seat in text for seat in (*SEATS, "sat"))]


def test_an_equal_run_goes_on_in_its_folder_and_does_nothing_twice(finished: tuple[Path, Run, object]) -> None:
    folder, run, first = finished
    weights = run.folder / "models" / "retrained" / "model.safetensors"
    written = weights.stat().st_mtime_ns
    again = command("run", "config.json", cwd=folder)
    assert again.returncode == 0, again.stderr
    assert again.stdout == first.stdout  # type: ignore[attr-defined]
    assert all(states[-1] == "unchanged" for states in stage_states(run).values())
    assert weights.stat().st_mtime_ns == written


def test_a_changed_setting_runs_only_what_depends_on_it(finished: tuple[Path, Run, object]) -> None:
    folder, run, _ = finished
    result = command("run", "config.json", "--set", "retraining.learning_rate=0.0005", cwd=folder)
    assert result.returncode == 0, result.stderr
    other = Run(Path(result.stdout.splitlines()[-1]))
    assert other.id != run.id
    states = {stage: told[-1] for stage, told in stage_states(other).items()}
    ran = {stage for stage, state in states.items() if state == "finished"}
    assert ran == {"retrain", "measure retrained", "report"}
    assert other.metrics()["pruned"] == run.metrics()["pruned"]


def test_two_fresh_runs_of_one_config_give_the_same_ranking_mask_and_metrics(
    finished: tuple[Path, Run, object], tmp_path: Path
) -> None:
    folder, run, _ = finished
    result = command("run", "config.json", "--output-dir", tmp_path / "elsewhere", cwd=folder)
    assert result.returncode == 0, result.stderr
    other = Run(Path(result.stdout.splitlines()[-1]))
    assert other.folder.parent == tmp_path / "elsewhere"
    pd.testing.assert_frame_equal(
        pd.read_parquet(other.folder / "ranking.parquet"), pd.read_parquet(run.folder / "ranking.parquet")
    )
    assert Recipe.load(other.folder / "recipe").mask == Recipe.load(run.folder / "recipe").mask
    assert other.metrics() == run.metrics()
    assert other.generations() == run.generations()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_or_a_kill_keeps_what_is_finished_and_resume_goes_on(tmp_path: Path, number: signal.Signals) -> None:
    write_experiment(tmp_path, retraining={"num_train_epochs": 200, "checkpoint_steps": 5})
    process = subprocess.Popen(
        [sys.executable, "-m", "unlearning_core", "run", "config.json"],
        cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        # A shell's background job ignores Ctrl-C, and its children with it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    deadline = time.monotonic() + 800
    while not list(tmp_path.glob("runs/*/retraining/checkpoints/*")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process.send_signal(number)
    _, stderr = process.communicate(timeout=800)
    assert process.returncode == 1
    assert "stopped at step" in stderr.strip().splitlines()[-1]
    (folder,) = tmp_path.glob("runs/2*")
    run = Run(folder)
    assert run.status()["state"] == "stopped"
    assert run.status()["stages"]["prune"]["state"] == "finished"
    assert not (folder / "models" / "retrained").exists()
    config = json.loads((folder / "config.json").read_text())
    config["retraining"]["num_train_epochs"] = 1
    (folder / "config.json").write_text(json.dumps(config))
    result = command("resume", folder, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert stage_states(run)["rank"] == ["running", "finished", "unchanged"]
    assert (folder / "metrics.json").is_file()


def test_two_processes_under_accelerate_give_the_ranking_of_one(
    finished: tuple[Path, Run, object], tmp_path: Path
) -> None:
    folder, run, _ = finished
    result = subprocess.run(
        [
            sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2",
            "--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no",
            "-m", "unlearning_core", "run", "config.json", "--output-dir", str(tmp_path),
        ],
        cwd=folder, env=environment(), capture_output=True, text=True, timeout=800, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr[-3000:]
    (other,) = (Run(path) for path in tmp_path.glob("2*"))
    assert other.status()["stages"]["retrain"]["summary"]["processes"] == 2
    two, one = (pd.read_parquet(each.folder / "ranking.parquet") for each in (other, run))
    assert two[["site", "layer", "index"]].equals(one[["site", "layer", "index"]])
    assert two["score"].to_numpy() == pytest.approx(one["score"].to_numpy(), rel=1e-5)
    assert list(other.metrics()) == ["base", "pruned", "retrained"]
