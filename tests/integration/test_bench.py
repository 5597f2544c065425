"""The benchmarks run on a tiny model and write the figures that are promised; no figure of speed is held here."""

import json
from pathlib import Path

import pytest

from bench.__main__ import main
from tests.tiny_models import save_tiny

TEXT = "\n".join(
    [
        "She put the chair beside the wooden table and sat down.",
        "The cat sleeps on a bench; the dog barks at 7 in the morning.",
        "A small boat crossed the river before the rain, and nobody saw it.",
        "He reached for the sofa near the window, then the lamp.",
    ]
    * 10
)


@pytest.fixture
def sentences(tmp_path: Path) -> Path:
    path = tmp_path / "sentences.txt"
    path.write_text(TEXT, encoding="utf-8")
    return path


def test_extraction_agrees_with_neurox_on_the_top_100(sentences: Path, tmp_path: Path) -> None:
    model, output = save_tiny("gpt2", tmp_path / "model"), tmp_path / "out.json"
    options = ["--model", str(model), "--sentences", str(sentences), "--limit", "8", "--json", str(output)]
    assert main(["extraction", *options]) == 0
    result = json.loads(output.read_text(encoding="utf-8"))
    fixed = {"neurox_seconds", "ours_seconds", "ratio", "neurox_spool_bytes", "ours_peak_mb", "top100_overlap"}
    assert fixed <= set(result)
    assert result["top100_overlap"] == 100
    assert result["sentences"] == 8
    assert result["neurox_spool_bytes"] > 8 * 10 * 4 * 32 * 5, "at least five bytes a value"
    assert result["ratio"] == pytest.approx(result["neurox_seconds"] / result["ours_seconds"])


def test_forward_counts_the_tokens_of_both_sides(sentences: Path, tmp_path: Path) -> None:
    model, output = save_tiny("llama", tmp_path / "model"), tmp_path / "out.json"
    options = ["--model", str(model), "--sentences", str(sentences), "--limit", "20", "--json", str(output)]
    assert main(["forward", *options]) == 0
    result = json.loads(output.read_text(encoding="utf-8"))
    assert result["ratio"] == pytest.approx(result["ours_tokens_per_second"] / result["bare_tokens_per_second"])
    assert result["sentences"] == 20
    assert result["tokens"] > 20 * 10


def test_memory_measures_each_size(sentences: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.json"
    options = ["--sentences", str(sentences), "--counts", "20", "200", "--json", str(output)]
    assert main(["memory", *options]) == 0
    result = json.loads(output.read_text(encoding="utf-8"))
    assert [size["sentences"] for size in result["sizes"]] == [20, 200]
    assert result["sizes"][1]["tokens"] == 10 * result["sizes"][0]["tokens"]
    assert result["peak_beside_model_mb"] < 300


def test_words_that_do_not_occur_are_a_mistake(
    sentences: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = tmp_path / "words.txt"
    words.write_text("zebra\n", encoding="utf-8")
    options = ["--model", str(tmp_path), "--sentences", str(sentences), "--words", str(words)]
    assert main(["extraction", *options]) == 2
    assert str(words) in capsys.readouterr().err


def test_an_unknown_benchmark_lists_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["speed"]) == 2
    assert "extraction" in capsys.readouterr().out
