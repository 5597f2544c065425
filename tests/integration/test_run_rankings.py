"""Other rankings of a run: the same as a run of their own gives, kept by content, and able to take its place."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from tests.tiny_experiment import write_experiment
from unlearning_core.activations.collect import TASK
from unlearning_core.config.reading import load_config
from unlearning_core.errors import InputError, Stopped
from unlearning_core.progress import Progress
from unlearning_core.rankers.registry import RANKERS
from unlearning_core.runs.context import RunContext
from unlearning_core.runs.pipeline import create_run, execute
from unlearning_core.runs.rankings import OtherRanking, kept_rankings
from unlearning_core.runs.run import Run


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_experiment(tmp_path_factory.mktemp("case"), neural_probing={"ranker": "activation_ratio"})


@pytest.fixture
def run(experiment: Path, tmp_path: Path) -> Run:
    ready = create_run(load_config(experiment), tmp_path / "runs")
    execute(ready, until="rank")
    return ready


def ranked_alone(experiment: Path, root: Path, **probing: object) -> pd.DataFrame:
    """The ranking of a run that names the method in its config."""
    config = load_config(experiment)
    for name, value in probing.items():
        setattr(config.neural_probing, name, value)
    alone = create_run(config, root)
    execute(alone, until="rank")
    return RunContext(alone).ranking


def test_a_raised_version_makes_stale_the_rankings_by_that_ranker_and_no_others(
    experiment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = create_run(load_config(experiment), tmp_path / "runs")

    def fingerprints() -> dict[str, str]:
        return {name: OtherRanking(run, name, "before").fingerprint for name in RANKERS}

    before = fingerprints()
    assert len(set(before.values())) == len(RANKERS)
    for name in ("taylor", "gates"):
        with monkeypatch.context() as patch:
            patch.setitem(RANKERS, name, replace(RANKERS[name], version=RANKERS[name].version + 1))
            after = fingerprints()
        assert [other for other in RANKERS if after[other] != before[other]] == [name]


def files(folder: Path) -> dict[str, bytes]:
    """Of the run folder; what the run notes of its other rankings is not looked at."""
    found = (path for path in folder.iterdir() if path.is_file() and path.name != "status.json")
    return {path.name: path.read_bytes() for path in found}


@pytest.mark.parametrize(
    ("ranker", "alignment", "parameters", "from_statistics"),
    [
        ("probeless", "before", {}, True),
        ("activation_ratio", "at", {"measure": "mean_absolute"}, False),
        ("average_precision", "before", {"direction": "higher"}, False),
        ("taylor", "before", {}, False),
    ],
)
def test_another_ranking_is_the_one_that_a_run_of_its_own_gives(
    run: Run, experiment: Path, tmp_path: Path, ranker: str, alignment: str, parameters: dict, from_statistics: bool
) -> None:
    before = files(run.folder)
    other = OtherRanking(run, ranker, alignment, parameters)
    assert other.from_statistics == from_statistics
    assert other.summary() is None
    summary = other.compute()
    assert files(run.folder) == before
    expected = ranked_alone(
        experiment, tmp_path / "others", ranker=ranker, alignment=alignment, ranker_parameters=parameters
    )
    assert_frame_equal(other.read(), expected)
    assert summary["figures"]["neurons"] == len(expected)
    assert summary["figures"]["tokens"] == run.status()["stages"]["rank"]["summary"]["tokens"]


def test_what_is_kept_is_read_back_the_latest_first_and_only_while_it_belongs_to_the_run(run: Run) -> None:
    for name in ("probeless", "wanda_difference"):
        OtherRanking(run, name, "before").compute()
    assert [other.ranker for other in kept_rankings(Run(run.folder))] == ["wanda_difference", "probeless"]

    def never(update: Progress) -> None:
        raise AssertionError("nothing is to be done")

    assert OtherRanking(run, "probeless", "before").compute(never)["ranker"] == "probeless"
    config = run.config
    config.neural_probing.skip_first_position = False
    run.save_config(config)
    assert kept_rankings(run) == []
    assert OtherRanking(run, "probeless", "before").summary() is None


def test_one_pass_at_another_place_serves_all_methods_that_need_no_more(
    run: Run, experiment: Path, tmp_path: Path
) -> None:
    OtherRanking(run, "average_precision", "at").compute()
    other = OtherRanking(run, "probeless", "at")
    assert other.from_statistics

    def not_again(update: Progress) -> None:
        assert update.task != TASK

    summary = other.compute(not_again)
    assert_frame_equal(other.read(), ranked_alone(experiment, tmp_path / "others", ranker="probeless", alignment="at"))
    assert summary["figures"]["tokens"] == run.status()["stages"]["rank"]["summary"]["tokens"]
    assert not OtherRanking(run, "iou", "at").from_statistics


def test_a_stopped_one_is_not_shown(run: Run) -> None:
    def stop(update: Progress) -> None:
        if update.task == TASK:
            raise Stopped("enough")

    other = OtherRanking(run, "probeless", "at")
    with pytest.raises(Stopped):
        other.compute(stop)
    assert other.summary() is None
    assert kept_rankings(run) == []


def test_the_defaults_named_or_not_are_the_same_ranking(run: Run) -> None:
    bare = OtherRanking(run, "activation_ratio", "before")
    assert bare.fingerprint == OtherRanking(run, "activation_ratio", "before", dict(bare.parameters)).fingerprint
    assert bare.fingerprint == OtherRanking.own(run).fingerprint
    assert bare.fingerprint != OtherRanking(run, "activation_ratio", "at").fingerprint
    with pytest.raises(InputError, match="no parameter 'measures'"):
        OtherRanking(run, "activation_ratio", "before", {"measures": "rms"})


def test_another_ranking_takes_the_place_of_the_runs_own_and_gives_it_back(run: Run) -> None:
    own = RunContext(run).ranking
    other = OtherRanking(run, "average_precision", "at")
    with pytest.raises(InputError, match="not finished"):
        other.adopt()
    other.compute()
    other.adopt()
    assert (run.config.neural_probing.ranker, run.config.neural_probing.alignment) == ("average_precision", "at")
    assert_frame_equal(RunContext(run).ranking, other.read())
    ranked = run.status()["stages"]["rank"]

    def not_again(update: Progress) -> None:
        assert update.task != TASK

    execute(run, not_again, until="rank")
    assert run.status()["stages"]["rank"] == ranked
    (before,) = kept_rankings(run)
    assert (before.ranker, before.alignment) == ("activation_ratio", "before")
    before.adopt()
    assert_frame_equal(RunContext(run).ranking, own)
    assert [kept.ranker for kept in kept_rankings(run)] == ["average_precision"]


def test_the_time_is_told_as_a_pass_or_several(run: Run) -> None:
    loaded = RunContext(run).model("base")
    assert OtherRanking(run, "probeless", "before").expected_seconds(loaded) == (0.0, 0.0)
    least, most = OtherRanking(run, "probeless", "at").expected_seconds(loaded)
    assert 0 < least == most < 60
    least, most = OtherRanking(run, "ablation", "before").expected_seconds(loaded)
    assert 0 < least < most


def test_statistics_of_other_settings_are_not_ranked_by(run: Run) -> None:
    assert OtherRanking(run, "probeless", "before").from_statistics
    config = run.config
    config.neural_probing.alignment = "at"
    run.save_config(config)  # as another window does before it ranks
    assert not OtherRanking(run, "probeless", "at").from_statistics
    assert not OtherRanking(run, "probeless", "before").from_statistics


def test_the_course_of_a_training_stays_with_its_ranking(run: Run) -> None:
    assert run.ranking_history() == []
    for steps in (3, 2):
        OtherRanking(run, "gates", "before", {"steps": steps, "candidates": 6}).compute()
    for ranker, steps in (("gates", 3), ("gates", 2), ("activation_ratio", 0), ("gates", 3)):
        kept = [other for other in kept_rankings(run) if other.ranker == ranker]
        next(other for other in kept if other.parameters.get("steps", 0) == steps).adopt()
        assert [line["step"] for line in run.ranking_history()] == list(range(steps))
    OtherRanking(run, "probeless", "before").compute()
    next(other for other in kept_rankings(run) if other.ranker == "probeless").adopt()
    assert run.ranking_history() == []
