"""The name of a run: only what is shown; the run, its exports and its links stay as they are."""

from pathlib import Path

import pytest

from unlearning_core.config.reading import build_config
from unlearning_core.errors import InputError
from unlearning_core.reports.run_table import run_table
from unlearning_core.runs.listing import delete_run, open_run
from unlearning_core.runs.naming import given_name, rename
from unlearning_core.runs.pipeline import create_run, find_run
from unlearning_core.runs.run import Run
from unlearning_core.runs.transfer import export_run, import_run


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return new_run(tmp_path / "runs")


def new_run(root: Path) -> Run:
    probing = {"concept_definition": ["chair"], "activations_label": "seats"}
    return create_run(build_config({"neural_probing": probing, "base_model": {"base_model_path": "a/b"}}), root)


def shown(run: Run) -> str:
    return str(run_table([run])["name"].item())


def test_a_name_is_shown_and_the_run_is_found_as_before(run: Run) -> None:
    before = {path.name: path.read_bytes() for path in run.folder.iterdir() if path.is_file()}
    assert (given_name(run), shown(run)) == ("", "b, seats")
    rename(run, "  first\n try ")
    assert given_name(run) == shown(run) == "first try"
    after = {path.name: path.read_bytes() for path in run.folder.iterdir() if path.is_file()}
    assert set(after) - set(before) == {"name.json"}
    assert {name: after[name] for name in before} == before
    assert open_run(run.id, run.folder.parent) == run
    assert find_run(run.config, run.folder.parent) == run
    rename(run, " ")
    assert (given_name(run), shown(run)) == ("", "b, seats")


def test_a_name_goes_with_an_export(run: Run, tmp_path: Path) -> None:
    rename(run, "größter 🪑")
    moved = import_run(export_run(run, tmp_path / "run.zip"), tmp_path / "elsewhere")
    assert (moved.id, given_name(moved)) == (run.id, "größter 🪑")


@pytest.mark.parametrize(("name", "sentence"), [("a" * 61, "61 characters"), ("bell\a", "cannot be shown")])
def test_a_name_that_cannot_be_shown_is_refused(run: Run, name: str, sentence: str) -> None:
    rename(run, "kept")
    with pytest.raises(InputError, match=sentence):
        rename(run, name)
    assert given_name(run) == "kept"


def test_two_runs_beside_each_other_cannot_have_one_name(run: Run) -> None:
    other = new_run(run.folder.parent)
    rename(run, "mine")
    rename(run, "mine")
    with pytest.raises(InputError, match=f"The run {run.id} is called 'mine' already"):
        rename(other, "mine")
    assert given_name(other) == ""
    delete_run(run)
    rename(other, "mine")
    assert given_name(other) == "mine"
    with pytest.raises(InputError, match="There is no run"):
        rename(run, "late")
    assert not run.folder.exists()


@pytest.mark.parametrize("content", ["{", "[1]", '""', '"' + "x" * 2000 + '"'])
def test_a_name_that_is_damaged_is_forgotten(run: Run, content: str) -> None:
    rename(run, "mine")
    (run.folder / "name.json").write_text(content, encoding="utf-8")
    assert (given_name(run), shown(run)) == ("", "b, seats")
