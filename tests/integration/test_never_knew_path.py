"""A run with a never-knew model: what it adds to the metrics, and which stages a change of it runs again."""

import contextlib
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.tiny_experiment import sentences, write_experiment
from tests.tiny_models import save_tiny
from unlearning_core.cli.app import main
from unlearning_core.runs.run import Run

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


def write(folder: Path, seed: int = 0, **changes: Any) -> Path:
    """A config whose never-knew model has those weights (0: the base model's own)."""
    texts = sentences(60, seed=5)
    section = {
        "model": str(save_tiny("llama", folder / "never", seed)),
        "questions": lines(folder / "questions.jsonl", QUESTIONS),
        "forget_texts": lines(folder / "forget.jsonl", [{"text": text} for text in texts[1::2]]),
        "neighbour_texts": lines(folder / "neighbour.jsonl", [{"text": text} for text in texts[:20:2]]),
        "retain_texts": lines(folder / "retain.jsonl", [{"text": text} for text in texts[20::2]]),
    }
    return write_experiment(folder, never_knew=section | changes)


def run(config: Path, *arguments: str) -> tuple[Run, str]:
    """The run that the command made or went on with, and what it printed."""
    given = [str(config), "--output-dir", str(config.parent / "runs"), *arguments]
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        assert main(["run", *given]) == 0
    return Run(Path(printed.getvalue().splitlines()[-1])), printed.getvalue()


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, str]:
    """The run of a base model that is its own never-knew model, and what it printed; it stays as it is."""
    return run(write(tmp_path_factory.mktemp("measured")))


@pytest.fixture
def done(measured: tuple[Run, str], tmp_path: Path) -> Run:
    """A copy of that run among the runs of `tmp_path`, whose stages later runs there can take over."""
    folder = tmp_path / "runs" / measured[0].folder.name
    return Run(shutil.copytree(measured[0].folder, folder))


def ran(run: Run) -> set[str]:
    return {stage for stage, known in run.status()["stages"].items() if not known.get("taken_from")}


def test_the_base_is_at_no_distance_from_itself_and_a_cut_is(measured: tuple[Run, str]) -> None:
    of, printed = measured
    metrics = of.metrics()
    assert (metrics["base"]["forget_quality"], metrics["base"]["forget_quality_statistic"]) == (1, 0)
    assert [metrics["base"][key] for key in KEYS] == [0, 0, 0]
    for step in ("pruned", "retrained"):
        for key in KEYS:
            assert metrics[step][key] > 5 * metrics[step][f"{key}_stderr"] > 0
        assert 0 < metrics[step]["forget_quality"] < 1
        assert metrics[step]["forget_quality_statistic"] >= 1 / len(QUESTIONS)
    rows = {line.split()[0]: line for line in printed.splitlines() if line[:1].isalpha()}
    for key in KEYS:
        for step in metrics:
            assert f"{metrics[step][key]:.3f} ± {1.96 * metrics[step][f'{key}_stderr']:.3f}" in rows[key]
    assert rows["forget_quality"].split()[1] == "1.000"


def test_another_never_knew_model_or_text_runs_only_the_comparison_again(done: Run, tmp_path: Path) -> None:
    runs = [done]
    for changes in ({}, {"max_texts": 9}):
        runs.append(run(write(tmp_path, seed=7, **changes), "--fresh")[0])
        assert ran(runs[-1]) == {"distance base", "distance pruned", "distance retrained", "report"}
    metrics = [each.metrics() for each in runs]
    assert metrics[0]["base"]["never_knew_kl_forget"] == 0
    assert metrics[1]["base"]["never_knew_kl_forget"] > 0.1
    assert metrics[1]["base"]["never_knew_kl_forget"] != metrics[2]["base"]["never_knew_kl_forget"]
    assert len({each["pruned"]["concept_nll"] for each in metrics}) == 1


def test_without_a_never_knew_model_nothing_is_said_of_it(done: Run, tmp_path: Path) -> None:
    config = json.loads((done.folder / "config.json").read_text())
    config["never_knew"]["model"] = None
    (done.folder / "config.json").write_text(json.dumps(config))
    assert main(["resume", str(done.folder)]) == 0
    for values in done.metrics().values():
        assert not [key for key in values if "never_knew" in key or "quality" in key]
    without, printed = run(write(tmp_path), "--fresh", "--set", "never_knew.model=null")
    assert not [stage for stage in without.status()["stages"] if stage.startswith("distance")]
    assert "never_knew_kl" not in printed


def _other_vocabulary(folder: Path) -> None:
    save_tiny("llama", folder / "never", vocab_size=512)


def _no_paraphrase(folder: Path) -> None:
    lines(folder / "questions.jsonl", [QUESTIONS[0], {"prompt": "Who?", "perturbed": ["A cat."]}])


def _no_wrong_answers(folder: Path) -> None:
    lines(folder / "questions.jsonl", [{**QUESTIONS[0], "perturbed": []}])


def _other_family(folder: Path) -> None:
    values = json.loads((folder / "config.json").read_text())
    values["never_knew"]["questions_only"] = {"family": "seats"}
    (folder / "config.json").write_text(json.dumps(values))


def _other_phrasing(folder: Path) -> None:
    values = json.loads((folder / "config.json").read_text())
    values["never_knew"]["texts_only"] = {"phrasing": "held_out"}
    (folder / "config.json").write_text(json.dumps(values))


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
        (_other_family, "holds no question with family = seats"),
        (_other_phrasing, "forget.jsonl (rows with phrasing = held_out) holds no text"),
        (_no_json, "not valid JSON: line 1"),
        (_lost, "forget.jsonl"),
    ],
)
def test_a_mistake_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], spoil: Callable[[Path], None], said: str
) -> None:
    config = write(tmp_path)
    spoil(tmp_path)
    assert main(["run", str(config), "--output-dir", str(tmp_path / "runs")]) == 2
    assert said in capsys.readouterr().err.splitlines()[-1]


def test_a_key_that_is_not_known_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(write(tmp_path)), "--set", "never_knew.question=q.jsonl"]) == 2
    assert "did you mean never_knew.questions" in capsys.readouterr().err
