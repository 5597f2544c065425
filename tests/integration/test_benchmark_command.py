"""`unlearn benchmark` on tasks of one's own, offline: its numbers by hand, what is measured again and what is not."""

import importlib.util
import json
import math
import random
import re
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.tiny_experiment import SEATS, THINGS, sentences, write_experiment
from tests.tiny_models import save_tiny, tiny
from unlearning_core.cli.app import main
from unlearning_core.config.reading import load_config
from unlearning_core.errors import InputError, Stopped
from unlearning_core.evaluation.benchmarks import Harness
from unlearning_core.progress import Progress
from unlearning_core.reports.run_report import run_report
from unlearning_core.runs.benchmarks import benchmark, table
from unlearning_core.runs.pipeline import create_run, execute
from unlearning_core.runs.run import Run
from unlearning_core.runs.transfer import export_run, import_run

STATES = ("base", "pruned", "never_knew")


def write_task(folder: Path, name: str, rows: list[dict[str, Any]], **settings: Any) -> None:
    """A task of the harness over a JSON-lines file, both in `folder`."""
    data = folder / f"{name}.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    files = {"data_files": {"test": str(data)}}
    task = {"task": name, "dataset_path": "json", "dataset_kwargs": files, "test_split": "test"} | settings
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(task | {"metadata": {"version": 2.0}}), encoding="utf-8")


def questions(count: int) -> list[dict[str, Any]]:
    """Each with three answers of its own, so that a model of random weights does not always choose the same one."""
    pick, asked = random.Random(1), [text.rsplit(" ", 1)[0] for text in sentences(count, seed=5)]
    words = [pick.sample([*SEATS, *THINGS], 3) for _ in asked]
    return [{"question": text, "choices": words[n], "answer": n % 3} for n, text in enumerate(asked)]


