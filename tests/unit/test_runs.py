"""Runs as folders: one is deleted whole or not at all, and many are put side by side."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.integration.store_worker import content, make
from unlearning_core.config.reading import build_config
from unlearning_core.config.schema import ExperimentConfig
from unlearning_core.errors import InputError
from unlearning_core.files import write_json
from unlearning_core.jobs.liveness import record
from unlearning_core.reports.run_table import COLUMNS, DAMAGED, of_state, run_table
from unlearning_core.reports.two_runs import different_settings
from unlearning_core.runs.listing import delete_run, list_runs
from unlearning_core.runs.pipeline import create_run
from unlearning_core.runs.run import Run


def new_run(root: Path, **sections: dict) -> Run:
    values = {"neural_probing": {"concept_definition": ["chair"], "activations_label": "seats"}} | sections
    return create_run(build_config(values), root)


def test_parameters_of_another_ranker_are_refused_before_a_folder_is_made(tmp_path: Path) -> None:
    probing = {"ranker": "probeless", "ranker_parameters": {"sentences": 400}}
    with pytest.raises(InputError, match=r"no parameter 'sentences'.* neural_probing\.ranker_parameters; {} there"):
        create_run(build_config({"neural_probing": probing}), tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_a_deleted_run_is_gone_and_nothing_of_it_is_left(tmp_path: Path) -> None:
    run, other = new_run(tmp_path), new_run(tmp_path)
    for one, shared in ((run, "a"), (other, "a"), (run, "b")):
        make(one, "label" if shared == "b" else "prune", shared)
    delete_run(run)
    assert sorted(os.listdir(tmp_path)) == [".artifacts", other.id]
    assert run.store.artifacts() == [("prune", "a")]
    name = "models/pruned/model.safetensors"
    assert (other.folder / name).read_bytes() == content("prune", "a", name)


@pytest.mark.parametrize(
    "write", [lambda run: run.write_note("guide", {"guided": True}), lambda run: run.save_config(ExperimentConfig())]
)
def test_who_still_looks_at_a_deleted_run_is_told_and_does_not_make_it_again(
    tmp_path: Path, write: Callable[[Run], None]
) -> None:
    run = new_run(tmp_path)
    delete_run(run)
    with pytest.raises(InputError, match="deleted"):
        write(run)
    assert not run.folder.exists()


@pytest.mark.parametrize("place", ["background", "retraining", "jobs/sweep-abc", "command"])
def test_a_run_that_is_worked_on_is_not_deleted(tmp_path: Path, place: str) -> None:
    run = new_run(tmp_path)
    with contextlib.ExitStack() as working:
        if place == "command":
            working.enter_context(run.manifest.working("a test"))
        else:
            (run.folder / place).mkdir(parents=True)
            record(run.folder / place, os.getpid())
        assert run.at_work()
        with pytest.raises(InputError, match="being worked on"):
            delete_run(run)
    assert [one.id for one in list_runs(tmp_path)] == [run.id]


def test_a_run_whose_process_was_killed_can_be_deleted(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    (run.folder / "background").mkdir()
    record(run.folder / "background", process.pid)
    assert run.at_work()
    process.kill()
    process.wait()
    assert not run.at_work()
    delete_run(run)
    assert list_runs(tmp_path) == []


def test_a_damaged_run_is_listed_as_such_and_can_be_deleted(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    for name in ("config.json", "status.json"):
        (run.folder / name).write_text("{", encoding="utf-8")
    assert run_table(list_runs(tmp_path))["state"].tolist() == [DAMAGED]
    delete_run(run)
    assert list_runs(tmp_path) == []


def test_a_rename_that_fails_leaves_the_run_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = new_run(tmp_path)
    before = sorted(os.listdir(run.folder))

    def refuse(*_: object) -> None:
        raise PermissionError(13, "no")

    monkeypatch.setattr("unlearning_core.runs.listing.os.replace", refuse)
    with pytest.raises(InputError, match="permission denied"):
        delete_run(run)
    assert [one.id for one in list_runs(tmp_path)] == [run.id]
    assert {".lock", ".work.lock"} | set(before) == set(os.listdir(run.folder))


def test_a_run_is_a_row_with_its_settings_and_its_headline_numbers(tmp_path: Path) -> None:
    empty, full = new_run(tmp_path), new_run(tmp_path, base_model={"base_model_path": "/somewhere/private/my-model"})
    metrics = {
        "base": {"concept_nll": 1.0},
        "pruned": {"forget_delta": 0.5, "apart_delta": 0.01},
        "retrained": {"forget_delta": 0.25, "apart_delta": -0.02},
    }
    with full.store.build("report", "f", then=lambda artifact: full.point("report", artifact)) as build:
        write_json(build.folder / "metrics.json", metrics)
    full.manifest.set_stage("prune", state="finished", summary={"cut": 12, "of": 144})
    table = run_table([full, empty]).set_index("run")
    row = table.loc[full.id]
    assert (row["model"], row["concept"], row["cut"], row["reached"]) == ("my-model", "seats", 12, "prune")
    deltas = [f"{state}.{name}_delta" for state in ("pruned", "retrained") for name in ("forget", "apart")]
    assert list(row[deltas]) == [0.5, 0.01, 0.25, -0.02]
    assert "base.concept_nll" not in table
    assert row["made"].strftime("%Y%m%d-%H%M%S") == full.id[:15]
    assert table.loc[empty.id, ["reached", "cut", "pruned.forget_delta"]].isna().all()
    assert run_table([]).empty


def test_only_the_settings_that_differ_are_listed(tmp_path: Path) -> None:
    one = new_run(tmp_path, output_dir="here")
    probing = one.config.neural_probing.model_dump() | {"prune_ratio": 0.01, "per_layer": True}
    other = new_run(tmp_path, neural_probing=probing, output_dir="there", never_knew={"model": "another"})
    assert different_settings(one, other).to_dict("records") == [
        {"setting": "neural_probing.prune_ratio", "one": "0.003", "other": "0.01"},
        {"setting": "neural_probing.per_layer", "one": "no", "other": "yes"},
        {"setting": "never_knew.model", "one": "–", "other": "another"},
    ]
    assert different_settings(one, one).empty


def test_the_table_of_one_state_has_its_numbers_or_those_of_each_runs_last_state() -> None:
    table = pd.DataFrame({name: [None, None, None] for name in COLUMNS}, dtype=object)
    table["last"] = ["retrained", "pruned", None]
    table["pruned.forget_delta"], table["retrained.forget_delta"] = [1.0, 2.0, np.nan], [3.0, np.nan, np.nan]
    table["pruned.uds"] = [0.5, np.nan, np.nan]
    last, pruned = of_state(table, None), of_state(table, "pruned")
    assert list(last.columns) == [*COLUMNS, "forget_delta", "uds"]
    assert last["forget_delta"].tolist()[:2] == [3.0, 2.0]
    assert last["forget_delta"].isna().tolist() == [False, False, True]
    assert last["uds"].isna().all()
    assert pruned["forget_delta"].tolist()[:2] == [1.0, 2.0]
    assert pruned["uds"].tolist()[0] == 0.5


def test_a_folder_that_somebody_called_otherwise_is_listed_all_the_same(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    run.folder.rename(tmp_path / "my best one")
    (row,) = run_table(list_runs(tmp_path)).to_dict("records")
    assert (row["run"], row["concept"]) == ("my best one", "seats")
    assert pd.isna(row["made"])
