"""The store and its locks under SIGKILL: at whatever moment a process dies, nothing is lost and nothing is mixed."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.store_worker import STEPS, content, make
from unlearning_core.config.schema import ExperimentConfig
from unlearning_core.runs.listing import list_runs
from unlearning_core.runs.pipeline import create_run
from unlearning_core.runs.run import Run
from unlearning_core.runs.store import Store

ROOT = Path(__file__).resolve().parents[2]
KILLS = 200
AT_ONCE = 2
"""Processes that work on the same runs, of which one is killed at a time."""


@pytest.fixture
def forker(tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.integration.store_worker", tmp_path / "runs"],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=(tmp_path / "errors").open("w"), text=True,
    )  # fmt: skip
    yield process
    process.kill()
    process.wait()


def canary(root: Path) -> dict[str, bytes]:
    """A finished run that nobody touches, whose results the others take over: its files and what they hold."""
    run = create_run(ExperimentConfig(), root)
    run.folder.rename(root / "canary")
    run = Run(root / "canary")
    for step in STEPS:
        make(run, step, "0000")
    return files(run.folder)


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def check(root: Path) -> None:
    """Every result is whole, every run's manifest can be read and points at results that are there."""
    store = Store(root)
    for kind, fingerprint in store.artifacts():
        artifact = store.get(kind, fingerprint)
        assert artifact is not None, (kind, fingerprint)
        assert artifact.record["summary"] == {"made": fingerprint}
        for name in STEPS[kind]:
            assert artifact.path(name).read_bytes() == content(kind, fingerprint, name)
    for run in list_runs(root):
        status = json.loads((run.folder / "status.json").read_text(encoding="utf-8"))
        for step, known in status["stages"].items():
            if known["state"] == "finished":
                assert store.get(step, known["fingerprint"]) is not None, (run.id, step)
                shown = {known["fingerprint"]}
            else:
                shown = set()
            for name in STEPS[step]:
                path = run.folder / name
                if path.exists():  # it may not be shown yet, but never another one's
                    assert path.read_bytes() in {content(step, one, name) for one in shown}, (run.id, name)


@pytest.mark.slow
def test_two_hundred_kills_lose_nothing_and_mix_nothing(tmp_path: Path, forker: "subprocess.Popen[str]") -> None:
    root, pick = tmp_path / "runs", random.Random(1)
    before = canary(root)
    assert forker.stdin is not None
    assert forker.stdout is not None
    workers: list[int] = []
    for kill in range(KILLS + AT_ONCE):
        forker.stdin.write(f"{kill}\n")
        forker.stdin.flush()
        workers.append(int(forker.stdout.readline()))
        if len(workers) > AT_ONCE:
            time.sleep(pick.uniform(0.0, 0.06))  # the moment of the kill is what is drawn here
            assert not (tmp_path / "errors").read_text()
            os.kill(workers.pop(0), signal.SIGKILL)
        if kill % 20 == 19:
            for pid in workers:
                os.kill(pid, signal.SIGSTOP)
            # Whoever was stopped holds a lock at most: what is on the disk must be whole at this very moment too.
            check(root)
            for pid in workers:
                os.kill(pid, signal.SIGCONT)
    for pid in workers:
        os.kill(pid, signal.SIGKILL)
    check(root)
    assert files(root / "canary") == before
    # Every lock is free again: each run that is left can be worked on and brought to its end.
    for run in [one for one in list_runs(root) if one.id != "canary"]:
        for step in STEPS:
            make(run, step, "0000")
        assert {name: (run.folder / name).read_bytes() for names in STEPS.values() for name in names} == {
            name: content(step, "0000", name) for step, names in STEPS.items() for name in names
        }
    check(root)
