"""`unlearn MODEL CONCEPT` is stopped and killed again and again, and goes on each time where it was.

Where it is stopped is a step of the work, told by its progress, and no time: it sends itself the signal there.
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.test_auto import QUICK
from unlearning_core.errors import Stopped
from unlearning_core.files import ROOT, child_python_path
from unlearning_core.runs.listing import list_runs
from unlearning_core.runs.tuning.trials import Trials
from unlearning_core.runs.tuning.tuned_runs import TRIAL_NOTE

WORDS = "chair, sofa, bench, stool, couch, armchair, seat, pew, throne"
CUTS, RETRAINED = 4, 2

COMMAND = """
import json, os, re, sys
from unlearning_core.cli.app import main
from unlearning_core.cli.progress_bar import TerminalProgress
from unlearning_core.runs.tuning import experiment
from unlearning_core.writing import writer

moment, least, number, *words = sys.argv[1:]
drawn = TerminalProgress.__call__
texts = [json.loads(line)["text"] for line in open("few.jsonl", encoding="utf-8")]

def draw(self, update):
    drawn(self, update)
    if re.match(moment, update.task) and update.done >= int(least):
        os.kill(os.getpid(), int(number))

TerminalProgress.__call__ = draw
# A model of a quarter million parameters writes no sentences: it is given some, a few at a time.
experiment.WRITTEN, experiment.text_without = 60, lambda model: None
writer.sample = lambda loaded, prompts, settings, seed: [texts[(seed + n) % len(texts)] for n in range(len(prompts))]
sys.exit(main(words))
"""

MOMENTS = (("writing sentences", 1), ("recipe 1: retraining", 0), (r"race of R\d: relearning", 0))
"""What it does when it is stopped, and how much of it is done at least."""


def called(folder: Path, moment: str, least: int, number: int) -> "subprocess.CompletedProcess[str]":
    words = ["auto", "model", WORDS, "--trials", str(CUTS), "--retrained", str(RETRAINED), "--yes"]
    words += [part for one in (*QUICK, "evaluation.max_sentences=8") for part in ("--set", one)]
    environment = os.environ | {"PYTHONPATH": child_python_path(), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-c", COMMAND, moment, str(least), str(number), *words],
        cwd=folder, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_stopped_and_killed_at_every_step_the_same_command_goes_on(tmp_path: Path) -> None:
    (tmp_path / "model").symlink_to(ROOT / "models" / "smallworld")
    lines = (ROOT / "data" / "smallworld" / "texts.jsonl").read_text(encoding="utf-8").splitlines()
    (tmp_path / "few.jsonl").write_text("\n".join(lines[:600]), encoding="utf-8")
    runs, written = tmp_path / "runs", list[list[str]]()
    for moment, least in MOMENTS:
        for number in (signal.SIGINT, signal.SIGKILL):
            ended = called(tmp_path, moment, least, number)
            expected = Stopped.exit_code if number == signal.SIGINT else -signal.SIGKILL
            assert ended.returncode == expected, (moment, number, ended.stderr[-2000:])
            if moment == "writing sentences":
                (journal,) = (runs / ".written").glob("*.journal.jsonl")
                written.append(journal.read_text(encoding="utf-8").splitlines())
    assert 1 < len(written[0]) <= len(written[1])
    assert written[1][: len(written[0])] == written[0]  # what was written stays

    ended = called(tmp_path, "nothing is called like this", 0, 0)
    assert ended.returncode == 0, ended.stderr[-2000:]
    (tuned,) = (run for run in list_runs(runs) if not run.note(TRIAL_NOTE))
    assert ended.stdout.splitlines()[-1] == str(tuned.folder)
    trials = Trials(tuned.tuning_folder, 0)
    for kind, count in (("cuts", CUTS), ("retrained", RETRAINED)):
        tried = [trial.choice for trial in trials.tried(kind)]
        assert len(tried) == len(set(tried)) == count
    assert len([run for run in list_runs(runs) if run.note(TRIAL_NOTE)]) == RETRAINED
    told = json.loads((tuned.tuning_folder / "pareto.json").read_text(encoding="utf-8"))
    assert told["taken"] is not None
    assert tuned.verdict() is not None
