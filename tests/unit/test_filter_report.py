"""What the filter drops is told before the filter stage runs, and is not worked out a second time there."""

from pathlib import Path
from typing import Any

import pytest

from tests.unit.test_corrections import run_of
from unlearning_core.config.reading import build_config
from unlearning_core.runs import filtered
from unlearning_core.runs.context import RunContext
from unlearning_core.runs.filtered import known_reports, make_reports, named_texts
from unlearning_core.runs.pipeline import execute
from unlearning_core.runs.run import Run


@pytest.fixture
def run(tmp_path: Path) -> Run:
    lines = [f"A day by the river, number {number}." for number in range(8)] + ["Two chairs.", "A sofa, a chair."]
    (tmp_path / "more.txt").write_text("\n".join(lines), encoding="utf-8")
    made = run_of(tmp_path)
    execute(made, until="label")
    change(made, "retraining", dataset=str(tmp_path / "more.txt"))
    return made


def change(run: Run, section: str, **values: Any) -> None:
    config = run.config.model_dump()
    config[section] |= values
    run.save_config(build_config(config))


def test_the_report_counts_what_holds_a_word(run: Run) -> None:
    (report,) = make_reports(RunContext(run))
    assert report["words"] == {"chair": 2, "sofa": 1}
    assert [sum(report[part][kind] for part in ("train", "validation")) for kind in ("kept", "dropped")] == [8, 2]


def test_the_filter_stage_finds_the_text_filtered(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    make_reports(RunContext(run))

    def again(*_: Any, **__: Any) -> None:
        raise AssertionError("the text was filtered a second time")

    monkeypatch.setattr(filtered, "filter_dataset", again)
    execute(run, until="filter")
    assert sum(run.status()["stages"]["filter"]["summary"]["kept"].values()) == 8


def test_a_report_is_known_for_its_own_words_and_text_alone(run: Run, tmp_path: Path) -> None:
    assert known_reports(RunContext(run)) is None
    made = make_reports(RunContext(run))
    assert known_reports(RunContext(run)) == made
    change(run, "neural_probing", concept_definition=["chair"])
    assert known_reports(RunContext(run)) is None
    change(run, "neural_probing", concept_definition=["chair", "sofa"])
    assert known_reports(RunContext(run)) == made
    (tmp_path / "more.txt").write_text("A day.\nA night.\nA chair.\n", encoding="utf-8")
    assert known_reports(RunContext(run)) is None


def test_a_runs_own_sentences_need_no_filter(tmp_path: Path) -> None:
    assert named_texts(RunContext(run_of(tmp_path))) == []
