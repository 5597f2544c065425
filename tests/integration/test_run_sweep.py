"""The sweep of a run: kept by content, not measured twice, stopped and gone on with, computed by another process."""

import json
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.tiny_experiment import write_experiment
from unlearning_core.cli.app import main
from unlearning_core.config.reading import load_config
from unlearning_core.edits.cut_settings import CutSettings
from unlearning_core.errors import InputError, Stopped
from unlearning_core.evaluation.likelihood import Meter
from unlearning_core.evaluation.sweep import RATIOS, SweepSettings
from unlearning_core.progress import Progress
from unlearning_core.runs.context import RunContext
from unlearning_core.runs.pipeline import create_run, execute
from unlearning_core.runs.run import Run
from unlearning_core.runs.sweep import RunSweep, other_is_running


@pytest.fixture(scope="module")
def ranked(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("case")
    run = create_run(load_config(write_experiment(folder)), folder / "runs")
    execute(run, until="rank")
    return run


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Grows by one with every measurement of a model."""
    calls: list[object] = []
    real = Meter.measure
    monkeypatch.setattr(Meter, "measure", lambda *given, **named: calls.append(given) or real(*given, **named))
    return calls


def test_a_stopped_sweep_goes_on_and_a_finished_one_is_read_back(ranked: Run, measured: list[object]) -> None:
    def stop(update: Progress) -> None:
        if update.task == "measuring cuts" and update.done >= 12:
            raise Stopped("enough")

    found = RunSweep.of(ranked, CutSettings(0.1))
    with pytest.raises(Stopped):
        found.compute(stop)
    assert found.summary() is None
    assert len(found.points()) == 12
    before = len(measured)
    summary = found.compute()
    added = len(measured) - before
    assert found.compute() == summary == RunSweep.of(ranked, CutSettings(0.3)).compute()
    assert len(measured) == before + added
    assert found.artifact is not None
    table = pd.read_parquet(found.artifact.path("points.parquet"))
    assert len(table) == len(found.points()) == SweepSettings().cuts()
    assert sorted(set(table["ratio"])) == list(RATIOS)
    # The first 12 points cut nothing or lie on the curve from the top, so none of them was measured again: the base,
    # and for 7 ratios that cut a neuron the three random draws and the bottom.
    assert added == 1 + 7 * 4


def test_what_a_sweep_depends_on_decides_its_fingerprint(ranked: Run, tmp_path: Path) -> None:
    whole = RunSweep.of(ranked, CutSettings(0.1)).fingerprint
    assert RunSweep.of(ranked, CutSettings(0.3)).fingerprint == whole
    assert RunSweep.of(ranked, CutSettings(0.1, per_layer=True)).fingerprint != whole
    assert RunSweep.of(ranked, CutSettings(0.1, protected_layers=(1,))).fingerprint != whole
    assert RunSweep(ranked, SweepSettings(seed=1)).fingerprint != whole
    found = set()
    for turn in (1, 2):
        path, ranking = tmp_path / f"{turn}.parquet", ranked.ranking()
        ranking.assign(rank=np.roll(ranking["rank"], turn)).to_parquet(path, index=False)
        found.add(RunSweep.of(ranked, CutSettings(0.1), path).fingerprint)
    assert len(found | {whole}) == 3


def test_another_ranking_is_cut_from_its_top_alone_and_kept_beside_the_runs_own(ranked: Run, tmp_path: Path) -> None:
    own, path = RunSweep.of(ranked, CutSettings(0.1)), tmp_path / "other.parquet"
    ranking = RunContext(ranked).ranking
    ranking.assign(rank=ranking["rank"].to_numpy()[::-1]).to_parquet(path, index=False)
    other = RunSweep.of(ranked, CutSettings(0.1), path)
    assert other.fingerprint != own.fingerprint
    assert other.cuts == len(RATIOS)
    other.compute()
    points = other.points()
    assert [point.order for point in points] == ["top"] * len(RATIOS)
    # No neuron of this model is protected, so the top of the turned ranking is the bottom of the run's own.
    own.compute()
    expected = {point.ratio: point for point in own.points() if point.order == "bottom"}
    for point in points:
        assert point.forget == pytest.approx(expected[point.ratio].forget)
        assert point.retain == pytest.approx(expected[point.ratio].retain)
    with pytest.raises(InputError, match=r"no ranking .*gone\.parquet"):
        RunSweep.of(ranked, CutSettings(0.1), tmp_path / "gone.parquet").compute()


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("text", "is damaged, or no such table"),
        ("columns", "has no column 'rank'"),
        ("part", "ranks 20 of this run's 144 neurons, in 20 lines"),
        ("twice", "ranks 72 of this run's 144 neurons, in 144 lines"),
    ],
)
def test_a_file_that_is_no_ranking_of_these_neurons_is_named(ranked: Run, tmp_path: Path, kind: str, said: str) -> None:
    ranking, path = RunContext(ranked).ranking, tmp_path / "other.parquet"
    if kind == "text":
        path.write_text("no table")
    else:
        half = pd.concat([ranking.head(72), ranking.head(72)])
        tables = {"columns": ranking.drop(columns="rank"), "part": ranking.head(20), "twice": half}
        tables[kind].to_parquet(path, index=False)
    with pytest.raises(InputError, match=said):
        RunSweep.of(ranked, CutSettings(0.1), path).compute()


def test_without_a_ranking_there_is_no_sweep(tmp_path: Path) -> None:
    run = create_run(load_config(write_experiment(tmp_path)), tmp_path / "runs")
    with pytest.raises(InputError, match="not ranked yet"):
        RunSweep.of(run, CutSettings(0.1)).compute()


def test_the_command_prints_the_curves_and_where_they_are(ranked: Run, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["--ratios", "0.1", "0.5", "--draws", "2", "--protect-layers", "0", "--sentences", "8"]
    assert main(["sweep", str(ranked.folder), *given]) == 0
    *table, selectivity, suggested, folder = capsys.readouterr().out.splitlines()
    summary = json.loads((Path(folder) / "artifact.json").read_text())["summary"]
    assert [line.split()[:2] for line in table[1:]] == [["0%", "0"], ["10%", "10"], ["50%", "48"]]
    assert f"{summary['selectivity']:.3f}" in selectivity
    assert suggested.startswith("Suggested ratio:")
    assert summary["sentences"] == 16


def test_the_command_takes_another_ranking(ranked: Run, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["--ratios", "0.1", "--sentences", "8", "--ranking", str(ranked.folder / "ranking.parquet")]
    assert main(["sweep", str(ranked.folder), *given]) == 0
    _, _, tenth = capsys.readouterr().out.splitlines()[:3]
    assert tenth.split()[:2] == ["10%", "14"]
    assert tenth.split()[-2:] == ["-", "-"]


def test_the_command_refuses_too_few_sentences(ranked: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sweep", str(ranked.folder), "--sentences", "1"]) == 2
    assert 'Invalid value "1" for --sentences. Must be >= 2.' in capsys.readouterr().err


def test_another_process_computes_it_and_only_one_at_a_time(ranked: Run) -> None:
    found = RunSweep.of(ranked, CutSettings(0.1, per_layer=True))
    assert not found.begun
    found.start()
    assert found.is_running()
    assert other_is_running(ranked)
    with pytest.raises(InputError, match="being computed already"):
        RunSweep.of(ranked, CutSettings(0.1, protected_layers=(2,))).start()
    deadline = time.monotonic() + 800
    while found.is_running() and time.monotonic() < deadline:
        time.sleep(0.1)
    summary = found.summary()
    assert summary is not None, found.last_words()
    assert summary["settings"]["per_layer"]
    assert not other_is_running(ranked)
