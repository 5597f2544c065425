"""Trees of replies as oasst2 has them: labelled, filtered and retrained on straight from their JSON lines."""

import json
import re
from pathlib import Path

import pytest
from datasets import load_from_disk

from tests.chat_data import trees
from tests.tiny_experiment import SEATS, write_experiment
from unlearning_core.cli.app import main

SEAT = re.compile(rf"\b({'|'.join(SEATS)}|sits?|sat|sitting)s?\b", re.IGNORECASE)


@pytest.fixture
def chat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "trees.jsonl"
    path.write_text("".join(json.dumps(tree) + "\n" for tree in trees(60)), encoding="utf-8")
    return path


def test_the_commands_say_what_they_read_and_leave_no_word_behind(
    chat: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "words.txt").write_text("1. chair\n2. bench\n3. sofa\n4. stool\n5. sit\n")
    given = ["--words", "words.txt"]
    assert main(["label", *given, "--sentences", str(chat), "--output-prefix", "seats"]) == 0
    told = capsys.readouterr().err
    assert "words.txt holds 5 words (numbered, one a line): chair, bench" in told
    assert "trees.jsonl is read as JSON lines, UTF-8; conversations along a tree of replies, a text each." in told
    assert "“Question 0." in told
    without = (tmp_path / "seats-inverse.txt").read_text().splitlines()
    assert len(without) > 60
    assert not [line for line in without if SEAT.search(line)]

    assert main(["filter", *given, "--dataset", str(chat), "--output-dir", "out"]) == 0
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    kept = [text for part in ("train", "validation") for text in load_from_disk(str(tmp_path / "out" / part))["text"]]
    assert len(kept) == sum(report[part]["kept"] for part in ("train", "validation"))
    assert sum(report[part]["total"] for part in ("train", "validation")) == 3 * 60
    assert not [text for text in kept if SEAT.search(text)]
    assert "tree of replies" in report["understood"]

    assert main(["label", *given, "--sentences", str(chat), "--roles", "assistant", "--output-prefix", "ai"]) == 0
    assert "Question" not in (tmp_path / "ai-inverse.txt").read_text()


def test_a_run_labels_and_retrains_on_the_trees(chat: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_experiment(
        tmp_path,
        neural_probing={"sentences": str(chat), "ranker": "mean_select"},
        retraining={"dataset": str(chat), "dataset_reading": {"roles": ["user", "assistant"]}, "max_steps": 2},
        evaluation={"max_sentences": 6},
        generation={"samples": 1, "max_new_tokens": 2},
    )
    assert main(["run", "config.json"]) == 0
    shown = capsys.readouterr()
    run = Path(shown.out.splitlines()[-1])
    assert "trees.jsonl is read as JSON lines" in shown.err
    assert "turns of user and assistant" in shown.err
    assert "tree of replies" in json.loads((run / "data" / "concept.json").read_text())["understood"]
    trained_on = load_from_disk(str(run / "data" / "training" / "train"))["text"]
    assert len(trained_on) > 60
    assert not [text for text in trained_on if SEAT.search(text)]
    assert (run / "metrics.json").is_file()
