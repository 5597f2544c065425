"""A run with neighbours from one JSON file: by words, by text, and what is refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.tiny_experiment import write_experiment
from unlearning_core.cli.app import main
from unlearning_core.runs.run import Run

STOP = {"retraining": {"enabled": False}, "generation": {"samples": 1, "max_new_tokens": 2}}


def run(folder: Path, capsys: pytest.CaptureFixture[str], **probing: Any) -> tuple[Run, str]:
    """The run of the tiny experiment with these keys of neural_probing, and what it printed."""
    path = write_experiment(folder, neural_probing=probing, **STOP)
    assert main(["run", str(path), "--output-dir", str(folder / "runs")]) == 0
    printed = capsys.readouterr().out
    return Run(Path(printed.splitlines()[-1])), printed


def rows(run: Run, part: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run.folder / "data" / f"{part}.jsonl").read_text().splitlines()]


def losses(run: Run, step: str) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Tokens and nats a held-out sentence at the neighbours and at what is neither, through stock transformers."""
    source = run.config.base_model.base_model_path if step == "base" else run.folder / "models" / step
    model, tokenizer = AutoModelForCausalLM.from_pretrained(source).eval(), AutoTokenizer.from_pretrained(source)
    found: dict[str, list[list[float]]] = {"neighbour": [], "rest": []}
    for row in rows(run, "held_out"):
        encoding = tokenizer(row["text"], return_offsets_mapping=True, return_tensors="pt")
        with torch.no_grad():
            chances = model(encoding["input_ids"]).logits[0].double().log_softmax(-1)
        ids, sums = encoding["input_ids"][0].tolist(), {kind: [0.0, 0.0] for kind in found}
        for place, (start, end) in enumerate(encoding["offset_mapping"][0].tolist()):
            concept, near = (
                any(start < stop and first < end for first, stop in row.get(name, ()))
                for name in ("spans", "neighbours")
            )
            if place and not concept:
                kind = "neighbour" if near else "rest"
                sums[kind][0] += 1
                sums[kind][1] -= float(chances[place - 1, ids[place]])
        for kind, pair in sums.items():
            found[kind].append(pair)
    return {kind: tuple(np.array(pairs).T) for kind, pairs in found.items()}  # type: ignore[misc]


def test_words_that_must_stay_are_ranked_against_and_measured_apart(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done, printed = run(tmp_path, capsys, neighbours=["apple", "garden"], max_retain_sentences=30)
    train = rows(done, "train")
    near = [row for row in train if not row["spans"] and row.get("neighbours")]
    assert len([row for row in train if not row["spans"]]) == 30
    assert len(near) == 15
    for row in train:
        for (start, end), word in zip(row.get("neighbours", ()), row.get("neighbour_words", ()), strict=True):
            assert row["text"][start:end] == word in ("apple", "garden")
        assert ("apple" in row["text"] or "garden" in row["text"]) == bool(row.get("neighbours"))
    facts = done.concept_facts()["neighbours"]
    assert facts["train"] == 15
    assert facts["held_out"] == len(
        [row for row in rows(done, "held_out") if row.get("neighbours") and not row["spans"]]
    )

    metrics = done.metrics()
    base, pruned = losses(done, "base"), losses(done, "pruned")
    for kind in ("neighbour", "rest"):
        tokens, before = base[kind]
        assert metrics["base"][f"{kind}_nll"] == pytest.approx(before.sum() / tokens.sum(), rel=1e-4)
        change = (pruned[kind][1] - before).sum() / tokens.sum()
        assert metrics["pruned"][f"{kind}_delta"] == pytest.approx(change, abs=1e-4)
        value, error = metrics["pruned"][f"{kind}_delta"], metrics["pruned"][f"{kind}_delta_stderr"]
        line = next(line for line in printed.splitlines() if line.startswith(f"{kind}_delta"))
        assert line.split()[1:] == [f"{value:.3f}", "±", f"{1.96 * error:.3f}"]


@pytest.mark.parametrize("ranker", ["activation_ratio", "combined"])
def test_the_share_of_neighbours_changes_the_ranking_and_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], ranker: str
) -> None:
    even, _ = run(tmp_path, capsys, neighbours=["apple"], neighbour_share=0.5, ranker=ranker)
    plain, _ = run(tmp_path, capsys, neighbours=["apple"], neighbour_share=0, ranker=ranker)
    assert rows(even, "train") == rows(plain, "train")
    scores = [
        pd.read_parquet(of.folder / "ranking.parquet").sort_values(["layer", "index"]).score for of in (even, plain)
    ]
    assert not np.allclose(*scores)
    assert (
        even.status()["stages"]["measure base"]["fingerprint"]
        == plain.status()["stages"]["measure base"]["fingerprint"]
    )


def test_text_about_neighbours_is_added_and_counts_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    texts = [f"The {what} of day {day} is wide." for what in ("table", "desk") for day in range(10)]
    (tmp_path / "near.csv").write_text("about\n" + "\n".join([*texts, "A chair at a desk."]), encoding="utf-8")
    done, _ = run(tmp_path, capsys, neighbour_corpus=str(tmp_path / "near.csv"), neighbour_corpus_column="about")
    marked = [row for part in ("train", "held_out") for row in rows(done, part) if row.get("neighbours")]
    assert sorted(row["text"] for row in marked) == sorted(texts)
    assert all(row["neighbours"] == [[0, len(row["text"])]] for row in marked)
    assert done.metrics()["base"]["neighbour_tokens"] > 0


@pytest.mark.parametrize(
    ("probing", "said"),
    [
        ({"neighbours": ["apple", "stools"]}, "neural_probing.neighbours: 'stools' matches the concept's word 'stool'"),
        ({"neighbours": ["zebra"]}, "None of the neighbours' 1 words occurs in the 120 sentences: zebra"),
        ({"neighbours": "no-such-file.txt"}, "no-such-file.txt does not exist"),
        (
            {"neighbors": ["apple"]},
            "neural_probing.neighbors is not a known key; did you mean neural_probing.neighbours?",
        ),
        ({"neighbour_share": 1}, "neural_probing.neighbour_share is 1; input should be less than 1"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], probing: dict[str, Any], said: str
) -> None:
    path = write_experiment(tmp_path, neural_probing=probing, **STOP)
    assert main(["run", str(path), "--output-dir", str(tmp_path / "runs")]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error


def test_without_neighbours_no_file_and_no_line_speaks_of_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done, printed = run(tmp_path, capsys)
    names = ("data/train.jsonl", "data/held_out.jsonl", "data/concept.json", "metrics.json")
    # The last line is the folder's path, which has this test's name in it.
    told = "".join([*((done.folder / name).read_text() for name in names), *printed.splitlines()[:-1]])
    assert "neighbour" not in told.replace(str(tmp_path), "")
    assert "rest_" not in told
