"""A job that may take so much: its turn, its time and its disk, kept by the worker itself."""

from pathlib import Path

import pytest

from tests.integration.test_worker import until
from unlearning_core.errors import Stopped
from unlearning_core.jobs.device_queue import VARIABLE, all_queues
from unlearning_core.jobs.limits import Limits
from unlearning_core.jobs.process import Handle, launch, request_stop, wait
from unlearning_core.jobs.status import status

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def toys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "tests" / "toy_jobs"))
    monkeypatch.setenv(VARIABLE, str(tmp_path / "queue"))


def begin(folder: Path, function: str, limits: Limits, **values: object) -> Handle:
    return launch(folder, f"unlearning_core.toys:{function}", dict(values), title="toy", limits=limits.to_dict())


def test_a_job_that_takes_too_long_is_stopped_and_says_why(tmp_path: Path) -> None:
    handle = begin(tmp_path / "job", "sleep", Limits(seconds=0.5))
    with pytest.raises(Stopped, match="the longest that work may take on this server"):
        wait(handle)
    assert status(tmp_path / "job").state == "stopped"


def test_a_job_that_fills_its_folder_is_stopped_and_says_what_to_do(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "big").write_bytes(b"x" * 2_000_000)
    handle = begin(tmp_path / "job", "sleep", Limits(folder=str(mine), most_bytes=1_000_000))
    with pytest.raises(Stopped, match=r"take 2 MB, and there is room for 1 on this server\. Delete a run"):
        wait(handle)


def test_jobs_of_one_queue_take_turns_and_one_that_waits_can_be_stopped(tmp_path: Path) -> None:
    one_by_one = Limits(queue="jobs")
    first = begin(tmp_path / "first", "sleep", one_by_one)
    until(lambda: status(first.folder).state == "running")
    others = [begin(tmp_path / name, "count", one_by_one, to=1, seen=str(tmp_path / "seen")) for name in ("a", "b")]
    until(lambda: all(status(other.folder).state == "queued" for other in others))
    said = {status(other.folder).message for other in others}
    assert any("Another job comes first on this server" in message for message in said)
    assert not any(str(tmp_path) in message for message in said)
    request_stop(others[0].folder)
    with pytest.raises(Stopped):
        wait(others[0])
    request_stop(first.folder)
    assert wait(others[1]) == {"counted": 1}
    with pytest.raises(Stopped):
        wait(first)
    assert all_queues() == {}


def test_a_queue_of_two_lets_two_run_at_once(tmp_path: Path) -> None:
    two = Limits(queue="jobs", at_once=2)
    jobs = []
    for name in ("one", "two"):
        jobs.append(begin(tmp_path / name, "sleep", two))
        until(lambda: status(jobs[-1].folder).state == "running")
    third = begin(tmp_path / "three", "sleep", two)
    until(lambda: status(third.folder).state == "queued")
    for job in (third, *jobs):
        request_stop(job.folder)
        with pytest.raises(Stopped):
            wait(job)


def test_what_has_no_limits_is_not_held_up(tmp_path: Path) -> None:
    assert wait(begin(tmp_path / "job", "count", Limits(), to=2, seen=str(tmp_path / "seen"))) == {"counted": 2}
