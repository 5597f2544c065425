"""A run with a never-knew model: what it adds to the metrics, and which stages a change of it runs again."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.tiny_experiment import sentences, write_experiment
from tests.tiny_models import save_tiny
from unlearning_core.cli import main
from unlearning_core.runs import Run

KEYS = ("never_knew_kl_forget", "never_knew_kl_neighbour", "never_knew_kl_retain")
QUESTIONS = [
    {
        "prompt": f"Q: What does {who} look at? A:",
        "answer": "not read",
        "paraphrase": f"{who} looks at the {things[0]}.",
        "perturbed": [f"{who} looks at the {thing}." for thing in things[1:]],
    }
    for who in ("Anna", "Ben", "Mia", "The king")
    for things in (("chair", "river", "song"), ("sofa", "apple", "clock"), ("stool", "letter", "garden"))
]


def lines(path: Path, rows: list[Any]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


@pytest.fixture
def experiment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Writes a config whose never-knew model has those weights (0: the base model's own)."""
    monkeypatch.chdir(tmp_path)
    texts = sentences(60, seed=5)

    def write(seed: int = 0, **changes: Any) -> Path:
        section = {
            "model": str(save_tiny("llama", tmp_path / "never", seed)),
            "questions": lines(tmp_path / "questions.jsonl", QUESTIONS),
            "forget_texts": lines(tmp_path / "forget.jsonl", [{"text": text} for text in texts[1::2]]),
            "neighbour_texts": lines(tmp_path / "neighbour.jsonl", [{"text": text} for text in texts[:20:2]]),
            "retain_texts": lines(tmp_path / "retain.jsonl", [{"text": text} for text in texts[20::2]]),
        }
        return write_experiment(tmp_path, never_knew=section | changes)

    return write


def run(*arguments: str) -> Run:
    """The run that the command made or went on with."""
    assert main(["run", "config.json", *arguments]) == 0
    return max((Run(path) for path in Path("runs").resolve().glob("2*")), key=lambda run: run.status()["updated"])


def ran(run: Run) -> set[str]:
    return {stage for stage, known in run.status()["stages"].items() if not known.get("taken_from")}


def test_the_base_is_at_no_distance_from_itself_and_a_cut_is(
    experiment: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    experiment()
    metrics = run().read_json("metrics.json")
    assert (metrics["base"]["forget_quality"], metrics["base"]["forget_quality_statistic"]) == (1, 0)
    assert [metrics["base"][key] for key in KEYS] == [0, 0, 0]
    for step in ("pruned", "retrained"):
        for key in KEYS:
            assert metrics[step][key] > 5 * metrics[step][f"{key}_stderr"] > 0
        assert 0 < metrics[step]["forget_quality"] < 1
        assert metrics[step]["forget_quality_statistic"] >= 1 / len(QUESTIONS)
    printed = capsys.readouterr().out
    rows = {line.split()[0]: line for line in printed.splitlines() if line[:1].isalpha()}
    for key in KEYS:
        for step in metrics:
            assert f"{metrics[step][key]:.3f} ± {metrics[step][f'{key}_stderr']:.3f}" in rows[key]
    assert rows["forget_quality"].split()[1] == "1.000"


def test_another_never_knew_model_or_text_runs_only_the_comparison_again(experiment: Callable[..., Path]) -> None:
    experiment()
    first = run()
    experiment(seed=7)
    second = run("--fresh")
    assert ran(second) == {"distance base", "distance pruned", "distance retrained", "report"}
    assert second.read_json("metrics.json")["base"]["never_knew_kl_forget"] > 0.1
    experiment(seed=7, max_texts=9)
    third = run()
    assert ran(third) == ran(second)
    nats = [each.read_json("metrics.json")["pruned"]["concept_nll"] for each in (first, second, third)]
    assert nats[0] == nats[1] == nats[2]


def test_without_a_never_knew_model_nothing_is_said_of_it(
    experiment: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    experiment()
    first = run()
    config = json.loads((first.folder / "config.json").read_text())
    config["never_knew"]["model"] = None
    (first.folder / "config.json").write_text(json.dumps(config))
    assert main(["resume", str(first.folder)]) == 0
    for values in first.read_json("metrics.json").values():
        assert not [key for key in values if "never_knew" in key or "quality" in key]
    capsys.readouterr()
    without = run("--set", "never_knew.model=null")
    assert not [stage for stage in without.status()["stages"] if stage.startswith("distance")]
    assert "never_knew_kl" not in capsys.readouterr().out


def _other_vocabulary(folder: Path) -> None:
    save_tiny("llama", folder / "never", vocab_size=512)


def _no_paraphrase(folder: Path) -> None:
    lines(folder / "questions.jsonl", [QUESTIONS[0], {"prompt": "Who?", "perturbed": ["A cat."]}])


def _no_wrong_answers(folder: Path) -> None:
    lines(folder / "questions.jsonl", [{**QUESTIONS[0], "perturbed": []}])


def _no_json(folder: Path) -> None:
    (folder / "questions.jsonl").write_text('{"prompt": \n')


def _lost(folder: Path) -> None:
    (folder / "forget.jsonl").unlink()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_other_vocabulary, "they predict 512 and 400 tokens"),
        (_no_paraphrase, "questions.jsonl, line 2: paraphrase is None; expected text"),
        (_no_wrong_answers, "questions.jsonl, line 1: perturbed is []"),
        (_no_json, "not valid JSON: line 1"),
        (_lost, "forget.jsonl"),
    ],
)
def test_a_mistake_is_one_line(
    experiment: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str],
    spoil: Callable[[Path], None], said: str,
) -> None:  # fmt: skip
    experiment()
    spoil(tmp_path)
    assert main(["run", "config.json"]) == 2
    assert said in capsys.readouterr().err.splitlines()[-1]


def test_a_key_that_is_not_known_is_named(experiment: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    experiment()
    assert main(["run", "config.json", "--set", "never_knew.question=q.jsonl"]) == 2
    assert "did you mean never_knew.questions" in capsys.readouterr().err
