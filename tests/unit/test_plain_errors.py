"""What the command line says of mistakes that an engineer made in a first hour with it, and of pipes and Ctrl-C."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from unlearning_core.cli.app import main
from unlearning_core.cli.dry_run import _concept, _cut
from unlearning_core.cli.progress_bar import TerminalProgress
from unlearning_core.config.reading import build_config
from unlearning_core.errors import InputError
from unlearning_core.files import ROOT, write_text
from unlearning_core.progress import Progress, counted
from unlearning_core.runs.checks import check_repository
from unlearning_core.runs.pipeline import create_run


@pytest.mark.parametrize(
    ("values", "field", "given", "example"),
    [
        ({"picked_neurons": "mlp"}, "picked_neurons", '"mlp"', '[["mlp", 3, 17]]'),
        ({"picked_neurons": ["mlp.3.17"]}, "picked_neurons.0", '"mlp.3.17"', '[["mlp", 3, 17]]'),
        ({"picked_neurons": [["mlp", 3]]}, "picked_neurons.0.2", '["mlp", 3]', '[["mlp", 3, 17]]'),
        ({"picked_neurons": [["mlp", "three", 1]]}, "picked_neurons.0.1", '"three"', '[["mlp", 3, 17]]'),
        ({"excluded_neurons": [["neck", 3, 1]]}, "excluded_neurons.0.0", '"neck"', "mlp, head or residual"),
        ({"layer_ratios": [0.1]}, "layer_ratios", "[0.1]", '{"3": 0.02}'),
        ({"layer_ratios": {"third": 0.1}}, "layer_ratios.third", '"third"', '{"3": 0.02}'),
        ({"layer_ratios": {"3": 1.5}}, "layer_ratios.3", "1.5", "from 0 to 1"),
        ({"layer_ratios": {"3": True}}, "layer_ratios.3", "true", "from 0 to 1"),
        ({"dropped_senses": [["chair"]]}, "dropped_senses.0.1", '["chair"]', '[["chair", "meeting"]]'),
    ],
)
def test_lists_in_lists_are_told_by_field_value_and_example(values: dict, field: str, given: str, example: str) -> None:
    with pytest.raises(InputError) as caught:
        build_config({"neural_probing": values}, origin="config.json")
    said = str(caught.value).splitlines()[0]
    assert said.startswith(f"config.json: neural_probing.{field} is {given}; expected ")
    assert example in said
    assert not any(word in said for word in ("tuple", "Input", "input should", "[key]", "dictionary"))


def test_a_dry_run_tells_repeated_sentences_one_thing_as_one_and_neurons_that_are_not_ranked() -> None:
    plan = SimpleNamespace(labelled=(1200, 1), duplicates=7, missing=["futon"], model=None, cut=3)
    assert _concept(plan) == (  # type: ignore[arg-type]
        "1,200 sentences with it, 1 without; 7 more that repeat one of them are dropped; 1 word never occurs: futon"
    )
    shapes = SimpleNamespace(shapes={"mlp": (6, 768)})
    picked = {"picked_neurons": [["mlp", 0, 1], ["head", 1, 0]], "layer_ratios": {"3": 0.1}, "prune_ratio": 0.1}
    config = build_config({"neural_probing": picked})
    said = _cut(SimpleNamespace(model=shapes, cut=460), config)  # type: ignore[arg-type]
    assert "2 picked by hand, some of a kind that is not ranked: head, 1 layer with a share of its own" in said


@pytest.mark.parametrize(("number", "said"), [(0, "0 layers"), (1, "1 layer"), (1200, "1,200 layers")])
def test_one_thing_is_not_said_as_many(number: int, said: str) -> None:
    assert counted(number, "layer") == said


def test_a_repository_needs_its_owner_and_is_called_as_the_person_knows_it() -> None:
    with pytest.raises(InputError, match=r"The name is 'me', without an owner. Write owner/name, such"):
        check_repository("me", sending=False, called="The name")
    with pytest.raises(InputError, match=r"push_to_hub is 'me'"):
        check_repository("me", sending=False)
    with pytest.raises(InputError, match=r"The name is 'a/b/c', which is no name on the Hub"):
        check_repository("a/b/c", sending=False, called="The name")
    check_repository("owner/name", sending=False)


def test_push_refuses_a_name_without_owner_before_it_looks_at_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["push", "nowhere", "me", "--dry-run"]) == 2
    said = capsys.readouterr().err
    assert "without an owner" in said
    assert "push_to_hub" not in said


def test_where_no_file_can_be_made_it_is_said_as_a_mistake() -> None:
    target = Path("/proc/nowhere/file.json")
    with pytest.raises(InputError, match=r"/proc/nowhere/file\.json cannot be written: its folder is not one"):
        write_text(target, "{}")


def test_a_bar_that_nobody_watches_says_the_end_of_a_task_once(capsys: pytest.CaptureFixture[str]) -> None:
    progress = TerminalProgress()
    assert not progress.live
    for done in (1, 12, 12, 12):
        progress(Progress("retraining", done, 12, "steps"))
    progress(Progress("measuring", 0, 2, "texts"))
    lines = capsys.readouterr().err.splitlines()
    assert sum("12 of 12 steps" in line for line in lines) == 1
    assert lines[-1] == "measuring"


def unlearn(*words: str, folder: Path, **more: int) -> "subprocess.Popen[str]":
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-m", "unlearning_core", *words],
        cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more,
    )  # fmt: skip


def test_a_reader_that_has_enough_ends_it_quietly(tmp_path: Path) -> None:
    with unlearn("config", "--schema", folder=tmp_path) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()  # before a word was written, as `| true`
        assert process.stderr.read() == ""
        assert process.wait() == 0


def test_ctrl_c_before_the_work_is_one_sentence(tmp_path: Path) -> None:
    """While the libraries are read: here one that is interrupted as soon as it is imported."""
    (tmp_path / "cyclopts.py").write_text("raise KeyboardInterrupt\n", encoding="utf-8")
    environment = os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    done = subprocess.run(
        [sys.executable, "-m", "unlearning_core", "rankers"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stderr == "Stopped before anything was begun.\n"
    assert done.returncode == 128 + signal.SIGINT


def test_gguf_refuses_a_folder_that_is_not_there_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    run = create_run(build_config({}), tmp_path / "runs")
    for output in ("away/model.gguf", "/proc/model.gguf"):
        assert main(["gguf", str(run.folder), "--state", "base", "--output", output]) == 2
        said = capsys.readouterr().err
        assert f"--output {output}: " in said
        assert "unexpected" not in said
    assert not (tmp_path / "away").exists()


def test_what_a_hostile_file_says_moves_no_cursor_and_ends_no_line_early() -> None:
    said = str(InputError("shapes.\0 is \x1b[2J\r, expected [layers, width].\nSave \x9b5m it again. 椅子 é"))
    assert said == r"shapes.\x00 is \x1b[2J\r, expected [layers, width]." + "\n" + r"Save \x9b5m it again. 椅子 é"
    assert str(InputError()) == ""
