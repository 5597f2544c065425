"""`smallworld train | evaluate` as a person types them."""

import json
import shutil
from pathlib import Path

import pytest

from tests import tiny_world
from unlearning_core.cli.app import main
from unlearning_core.models.checksums import verify
from unlearning_core.smallworld.evaluate import world_exam
from unlearning_core.smallworld.train import train
from unlearning_core.smallworld.training_settings import TrainingSettings

SMALL = ["--vocabulary", "300", "--width", "16", "--layers", "1", "--heads", "2", "--batch-rows", "2", "--no-compile"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    texts = tiny_world.texts() * 10
    recipe = TrainingSettings(steps=20, batch_rows=4, context=64, vocabulary=400, width=16, layers=1, heads=2)
    return train(texts, texts, recipe, tmp_path_factory.mktemp("models") / "tiny", compiled=False)


@pytest.fixture
def tiny_exam(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unlearning_core.smallworld.evaluate.world_exam", lambda seed, limit: tiny_world.exam())
    monkeypatch.setattr("unlearning_core.cli.smallworld.ROOT", Path("nowhere"))


@pytest.mark.usefixtures("tiny_exam")
def test_evaluate_prints_what_it_writes(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    twin = shutil.copytree(folder, tmp_path / "twin")
    files = {name: tmp_path / name for name in ("figures.json", "answers.jsonl", "stories.txt")}
    options = ["--json", files["figures.json"], "--answers", files["answers.jsonl"], "--stories", files["stories.txt"]]
    command = ["smallworld", "evaluate", "--model", folder, "--never-knew", twin, *options]
    assert main([str(word) for word in command]) == 0
    printed = capsys.readouterr().out
    figures = json.loads(files["figures.json"].read_text())
    answers = [json.loads(line) for line in files["answers.jsonl"].read_text().splitlines()]
    held_out = [a for a in answers if (a["model"], a["test"], a["phrasing"]) == ("smallworld", "questions", "held_out")]
    assert len(held_out) == len(tiny_world.COLOURS)
    assert figures["questions_exact"] == sum(answer["right"] for answer in held_out) / len(held_out)
    assert set(figures["never_knew"]) == {"seats_questions_exact", "others_questions_exact"}
    assert files["stories.txt"].read_text().startswith("The chair was")
    row = next(line for line in printed.splitlines() if line.startswith("questions, exact"))
    cell = f"{100 * figures['questions_exact']:.1f} ±"
    assert row.count(cell) == 2
    for card in (folder / "README.md", twin / "README.md"):
        assert cell in card.read_text()
        assert "Not measured yet" not in card.read_text()
    verify(folder)


@pytest.mark.usefixtures("tiny_exam")
def test_evaluate_leaves_the_card_when_asked(folder: Path) -> None:
    before = (folder / "README.md").read_text()
    assert main(["smallworld", "evaluate", "--model", str(folder), "--no-card"]) == 0
    assert (folder / "README.md").read_text() == before


@pytest.mark.usefixtures("tiny_exam")
def test_a_routed_model_is_asked_with_and_without_its_named_neurons(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    routed, twin = tmp_path / "routed", tmp_path / "twin"
    common = ["smallworld", "train", "--texts", "300", "--steps", "2", *SMALL, "--output-dir"]
    assert main([*common, str(routed), "--route", "seats", "--route-neurons", "60"]) == 0
    shutil.copytree(routed, twin)
    before = (twin / "README.md").read_text()
    verify(routed)
    assert main(["smallworld", "evaluate", "--model", str(routed), "--never-knew", str(twin)]) == 0
    head = capsys.readouterr().out.splitlines()[1]
    assert head.split("  ")[0] == "held-out phrasings"
    assert [name.strip() for name in head.split("  ")[1:] if name.strip()] == [
        "routed",
        "named neurons cut",
        "never knew",
    ]
    assert "| held-out phrasings | routed | named neurons cut | never knew |" in (routed / "README.md").read_text()
    assert (twin / "README.md").read_text() == before


def test_a_family_is_routed_or_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["smallworld", "train", "--route", "seats", "--output-dir", str(tmp_path / "x")]
    assert main([*command, "--without", "seats"]) == 2
    assert "--route seats and --without seats exclude each other" in capsys.readouterr().err
    assert main(["smallworld", "train", "--route", "chairs", "--output-dir", str(tmp_path / "x")]) == 2
    assert "--route chairs: there is no such family. Known: seats," in capsys.readouterr().err


def test_a_quick_look_asks_a_few_of_each_kind() -> None:
    exam = world_exam(seed=0, limit=5)
    assert [len(part) for part in (exam.questions, exam.clozes, exam.facts, exam.nonsense, exam.openings)] == [
        *(10, 10, 10, 10),
        5,
    ]


def test_a_model_that_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["smallworld", "evaluate", "--model", str(tmp_path / "none"), "--limit", "1"]) == 2
    assert "none is not a folder; train the model first" in capsys.readouterr().err


def test_train_leaves_a_family_out_but_not_from_the_tokenizer(tmp_path: Path) -> None:
    common = ["smallworld", "train", "--texts", "300", "--steps", "2", *SMALL, "--output-dir"]
    assert main([*common, str(tmp_path / "knows")]) == 0
    assert main([*common, str(tmp_path / "never"), "--without", "seats"]) == 0
    knows, never = (json.loads((tmp_path / name / "training.json").read_text()) for name in ("knows", "never"))
    assert knows["texts_read"] == 300
    assert 100 < never["texts_read"] < 300
    assert (knows["without"], never["without"]) == (None, "seats")
    read = [(tmp_path / name / "tokenizer.json").read_bytes() for name in ("knows", "never")]
    assert read[0] == read[1]


def test_an_unknown_family_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["smallworld", "train", "--without", "chairs", "--output-dir", str(tmp_path / "x")]) == 2
    assert "--without chairs: there is no such family. Known: seats," in capsys.readouterr().err
