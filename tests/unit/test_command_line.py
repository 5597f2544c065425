"""The command line before any work begins: help, mistakes in what was typed, what is imported, what is logged."""

import inspect
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cyclopts import App

from unlearning_core import __version__
from unlearning_core.cli.app import app, in_full, main
from unlearning_core.cli.options import open_folder
from unlearning_core.config.reading import build_config
from unlearning_core.errors import InputError
from unlearning_core.files import ROOT
from unlearning_core.models.architectures import TABLE
from unlearning_core.rankers.registry import RANKERS
from unlearning_core.runs.pipeline import create_run

HEAVY = {"torch", "pandas", "streamlit", "transformers", "datasets"}


def commands(group: App, *path: str) -> Iterator[tuple[str, ...]]:
    """The words that lead to every command and group of commands."""
    yield path
    for name in group:
        if not name.startswith("-"):
            yield from commands(group[name], *path, name)


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """The one line that the command line says when it refuses."""
    assert main(words) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    (line,) = printed.err.splitlines()
    return line


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("path", commands(app), ids=" ".join)
def test_every_command_explains_itself_and_leaves_no_log(
    path: tuple[str, ...], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*path, "--help"]) == 0
    assert capsys.readouterr().out.startswith(" ".join(["Usage: unlearn", *path]))
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("path", commands(app), ids=" ".join)
def test_every_option_has_a_sentence(path: tuple[str, ...]) -> None:
    group = app
    for name in path:
        group = group[name]
    if group.default_command is None:
        return
    for argument in group.assemble_argument_collection(parse_docstring=True):
        if argument.show:
            assert argument.parameter.help, (path, argument.name)


@pytest.mark.parametrize("words", [["--help"], ["sweep", "--help"], ["config"], ["config", "--schema"], ["families"]])
def test_help_and_config_load_no_heavy_library(words: list[str]) -> None:
    program = (
        "import sys; from unlearning_core.cli.app import main; code = main(sys.argv[1:]); "
        "print(code, *(name for name in sys.modules if '.' not in name))"
    )
    call = [sys.executable, "-c", program, *words]
    done = subprocess.run(call, capture_output=True, text=True, check=True, env=os.environ | {"PYTHONPATH": str(ROOT)})
    code, *modules = done.stdout.splitlines()[-1].split()
    assert code == "0"
    assert "cyclopts" in modules
    assert not HEAVY & set(modules)


def test_the_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.strip() == __version__


@pytest.mark.parametrize("words", [[], ["smallworld"]])
def test_no_command_is_a_mistake_that_shows_the_commands(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    assert "Commands" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["swep", "runs/x"], 'Did you mean "sweep"?'),
        (["smallworld", "evalute"], 'Did you mean "evaluate"?'),
        (["run", "--starer", "smallworld"], "Did you mean --starter?"),
        (["label", "--wrods", "w.txt"], "Did you mean --words instead of --wrods?"),
        (["sweep"], "RUN_FOLDER"),
        (["sweep", "runs/x", "--ratios", "many"], 'unable to convert "many" into float'),
        (["sweep", "runs/x", "--per-layer", "--whole"], "--whole"),
        (["search", "runs/x", "--forget", "1"], "--retain"),
        (["run", "config.json", "another.json"], "another.json"),
        (["run", "config.json", "--set"], "--set"),
        (["sweep", "runs/x", "--draws", "1.5"], '"1.5"'),
        (["smallworld", "train", "--seed", "-1"], "seed is -1; expected 0 or more"),
    ],
)
def test_a_mistyped_command_is_one_line_that_says_what_to_do(
    words: list[str], expected: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert expected in refused(capsys, *words)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["smollm2", "weather", "--yes"], ["auto", "smollm2", "weather", "--yes"]),
        (["smallworld", "seats"], ["auto", "smallworld", "seats"]),
        (["Qwen/Qwen3-0.6B", "chair, sofa"], ["auto", "Qwen/Qwen3-0.6B", "chair, sofa"]),
        (["smallworld", "train"], ["smallworld", "train"]),
        (["smallworld", "trian"], ["smallworld", "trian"]),
        (["swep", "runs/x"], ["swep", "runs/x"]),
        (["run", "config.json"], ["run", "config.json"]),
        (["smollm2"], ["smollm2"]),
        (["--help", "seats"], ["--help", "seats"]),
        (["smollm2", "--yes"], ["smollm2", "--yes"]),
    ],
)
def test_a_model_and_a_concept_are_short_for_auto_where_they_are_no_command(words: list[str], meant: list[str]) -> None:
    assert in_full(words) == meant


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        (["run", "config.json", "--output-dir", "file"], "directory"),
        (["filter", "--words", "w", "--dataset", "d", "--output-dir", "file"], "directory"),
        (["sentences", "--words", "w", "--model", "m", "--count", "9", "--output", "folder"], "file"),
        (["search", "runs/x", "--forget", "1", "--retain", "1", "--json", "folder"], "file"),
        (["smallworld", "evaluate", "--answers", "folder"], "file"),
    ],
)
def test_a_place_that_nothing_can_be_written_to_is_refused_before_the_work(
    words: list[str], kind: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "file").write_text("kept")
    (folder / "folder").mkdir()
    assert f"Only {kind} is allowed" in refused(capsys, *words)
    assert (folder / "file").read_text() == "kept"


