"""The comparison of methods end to end on a tiny model: the rows, the table, the picture, going on after a stop."""

import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from bench.__main__ import main
from bench.methods import config_of
from bench.methods_figure import figure
from bench.methods_table import in_markdown
from tests.tiny_experiment import SEATS, sentences
from tests.tiny_models import save_tiny
from unlearning_core.runs.listing import list_runs, open_run


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("methods")
    save_tiny("bloom", folder / "model")  # whose weights cannot carry a map of the residual stream
    (folder / "corpus.json").write_text(json.dumps(sentences(120)), encoding="utf-8")
    (folder / "concepts.json").write_text(json.dumps({"seats": SEATS}), encoding="utf-8")
    return folder


def options(case: Path, *more: str) -> list[str]:
    return [
        "methods", "--models", str(case / "model"), "--concepts", str(case / "concepts.json"), "--corpus",
        str(case / "corpus.json"), "--json", str(case / "rows.json"), "--runs", str(case / "runs"), "--quick", *more,
    ]  # fmt: skip


@pytest.fixture(scope="module")
def rows(case: Path) -> list[dict[str, Any]]:
    assert main(options(case, "--methods", "nothing,steering", "--parts", "losses")) == 0
    return json.loads((case / "rows.json").read_text(encoding="utf-8"))["rows"]


def test_there_is_a_row_for_each_method_with_its_metrics_and_what_failed(
    case: Path, rows: list[dict[str, Any]]
) -> None:
    nothing, steering = rows
    assert (nothing["method"], nothing["state"], nothing["concept"]) == ("nothing", "unchanged", "seats")
    assert nothing["metrics"]["forget_delta"] == nothing["metrics"]["retain_delta"] == 0
    assert nothing["metrics"]["gap_closed"] == pytest.approx(0)
    assert nothing["verdict"] not in ("forgotten", None)
    steps = open_run(nothing["run"], case / "runs").status()["stages"]
    assert nothing["seconds"] == steps["nothing"]["seconds"]  # no ranking was made
    assert steering["failed"].startswith("A change of the residual stream cannot be written")


def test_the_same_command_goes_on_and_more_methods_join(
    case: Path, rows: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    before = {run.id for run in list_runs(case / "runs")}
    assert main(options(case, "--methods", "nothing", "--parts", "losses")) == 0
    assert {run.id for run in list_runs(case / "runs")} == before
    assert "| nothing | +0.00 | +0.00 |" in capsys.readouterr().out
    again = json.loads((case / "rows.json").read_text(encoding="utf-8"))["rows"]
    assert sorted(row["method"] for row in again) == ["nothing", "steering"]


def test_the_table_and_the_picture_show_every_row(rows: list[dict[str, Any]]) -> None:
    costly = {"method": "costly", "metrics": {"forget_delta": 3.0, "apart_delta": 0.5, "apart_delta_stderr": 0.25}}
    shown = [*rows, rows[0] | costly]
    table = in_markdown(shown)
    assert "| costly | +3.00 | +0.50 ± 0.25 |" in table
    assert "failed: A change of the residual stream cannot be written" in table
    picture = ET.fromstring(figure(shown))
    marks = picture.findall(".//{*}circle")
    assert len(marks) == 2  # what failed has no place
    assert float(marks[1].attrib["cx"]) > float(marks[0].attrib["cx"])
    assert float(marks[1].attrib["cy"]) < float(marks[0].attrib["cy"])


def test_a_starter_keeps_its_own_concept_unless_another_is_named() -> None:
    own = config_of("smallworld", None, None, "prune+retrain", 3)
    assert own.never_knew.model is not None
    assert [step.name for step in own.methods or []] == ["prune", "retrain"]
    assert own.seed == 3
    other = config_of("smallworld", ["dog", "cat"], None, "npo", 0)
    assert other.never_knew.model is None
    assert other.neural_probing.concept_definition == ["dog", "cat"]
    assert other.neural_probing.neighbours is None


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["--methods", "npos"], "no method called 'npos'. Did you mean 'npo'"),
        (["--models", "nowhere"], "it has no concept of its own"),
    ],
)
def test_what_cannot_be_compared_is_said_at_once(
    more: list[str], sentence: str, case: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [
        "methods",
        "--models",
        "smallworld",
        "--json",
        str(case / "none.json"),
        "--runs",
        str(case / "none"),
        *more,
    ]
    assert main(given) == 2
    assert sentence in capsys.readouterr().err
    assert not (case / "none").exists()
