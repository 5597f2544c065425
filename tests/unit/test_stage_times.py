"""How long the next stages take: from earlier runs here, or the starter's own times at this machine's pace."""

from pathlib import Path

import pytest

from unlearning_core.config.reading import starter_config
from unlearning_core.runs.pipeline import create_run
from unlearning_core.runs.run import Run
from unlearning_core.runs.stage_times import RACE_SECONDS, STARTERS, Wait, slowness, wait_for_race, wait_until


def new_run(root: Path, **changes: object) -> Run:
    config = starter_config("smallworld")
    for name, value in changes.items():
        setattr(config.base_model, name, value)
    return create_run(config, root)


def test_a_starter_is_told_from_its_own_times_until_a_run_was_finished_here(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    known = STARTERS["smallworld"]
    assert wait_until(run, "rank") == Wait(known["label"] + known["rank"], "two cores")
    other = new_run(tmp_path)
    for name, seconds in {"label": 2.0, "rank": 40.0}.items():
        other.manifest.set_stage(name, state="finished", seconds=seconds)
    assert wait_until(run, "rank") == Wait(42.0, "here")
    taken = new_run(tmp_path)
    taken.manifest.set_stage("rank", state="finished", seconds=9000.0, taken_from=other.id)
    assert wait_until(run, "rank") == Wait(42.0, "here")


def test_a_slower_machine_is_told_by_what_is_done() -> None:
    assert slowness({"rank": 20.0, "label": 1.0}, {"rank": 10.0, "label": 0.5, "retrain": 60.0}) == pytest.approx(2.0)
    assert slowness({"label": 1.0}, {"label": 0.1}) == 1.0  # too short to tell
    assert slowness({}, {"label": 0.1}) == 1.0


def test_an_unknown_model_is_not_guessed(tmp_path: Path) -> None:
    run = new_run(tmp_path, base_model_path=str(tmp_path / "some-model"))
    assert wait_until(run, "label") is None
    assert wait_until(run, "no such stage") is None
    assert wait_for_race(run) is None


def test_every_stage_of_each_starter_has_its_time_and_so_has_its_race(tmp_path: Path) -> None:
    for starter in STARTERS:
        run = create_run(starter_config(starter), tmp_path / starter)
        found = wait_until(run, "report")
        assert found is not None
        assert found.seconds == pytest.approx(sum(STARTERS[starter].values()))
        race = wait_for_race(run)
        assert race is not None
        assert race.seconds == pytest.approx(sum(RACE_SECONDS[starter].values()))


def test_the_race_takes_longer_where_the_rest_did(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    before = wait_for_race(run)
    assert before is not None
    run.manifest.set_stage("rank", state="finished", seconds=3 * STARTERS["smallworld"]["rank"])
    after = wait_for_race(run)
    assert after is not None
    assert after.seconds == pytest.approx(3 * before.seconds)
