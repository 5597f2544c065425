"""Child processes: called with values, told apart when dead, stopped at any moment, killed at random ones."""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.integration.test_worker import until
from unlearning_core.errors import InputError, Stopped, WorkFailed
from unlearning_core.jobs.device_queue import VARIABLE, all_queues
from unlearning_core.jobs.events import EventLog
from unlearning_core.jobs.liveness import is_working_in, record, record_exit
from unlearning_core.jobs.process import Handle, launch, request_stop, wait
from unlearning_core.jobs.status import status, tail
from unlearning_core.progress import Progress

ROOT = Path(__file__).resolve().parents[2]
TOYS = "unlearning_core.toys"


@pytest.fixture(autouse=True)
def toys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "tests" / "toy_jobs"))
    monkeypatch.setenv(VARIABLE, str(tmp_path / "queue"))


def count(folder: Path, to: int = 20, pause: float = 0.0, function: str = "count") -> Handle:
    values = {"to": to, "pause": pause, "seen": str(folder.parent / "seen")}
    return launch(folder, f"{TOYS}:{function}", values, title="counting job")


def workers_of(folder: Path) -> list[int]:
    """The pids that worked, in their order; one that came back after another would be there twice."""
    pids = [int(line) for line in (folder.parent / "seen").read_text().splitlines()]
    return [pid for place, pid in enumerate(pids) if place == 0 or pids[place - 1] != pid]


def start_unless_refused(folder: Path, started: list[Handle]) -> bool:
    with contextlib.suppress(InputError):
        started.append(count(folder, to=40, pause=0.005))
    return bool(started)


def is_over(folder: Path) -> bool:
    return not status(folder).live and not is_working_in(folder)


PARENT = (
    "import json, sys; from pathlib import Path; from unlearning_core.jobs.process import launch, wait;"
    "print('here', flush=True);"
    "sys.stdin.readline();"
    f"handle = launch(Path(sys.argv[1]), '{TOYS}:count', json.loads(sys.argv[2]), title='counting job');"
    "print(handle.pid, flush=True); wait(handle)"
)


def parent(folder: Path, to: int, pause: float = 0.0) -> "subprocess.Popen[str]":
    """Another process, ready to launch a counting job, which ends once `held` is gone, when a line is written to it."""
    beside = {name: str(folder.parent / name) for name in ("seen", "held")}
    values = json.dumps({"to": to, "pause": pause} | beside)
    process = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(folder), values],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "here\n"
    return process


def let_go(process: "subprocess.Popen[str]") -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def test_a_function_is_called_with_its_values_and_its_result_comes_back(tmp_path: Path) -> None:
    told: list[Progress] = []
    handle = count(tmp_path / "job", to=5, pause=0.02)
    assert wait(handle, told.append) == {"counted": 5}
    end = status(handle.folder)
    assert (end.state, end.exit_code, end.error, end.result) == ("finished", 0, None, {"counted": 5})
    assert told[-1] == Progress("counting", 5, 5, "numbers")
    assert [update.done for update in told] == sorted(update.done for update in told)
    told_by_file = json.loads((handle.folder / "status.json").read_text())
    assert {"state", "message", "task", "step", "total_steps", "error", "result", "updated"} <= set(told_by_file)


def test_a_mistake_is_a_mistake_and_anything_else_a_failure_with_its_last_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="width is 3; use 4"):
        wait(launch(tmp_path / "mistake", f"{TOYS}:fail", {"mistake": True}))
    assert (status(tmp_path / "mistake").exit_code, tail(tmp_path / "mistake", 1)) == (2, ["width is 3; use 4."])
    with pytest.raises(WorkFailed, match="no such luck"):
        wait(launch(tmp_path / "other", f"{TOYS}:fail", {"mistake": False}))
    assert (status(tmp_path / "other").exit_code, tail(tmp_path / "other", 1)) == (1, ["ValueError: no such luck"])


def test_a_function_of_another_program_is_not_called(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="target is 'os:system'"):
        wait(launch(tmp_path, "os:system", {}))


def test_a_job_that_says_nothing_is_interrupted_at_once(tmp_path: Path) -> None:
    handle = launch(tmp_path, f"{TOYS}:sleep", {}, title="sleep")
    until(lambda: status(tmp_path).state == "running")
    asked = time.monotonic()
    request_stop(tmp_path)
    request_stop(tmp_path)
    with pytest.raises(Stopped, match="start it again to go on"):
        wait(handle)
    assert time.monotonic() - asked < 300
    assert status(tmp_path).state == "stopped"


def test_the_end_of_a_worker_does_not_search_all_of_its_memory(tmp_path: Path) -> None:
    told = tmp_path / "told"
    with pytest.raises(Stopped):
        wait(launch(tmp_path / "job", f"{TOYS}:tell_at_the_end", {"told": str(told)}))
    assert int(told.read_text()) > 1000


def test_a_stop_at_any_moment_of_the_start_ends_it_as_stopped(tmp_path: Path) -> None:
    for number in range(8):
        handle = launch(tmp_path / str(number), f"{TOYS}:sleep", {})
        time.sleep(random.Random(number).uniform(0, 0.4))
        request_stop(handle.folder)
        with pytest.raises(Stopped):
            wait(handle)
        assert status(handle.folder).state == "stopped", number


