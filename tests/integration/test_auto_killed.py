"""`unlearn MODEL CONCEPT` is stopped and killed again and again, and goes on each time where it was.

Where it is stopped is a step of the work, told by its progress, and no time: it sends itself the signal there.
"""

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
from unlearning_core.runs.tuning.search import Limits, RecipeSearch
from unlearning_core.runs.tuning.trials import KINDS, Trials
from unlearning_core.runs.tuning.tuned_runs import TRIAL_NOTE

WORDS = "chair, sofa, bench, stool, couch, armchair, seat, pew, throne"
CUTS, RETRAINED = 4, 2

COMMAND = """
import json, os, re, signal, sys
from unlearning_core.cli.app import main
from unlearning_core.cli.progress_bar import TerminalProgress
from unlearning_core.runs.tuning import experiment
from unlearning_core.writing import writer

# A shell's background job has inherited "ignore Ctrl-C".
signal.signal(signal.SIGINT, signal.default_int_handler)
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

STOPS = (
    ("writing sentences", 1, signal.SIGINT), ("writing sentences", 1, signal.SIGKILL),
    ("recipe 1: retraining", 0, signal.SIGKILL),
    (r"race of R\d: relearning", 0, signal.SIGINT), (r"race of R\d: relearning", 0, signal.SIGKILL),
)  # fmt: skip
"""What it does when it is stopped, how much of it is done at least, and by which signal."""


def called(folder: Path, moment: str, least: int, number: int) -> "subprocess.CompletedProcess[str]":
    words = ["auto", "model", WORDS, "--trials", str(CUTS), "--retrained", str(RETRAINED), "--yes"]
    words += [part for one in (*QUICK, "evaluation.max_sentences=8") for part in ("--set", one)]
    environment = os.environ | {"PYTHONPATH": child_python_path(), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-c", COMMAND, moment, str(least), str(number), *words],
        cwd=folder, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_stopped_and_killed_at_every_step_the_same_command_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "model").symlink_to(ROOT / "models" / "smallworld")
    lines = (ROOT / "data" / "smallworld" / "texts.jsonl").read_text(encoding="utf-8").splitlines()
    (tmp_path / "few.jsonl").write_text("\n".join(lines[:600]), encoding="utf-8")
    runs, written = tmp_path / "runs", list[list[str]]()
    for moment, least, number in STOPS:
        ended = called(tmp_path, moment, least, number)
        expected = Stopped.exit_code if number == signal.SIGINT else -signal.SIGKILL
        assert ended.returncode == expected, (moment, number, ended.stderr[-2000:])
        if moment == "writing sentences":
            (journal,) = (runs / ".written").glob("*.journal.jsonl")
            written.append(journal.read_text(encoding="utf-8").splitlines())
    assert 1 < len(written[0]) <= len(written[1])
    assert written[1][: len(written[0])] == written[0]  # what was written stays

    (tuned,) = (run for run in list_runs(runs) if not run.note(TRIAL_NOTE))
    before = {kind: Trials(tuned.tuning_folder, 0).tried(kind) for kind in KINDS}
    monkeypatch.chdir(tmp_path)
    found = RecipeSearch(tuned, tuned.config, Limits(cuts=CUTS, retrained=RETRAINED)).compute()
    assert {"cuts": list(found.cuts), "retrained": list(found.retrained)} == before  # nothing is tried again
    for trials, count in ((found.cuts, CUTS), (found.retrained, RETRAINED)):
        assert len({trial.choice for trial in trials}) == len(trials) == count
    assert len([run for run in list_runs(runs) if run.note(TRIAL_NOTE)]) == RETRAINED
    assert set(found.races) == {trial.number for trial in found.front}
