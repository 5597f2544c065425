"""A folder that somebody moves away while a run is at work in it: the sentence says so, and moved back it goes on."""

from pathlib import Path

import pytest

from tests.tiny_experiment import write_experiment
from unlearning_core.config.reading import load_config
from unlearning_core.errors import WorkFailed
from unlearning_core.progress import Progress
from unlearning_core.runs.pipeline import create_run, execute

SETTINGS = {
    "neural_probing": {"ranker": "activation_ratio"},
    "retraining": {"enabled": False},
    "generation": {"samples": 1, "max_new_tokens": 2},
}


@pytest.mark.parametrize("whole", [True, False], ids=["the output folder", "the run's folder"])
@pytest.mark.parametrize("task", ["reading activations", "measuring", "generating", "loading"])
def test_a_folder_moved_away_in_the_middle_is_named_and_the_run_goes_on_once_it_is_back(
    tmp_path: Path, task: str, whole: bool
) -> None:
    run = create_run(load_config(write_experiment(tmp_path, **SETTINGS)), tmp_path / "runs")
    there = run.folder.parent if whole else run.folder
    away = tmp_path / "elsewhere"

    def move(update: Progress) -> None:
        if update.task.startswith(task) and not away.exists():
            there.rename(away)

    with pytest.raises(WorkFailed, match="was moved, renamed or deleted while the run was at work") as error:
        execute(run, move)
    assert str(run.folder) in str(error.value)
    if there.exists():  # what was written meanwhile
        there.rename(tmp_path / "left")
    away.rename(there)
    execute(run)
    assert run.status()["state"] == "finished"