def test_a_second_parent_is_refused_while_a_job_runs_and_the_job_outlives_its_parent(tmp_path: Path) -> None:
    (tmp_path / "held").touch()
    first = parent(tmp_path / "job", to=20)
    let_go(first)
    until(lambda: status(tmp_path / "job").state == "running")
    pid = status(tmp_path / "job").pid
    with pytest.raises(InputError, match=rf"a counting job is running already \(process {pid}\)"):
        count(tmp_path / "job")
    first.kill()
    first.communicate()
    (tmp_path / "held").unlink()
    until(lambda: is_over(tmp_path / "job"))
    assert status(tmp_path / "job").result == {"counted": 20}
    assert workers_of(tmp_path / "job") == [pid]


def test_of_two_parents_at_the_same_moment_one_is_refused(tmp_path: Path) -> None:
    for number in range(3):
        folder = tmp_path / str(number) / "job"
        folder.parent.mkdir()
        (folder.parent / "held").touch()
        both = [parent(folder, to=30) for _ in range(2)]
        for process in both:
            let_go(process)
        until(lambda both=both: any(process.poll() is not None for process in both))
        (folder.parent / "held").unlink()
        errors = [process.communicate(timeout=800)[1] for process in both]
        assert sorted(process.returncode for process in both) == [0, 1], errors
        assert "running already" in "".join(errors)
        assert len(workers_of(folder)) == 1
        assert status(folder).result == {"counted": 30}


def test_a_worker_killed_at_any_moment_is_known_to_be_dead_and_can_be_started_again(tmp_path: Path) -> None:
    folder = tmp_path / "job"
    for number in range(12):
        handle = count(folder, to=10_000, pause=0.001)
        time.sleep(random.Random(number).uniform(0, 0.5))
        os.kill(handle.pid, signal.SIGKILL)
        with pytest.raises(WorkFailed, match=r"The counting job process died.*killed; often for want of memory"):
            wait(handle)
        assert is_over(folder)
        assert (status(folder).state, status(folder).exit_code) == ("failed", -9)
    assert wait(count(folder, to=3)) == {"counted": 3}
    pids = workers_of(folder)
    assert len(pids) == len(set(pids))


def test_a_parent_killed_at_any_moment_leaves_a_job_that_is_done_once_or_can_be_started_again(tmp_path: Path) -> None:
    for number in range(8):
        folder = tmp_path / str(number) / "job"
        folder.parent.mkdir()
        first = parent(folder, to=40, pause=0.005)
        let_go(first)
        time.sleep(random.Random(number).uniform(0, 0.03))
        first.kill()
        first.communicate()
        started: list[Handle] = []
        # It is refused as long as the worker of the killed one is at it.
        until(lambda folder=folder, started=started: started or start_unless_refused(folder, started))
        assert wait(started[0]) == {"counted": 40}
        pids = workers_of(folder)
        assert len(pids) == len(set(pids)), "two worked at the same time"


def test_a_worker_whose_end_is_seen_late_does_not_hide_the_one_that_took_over(tmp_path: Path) -> None:
    folder = tmp_path / "job"
    handle = count(folder, to=1)
    wait(handle)
    record(folder, os.getpid())
    EventLog(folder).state("running")
    record_exit(folder, handle.pid, 0)
    assert is_working_in(folder)
    assert (status(folder).state, status(folder).pid, status(folder).exit_code) == ("running", os.getpid(), None)


def test_a_job_that_waits_for_the_device_says_so_and_is_stopped_while_it_waits(tmp_path: Path) -> None:
    first = count(tmp_path / "first", to=100_000, pause=0.01, function="count_on_the_device")
    until(lambda: status(tmp_path / "first").state == "running")
    second = count(tmp_path / "second", function="count_on_the_device")
    until(lambda: status(tmp_path / "second").state == "queued")
    assert f"process {first.pid}, in {tmp_path / 'first'}" in status(tmp_path / "second").message
    with pytest.raises(Stopped):
        wait(second, stop_what_waits)
    assert status(tmp_path / "second").state == "stopped"
    assert status(tmp_path / "first").state == "running"
    assert [ticket.pid for ticket in all_queues()["cpu"]] == [first.pid]
    third = count(tmp_path / "third", to=2, function="count_on_the_device")
    until(lambda: status(tmp_path / "third").state == "queued")
    psutil.Process(first.pid).kill()
    assert wait(third) == {"counted": 2}
    assert all_queues() == {}


def stop_what_waits(update: Progress) -> None:
    if "Waiting" in update.task:
        raise Stopped("enough")


def test_a_process_of_the_same_number_that_came_later_is_not_taken_for_the_worker(tmp_path: Path) -> None:
    handle = count(tmp_path / "job", to=1)
    wait(handle)
    told = json.loads((tmp_path / "job" / "status.json").read_text()) | {"state": "running"}
    (tmp_path / "job" / "status.json").write_text(json.dumps(told))
    (tmp_path / "job" / "process.json").write_text(json.dumps({"pid": os.getpid(), "created": 1.0}))
    assert status(tmp_path / "job").state == "failed"
    assert wait(count(tmp_path / "job", to=2)) == {"counted": 2}
