"""One retraining at a time on a device: a second process queues, says so, can be stopped, and is not held up by a dead
one."""

import os
import threading
import time
from pathlib import Path

import psutil
import pytest

from tests.integration.retraining_case import make_job, pruned
from tests.integration.test_worker import ENDLESS, steps, until
from unlearning_core.errors import InputError, Stopped, WorkFailed
from unlearning_core.files import write_json
from unlearning_core.jobs.device_queue import VARIABLE, all_queues, hold_device, queues_folder, tickets
from unlearning_core.jobs.events import read_events
from unlearning_core.jobs.liveness import process_identity
from unlearning_core.jobs.process import wait
from unlearning_core.jobs.status import status
from unlearning_core.jobs.stopping import never
from unlearning_core.progress import Progress
from unlearning_core.training.job import start
from unlearning_core.training.train import train


@pytest.fixture(autouse=True)
def empty_queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "queue"))


def test_a_second_training_queues_says_so_and_starts_when_the_first_one_is_gone(tmp_path: Path) -> None:
    pruned(tmp_path)
    first, second = make_job(tmp_path, "first", max_steps=ENDLESS), make_job(tmp_path, "second", max_steps=2)
    one = start(first)
    until(lambda: steps(status(first.folder)) > 0)
    two = start(second)
    until(lambda: status(second.folder).state == "queued")
    waiting = status(second.folder)
    assert waiting.live
    assert waiting.ahead == 1
    assert f"process {one.pid}, in {first.folder}" in waiting.message
    assert [ticket.pid for ticket in tickets("cpu")] == [one.pid, two.pid]
    told: list[str] = []

    def end_the_first(progress: Progress) -> None:
        told.append(progress.task)
        if "Waiting" in progress.task and psutil.pid_exists(one.pid):
            psutil.Process(one.pid).kill()

    assert wait(two, end_the_first)["steps"] == 2
    assert told[0] == waiting.message
    assert told[-1] == "retraining"
    with pytest.raises(WorkFailed, match="killed"):
        wait(one)
    # Not a step of the one fell into the time of the other.
    last = max(event["time"] for event in read_events(first.folder) if event["kind"] == "train")
    assert last < min(event["time"] for event in read_events(second.folder) if event["kind"] == "train")
    assert status(second.folder).ahead == 0
    assert all_queues() == {}


def test_one_that_waits_can_be_stopped(tmp_path: Path) -> None:
    pruned(tmp_path)
    job = make_job(tmp_path, max_steps=2)
    asked: list[str] = []

    def stop(progress: Progress) -> None:
        asked.append(status(job.folder).state)
        raise Stopped("enough")

    with hold_device("cpu", tmp_path / "other", waiting=lambda before: None, should_stop=never):
        with pytest.raises(Stopped, match="enough"):
            train(job, stop)
        assert [ticket.folder.name for ticket in tickets("cpu")] == ["other"]
    assert asked == ["queued"]
    assert status(job.folder).state == "stopped"
    assert not job.checkpoints.exists()


def test_those_who_wait_are_let_in_one_by_one_in_the_order_they_came(tmp_path: Path) -> None:
    order: list[str] = []
    heard: dict[str, list[int]] = {name: [] for name in "abc"}

    def come(name: str) -> None:
        with hold_device(
            "cpu", tmp_path / name, waiting=lambda before: heard[name].append(len(before)), should_stop=never
        ):
            order.append(f"{name} in")
            time.sleep(0.05)
            order.append(f"{name} out")

    with hold_device("cpu", tmp_path / "first", waiting=lambda before: None, should_stop=never):
        threads = [threading.Thread(target=come, args=(name,)) for name in "abc"]
        for number, thread in enumerate(threads, 2):
            thread.start()
            until(lambda number=number: len(tickets("cpu")) == number)
        until(lambda: all(heard.values()))
    for thread in threads:
        thread.join(300)
    assert order == ["a in", "a out", "b in", "b out", "c in", "c out"]
    assert [counts[0] for counts in heard.values()] == [1, 2, 3]
    assert heard["c"] == sorted(heard["c"], reverse=True)


def test_the_ticket_of_a_dead_process_is_removed_and_a_reused_pid_is_not_taken_for_it(tmp_path: Path) -> None:
    place = queues_folder() / "cpu"
    dead = {"pid": os.getpid(), "created": 1.0, "folder": str(tmp_path)}
    write_json(place / f"{1:020d}-{os.getpid()}.json", dead)
    (place / "notes.json").write_text("{}")
    told: list[object] = []
    with hold_device("cpu", tmp_path, waiting=told.append, should_stop=never):
        assert [ticket.pid for ticket in tickets("cpu")] == [os.getpid()]
    assert told == []
    assert sorted(path.name for path in place.iterdir()) == ["lock", "notes.json"]


def test_a_ticket_that_came_late_with_an_earlier_time_does_not_get_in(tmp_path: Path) -> None:
    """Two processes may read the clock in one order and write their tickets in the other: the lock decides."""
    with hold_device("cpu", tmp_path / "one", waiting=lambda before: None, should_stop=never):
        mine = tickets("cpu")[0].path
        write_json(
            mine.with_name(f"{int(mine.name[:20]) + 10**15:020d}-{os.getpid()}.json"),
            process_identity(os.getpid()) | {"folder": str(tmp_path)},
        )
        mine.unlink()
        asked: list[bool] = []

        def twice() -> bool:
            asked.append(True)
            return len(asked) > 1

        with (
            pytest.raises(Stopped, match="while it waited"),
            hold_device("cpu", tmp_path / "two", waiting=lambda before: None, should_stop=twice),
        ):
            pytest.fail("two had the device at once")


def test_devices_have_lines_of_their_own(tmp_path: Path) -> None:
    with (
        hold_device("cpu", tmp_path / "one", waiting=lambda before: pytest.fail("waited"), should_stop=never),
        hold_device("cuda", tmp_path / "two", waiting=lambda before: pytest.fail("waited"), should_stop=never),
    ):
        assert sorted(all_queues()) == ["cpu", "cuda"]


def test_a_queue_that_cannot_be_written_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "file"))
    with (
        pytest.raises(InputError, match=f"{VARIABLE} .* is a file"),
        hold_device("cpu", tmp_path, waiting=lambda before: None, should_stop=never),
    ):
        pytest.fail("had the device")