CHOICE = {
    "output_type": "multiple_choice", "doc_to_text": "{{question}}", "doc_to_choice": "{{choices}}",
    "doc_to_target": "{{answer}}",
    "metric_list": [
        {"metric": name, "aggregation": "mean", "higher_is_better": True} for name in ("acc", "acc_norm")
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tasks")
    write_task(folder, "seats", questions(24), **CHOICE)
    write_task(folder, "few", questions(7), **CHOICE)
    lost = [{"metric": name, "higher_is_better": False} for name in ("word_perplexity", "bits_per_byte")]
    write_task(
        folder, "texts", [{"text": text} for text in sentences(12, seed=9)], output_type="loglikelihood_rolling",
        doc_to_text="", doc_to_target="{{text}}", metric_list=lost,
    )  # fmt: skip
    group = {"group": "both", "task": ["seats", "few"]}
    group["aggregate_metric_list"] = [{"metric": "acc", "weight_by_size": True}]
    (folder / "both.yaml").write_text(yaml.safe_dump(group), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run at its end, with a cut deep enough to change answers, and a model that never knew."""
    folder = tmp_path_factory.mktemp("benchmarks")
    twin = {"model": str(save_tiny("llama", folder / "twin", seed=3))}
    config = write_experiment(
        folder, neural_probing={"ranker": "activation_ratio", "prune_ratio": 0.5}, retraining={"enabled": False},
        never_knew=twin,
    )  # fmt: skip
    made = create_run(load_config(config), folder / "runs")
    execute(made)
    return made


def folder_of(run: Run, state: str) -> str:
    config = run.config
    known = {"base": config.base_model.base_model_path, "never_knew": config.never_knew.model}
    return str(known.get(state) or run.model(state))


@cache
def model_of(folder: str) -> tuple[Any, Any]:
    return AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder)


def log_likelihood(folder: str, before: str, after: str) -> float:
    """Of `after` behind `before`, token by token, in float64; behind the end-of-text token where nothing is before."""
    tokenizer, model = model_of(folder)
    start = tokenizer(before)["input_ids"] or [tokenizer.eos_token_id]
    whole = tokenizer(before + after)["input_ids"]
    ids = whole if before else [*start, *whole]
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0].double()
    found = torch.log_softmax(logits, dim=-1)
    return float(sum(found[place - 1, ids[place]] for place in range(len(start), len(ids))))


def right_by_hand(run: Run, state: str, rows: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    """Whether each question is answered right, by the likelihood of an answer and by that of one of its characters."""
    folder, found = folder_of(run, state), dict[str, list[bool]](acc=[], acc_norm=[])
    for row in rows:
        likely = np.array([log_likelihood(folder, row["question"], f" {choice}") for choice in row["choices"]])
        lengths = np.array([len(choice) for choice in row["choices"]])
        found["acc"].append(int(likely.argmax()) == row["answer"])
        found["acc_norm"].append(int((likely / lengths).argmax()) == row["answer"])
    return {name: np.array(values, dtype=float) for name, values in found.items()}


def measured(run: Run) -> list[str]:
    """What was measured so far, in its order."""
    begun = [event["stage"] for event in run.events() if event["kind"] == "stage" and event["state"] == "running"]
    return [stage for stage in begun if stage.startswith("benchmark ")]


def cell(found: pd.DataFrame, task: str, metric: str, state: str) -> Any:
    (row,) = found[(found["task"] == task) & (found["metric"] == metric) & (found["state"] == state)].itertuples()
    return row


def test_the_numbers_are_those_of_summed_log_probabilities(
    run: Run, tasks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.json"
    command = ["benchmark", str(run.folder), "--tasks", "seats,texts", "--task-folder", str(tasks)]
    assert main([*command, "--json", str(out)]) == 0
    printed = capsys.readouterr().out
    found = pd.DataFrame(json.loads(out.read_text())["rows"])
    base = right_by_hand(run, "base", questions(24))
    changed = 0
    for state in STATES:
        right = right_by_hand(run, state, questions(24))
        for metric in ("acc", "acc_norm"):
            own, moved = cell(found, "seats", metric, state), right[metric] - base[metric]
            assert own.value == pytest.approx(right[metric].mean())
            assert own.stderr == pytest.approx(right[metric].std(ddof=1) / math.sqrt(24))
            assert (own.examples, own.of, own.better, own.shots, own.version) == (24, 24, "higher", 0, "2.0")
            if state != "base":
                assert own.paired
                assert own.difference == pytest.approx(moved.mean())
                if moved.any():
                    changed += 1
                    assert own.difference_stderr == pytest.approx(moved.std(ddof=1) / math.sqrt(24))
                    assert f"{own.difference:.3f} ± {1.96 * own.difference_stderr:.3f}" in printed
    assert changed >= 2  # else nothing was compared
    for state in STATES:
        texts = sentences(12, seed=9)
        likely = np.array([log_likelihood(folder_of(run, state), "", text) for text in texts])
        words = sum(len(re.split(r"\s+", text)) for text in texts)
        letters = sum(len(text.encode()) for text in texts)
        assert cell(found, "texts", "word_perplexity", state).value == pytest.approx(
            np.exp(-likely.sum() / words), rel=1e-3
        )
        bits = cell(found, "texts", "bits_per_byte", state)
        assert bits.value == pytest.approx(-likely.sum() / letters / math.log(2), rel=1e-4)
        assert bits.paired == (state != "base")


def test_a_second_call_measures_nothing_and_other_settings_or_examples_do(run: Run, tmp_path: Path) -> None:
    write_task(tmp_path, "again", questions(6), **CHOICE)

    def again(**settings: Any) -> tuple[pd.DataFrame, list[str]]:
        before = len(measured(run))
        found = benchmark(run, ["again"], folder=tmp_path, states=["pruned"], **settings)
        return found, measured(run)[before:]

    both = ["benchmark again base", "benchmark again pruned"]
    first, stages = again()
    assert stages == both
    second, stages = again()
    assert stages == []
    pd.testing.assert_frame_equal(first, second)
    limited, stages = again(limit=4)
    assert (stages, set(limited["examples"])) == (both, {4})
    shots, stages = again(limit=4, shots=2)
    assert (stages, set(shots["shots"])) == (both, {2})
    before = (run.benchmark_frames("again", "base") or {})["samples"]
    write_task(tmp_path, "again", questions(6)[::-1], **CHOICE)
    assert again(limit=4, shots=2)[1] == both
    after = (run.benchmark_frames("again", "base") or {})["samples"]
    assert not set(before["example"]) & set(after["example"])


def test_a_stop_keeps_what_was_measured(run: Run, tasks: Path) -> None:
    def stop(update: Progress) -> None:
        if run.status().get("stage") == "benchmark few pruned" and update.unit == "requests":
            raise Stopped("Stopped.")

    before = len(measured(run))
    with pytest.raises(Stopped):
        benchmark(run, ["few"], stop, folder=tasks)
    assert measured(run)[before:] == ["benchmark few base", "benchmark few pruned"]
    assert set(table(run).query("asked == 'few'")["state"]) == {"base"}
    benchmark(run, ["few"], folder=tasks)
    assert measured(run)[before + 2 :] == ["benchmark few pruned", "benchmark few never_knew"]


def test_a_state_asked_alone_has_the_base_beside_it_and_another_limit_is_not_compared(run: Run, tasks: Path) -> None:
    benchmark(run, ["few"], folder=tasks)
    found = benchmark(run, ["few"], folder=tasks, limit=3, states=["pruned"])
    assert list(found["state"].unique()) == ["base", "pruned"]
    # The never-knew model was asked all seven.
    assert set(table(run).query("asked == 'few'")["state"]) == {"base", "pruned"}


def test_the_score_of_a_group_is_compared_by_the_examples_of_its_tasks(run: Run, tasks: Path) -> None:
    found = benchmark(run, ["both"], folder=tasks, states=["never_knew"])
    rows = [*questions(24), *questions(7)]
    base, other = (right_by_hand(run, state, rows)["acc"] for state in ("base", "never_knew"))
    own = cell(found, "both", "acc", "never_knew")
    assert own.examples == 31
    assert own.value == pytest.approx(other.mean())
    assert own.difference == pytest.approx((other - base).mean())
    assert own.paired
    assert own.difference_stderr == pytest.approx((other - base).std(ddof=1) / math.sqrt(31))


def test_an_exported_run_takes_them_along_and_the_report_shows_them(run: Run, tasks: Path, tmp_path: Path) -> None:
    benchmark(run, ["seats"], folder=tasks)
    own = table(run)
    moved = import_run(export_run(run, tmp_path / "run.zip"), tmp_path / "runs")
    pd.testing.assert_frame_equal(table(moved), own)
    value = cell(own, "seats", "acc_norm", "pruned").value
    assert "Well-known benchmarks" in (report := run_report(run))
    assert f"{value:.3f} ±" in report


def test_of_a_model_that_was_made_anew_nothing_is_shown(run: Run, tasks: Path, tmp_path: Path) -> None:
    moved = import_run(export_run(run, tmp_path / "run.zip"), tmp_path / "runs")
    benchmark(moved, ["few"], folder=tasks)
    config = moved.config
    config.neural_probing.prune_ratio = 0.3
    moved.save_config(config)
    execute(moved)
    assert set(table(moved).query("asked == 'few'")["state"]) == {"base", "never_knew"}


def test_the_model_in_memory_stays_as_it_is(tasks: Path) -> None:
    loaded = tiny("gpt2")
    before = {name: value.clone() for name, value in loaded.model.state_dict().items()}
    assert loaded.tokenizer.pad_token is None
    Harness(tasks).measure("few", loaded, limit=2)
    after = loaded.model.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    assert loaded.tokenizer.pad_token is None


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--tasks", "on_the_hub"], r"on_the_hub cannot be loaded \(.*owner/name.*\)\. Its examples are on the Hub"),
        (["--tasks", "seets"], r"has no task 'seets'\. Did you mean seats"),
        (["--tasks", "unsafe"], r"unsafe runs code that a model wrote"),
        (["--tasks", "empty"], r"empty cannot be loaded"),
        (["--tasks", "../seats"], r"no task can be called '\.\./seats'"),
        (["--tasks", "seats", "--state", "retrained"], r"no 'retrained' model\. Choose of: base, pruned, never_knew"),
    ],
)
def test_what_cannot_be_measured_is_one_sentence(
    run: Run, tasks: Path, tmp_path: Path, options: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_task(tmp_path, "seats", questions(4), **CHOICE)
    write_task(tmp_path, "unsafe", questions(4), **CHOICE, unsafe_code=True)
    write_task(tmp_path, "empty", [], **CHOICE)
    write_task(tmp_path, "on_the_hub", questions(4), **CHOICE | {"dataset_path": "owner/name", "dataset_kwargs": {}})
    assert main(["benchmark", str(run.folder), "--task-folder", str(tmp_path), *options]) == 2
    assert re.search(said, error := capsys.readouterr().err)
    assert "Traceback" not in error


def test_a_folder_of_tasks_that_is_not_there_is_named(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["benchmark", str(run.folder), "--tasks", "seats", "--task-folder", "nowhere"]) == 2
    assert "--task-folder is nowhere, which is no folder" in capsys.readouterr().err


def test_without_the_extra_it_says_what_to_install(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *more: None if name == "lm_eval" else found(name, *more)
    )
    assert main(["benchmark", str(run.folder), "--tasks", "arc_easy"]) == 2
    assert "pip install lm-eval" in capsys.readouterr().err
    with pytest.raises(InputError, match="not installed"):
        Harness()