def test_a_token_that_was_typed_is_not_repeated(capsys: pytest.CaptureFixture[str]) -> None:
    assert "x1Y2z3A4" not in refused(capsys, "run", "a.json", "hf_" + "x1Y2z3A4b5C6")


@pytest.mark.parametrize("given", [["--set", "seed=3", "output_dir=a"], ["--set", "seed=3", "--set", "output_dir=a"]])
def test_set_takes_several_settings_at_once_or_one_by_one(given: list[str]) -> None:
    command, arguments, _ = app.parse_args(["run", "config.json", *given, "--fresh"], exit_on_error=False)
    assert command.__name__ == "run_command"
    assert arguments.arguments["assignments"] == ("seed=3", "output_dir=a")
    assert arguments.arguments["fresh"] is True


def test_defaults_that_are_written_out_are_the_librarys() -> None:
    from unlearning_core.cli.search import search_command
    from unlearning_core.cli.sweep import sweep_command
    from unlearning_core.evaluation.search import MOST
    from unlearning_core.evaluation.sweep import SweepSettings
    from unlearning_core.runs.sweep import SENTENCES

    sweep, search = (inspect.signature(command).parameters for command in (sweep_command, search_command))
    assert sweep["sentences"].default == search["sentences"].default == SENTENCES
    assert search["most"].default == MOST
    assert (sweep["draws"].default, sweep["seed"].default) == (SweepSettings().draws, SweepSettings().seed)


def test_the_tables_have_a_line_for_every_ranker_and_family(capsys: pytest.CaptureFixture[str]) -> None:
    for command, known in (("rankers", RANKERS), ("families", TABLE)):
        assert main([command]) == 0
        assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[1:]] == list(known)


def test_a_config_is_written_once_and_never_over_another(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "--output", "mine.json"]) == 0
    assert capsys.readouterr().out == "mine.json\n"
    before = (folder / "mine.json").read_bytes()
    assert json.loads(before)["base_model"]["base_model_path"] == "smallworld"
    assert "mine.json is there already" in refused(capsys, "config", "--starter", "smollm2", "--output", "mine.json")
    assert (folder / "mine.json").read_bytes() == before
    assert "--starter smallwrld: there is no such starter. Known:" in refused(
        capsys, "config", "--starter", "smallwrld"
    )


def test_a_run_is_opened_by_its_folder_whatever_that_is_called(folder: Path) -> None:
    run = create_run(build_config({"seed": 7}), folder / "runs")
    renamed = run.folder.rename(folder / "chosen by a person")
    assert open_folder(Path("chosen by a person")).config.seed == 7
    assert open_folder(renamed).folder == renamed


def test_a_folder_that_is_no_run_names_the_run_that_was_meant(folder: Path) -> None:
    with pytest.raises(InputError, match=r"There is no run in .*runs\. Give the folder that `run` printed"):
        open_folder(folder / "runs")
    runs = [create_run(build_config({"seed": seed}), folder / "runs").folder for seed in (1, 2)]
    mistyped = runs[0].with_name(runs[0].name[:-1] + "z")
    with pytest.raises(InputError, match="There is no run") as caught:
        open_folder(mistyped)
    assert f"Did you mean {runs[0]}?" in str(caught.value)
    with pytest.raises(InputError, match="Did you mean"):
        open_folder(folder / "runs")
    model = folder / "model"
    model.mkdir()
    (model / "config.json").write_text('{"architectures": ["GPT2LMHeadModel"]}')
    with pytest.raises(InputError, match="There is no run"):
        open_folder(model)


@pytest.fixture
def broken() -> Iterator[str]:
    """A command that breaks in a way that nobody foresaw, and has a token in its message."""
    token = "hf_" + "x1Y2z3A4b5C6"

    def broken_command() -> None:
        raise LookupError(f"first line, {token}\nsecond line")

    app.command(broken_command, name="broken")
    yield token
    del app["broken"]


def test_an_unexpected_error_is_one_line_and_its_traceback_is_in_the_log(
    broken: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["broken"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("LookupError: first line, [secret] second line (an unexpected error")
    logged = (folder / "logs" / "app.log").read_text(encoding="utf-8")
    assert "command: broken" in logged
    assert "Traceback" in logged
    assert "broken_command" in logged
    assert broken not in line + logged
