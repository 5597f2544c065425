"""The tournament end to end on tiny models: the file that is promised, its figures by hand, going on after a stop."""

import json
import shutil
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from bench.__main__ import main
from bench.rankers import CUTS
from bench.rankers_rows import Contest, Texts
from bench.rankers_summary import FLOOR, default_entry, in_markdown, summarise, with_overlap
from tests.tiny_experiment import sentences
from tests.tiny_models import save_tiny
from unlearning_core.activations.collect import collect
from unlearning_core.edits.cut_settings import CutSettings
from unlearning_core.evaluation.likelihood import Meter
from unlearning_core.evaluation.measurement import nll_delta
from unlearning_core.models.ground_truth import ROUTED
from unlearning_core.models.loading import load_model
from unlearning_core.rankers.ranking import rank
from unlearning_core.rankers.ranking_input import RankingInput

RANKERS = ("combined", "probeless", "random")
CONCEPTS = {"seats": ["chair", "bench", "sofa", "stool"], "people": ["teacher", "farmer", "king"]}


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tournament")
    save_tiny("llama", folder / "one")
    save_tiny("gpt2", folder / "two")
    (folder / "corpus.json").write_text(json.dumps(sentences(160)), encoding="utf-8")
    (folder / "concepts.json").write_text(json.dumps(CONCEPTS), encoding="utf-8")
    return folder


def options(case: Path, output: Path, **changes: str) -> list[str]:
    chosen = {"concepts": str(case / "concepts.json"), "rankers": ",".join(RANKERS), "held-out": "20"} | changes
    given = [word for name, value in chosen.items() for word in (f"--{name}", value)]
    models = ["--models", str(case / "one"), str(case / "two")]
    return ["rankers", *models, "--corpus", str(case / "corpus.json"), "--json", str(output), *given]


@pytest.fixture(scope="module")
def played(case: Path) -> dict[str, Any]:
    output = case / "all.json"
    assert main(options(case, output)) == 0
    return json.loads(output.read_text(encoding="utf-8"))


def test_there_is_a_row_for_everything_that_was_asked_for(case: Path, played: dict[str, Any]) -> None:
    keys = ("model", "concept", "ranker", "site", "alignment")
    there = [tuple(row[key] for key in keys) for row in played["rows"]]
    models = [str(case / name) for name in ("one", "two")]
    assert len(there) == len(set(there)) == 2 * 2 * 3 * 2
    assert set(there) == {
        (model, concept, ranker, "mlp", alignment)
        for model in models
        for concept in CONCEPTS
        for ranker in RANKERS
        for alignment in ("before", "at")
    }
    for row in played["rows"]:
        assert row["ratios"] == list(CUTS)
        assert len(row["forget"]) == len(row["retain"]) == len(CUTS)
        assert row["seconds"] > 0
    assert played["left_out"] == []


def test_a_row_is_its_ranking_cut_and_measured_by_hand(case: Path, played: dict[str, Any]) -> None:
    (row,) = (
        row
        for row in played["rows"]
        if row["model"].endswith("one") and row["concept"] == "people"
        and (row["ranker"], row["alignment"]) == ("probeless", "at")
    )  # fmt: skip
    split = Texts(case / "corpus.json", None, 300, 20, 0).split(CONCEPTS["people"])
    assert not {item.text for item in split.train} & {item.text for item in split.held_out}
    loaded = load_model(str(case / "one"))
    activations = collect(loaded, split.train, alignment="at")
    ranking = rank(RankingInput(activations, model=loaded), "probeless")
    meter = Meter(loaded, split.held_out)
    for ratio, forget, retain in zip(row["ratios"], row["forget"], row["retain"], strict=True):
        after = meter.measure(CutSettings(ratio).mask(ranking, loaded.map.shapes))
        assert forget == pytest.approx(nll_delta(meter.base, after, "concept").value, abs=1e-6)
        assert retain == pytest.approx(nll_delta(meter.base, after, "retain").value, abs=1e-6)
    assert row["top"] == (ranking["layer"] * 48 + ranking["index"]).tolist()[:10]
    retained = np.array([0.0, *row["retain"]])
    beyond = np.flatnonzero(retained >= 0.05)
    if len(beyond):
        expected = np.interp(
            0.05, retained[beyond[0] - 1 : beyond[0] + 1], [0.0, *row["forget"]][beyond[0] - 1 : beyond[0] + 1]
        )
        assert row["selectivity"] == pytest.approx(expected)
    else:
        assert row["selectivity"] == pytest.approx(max(0.0, *row["forget"]))
    assert row["budget_reached"] == bool(len(beyond))


def test_rankings_are_marked_where_the_neurons_are_known(case: Path, tmp_path: Path) -> None:
    model, output = tmp_path / "known", tmp_path / "out.json"
    shutil.copytree(case / "one", model)
    neurons = [[layer, index] for layer in range(2) for index in range(0, 48, 4)]
    (model / ROUTED).write_text(json.dumps({"concept": "seats", "site": "mlp", "neurons": neurons}), encoding="utf-8")
    given = options(case, output, rankers="random,probeless", alignments="at", sites="mlp,head")
    start = given.index("--models") + 1
    given[start : start + 2] = [str(model)]
    assert main(given) == 0
    rows = json.loads(output.read_text(encoding="utf-8"))["rows"]
    marked = [row for row in rows if row["precision"] is not None]
    assert {(row["concept"], row["site"]) for row in marked} == {("seats", "mlp")}
    assert len(marked) == 2
    loaded, split = load_model(str(model)), Texts(case / "corpus.json", None, 300, 20, 0).split(CONCEPTS["seats"])
    ranking = rank(RankingInput(collect(loaded, split.train, alignment="at"), model=loaded), "probeless")
    labels = [list(pair) in neurons for pair in zip(ranking["layer"], ranking["index"], strict=True)]
    (row,) = (row for row in marked if row["ranker"] == "probeless")
    assert row["precision_first"] == pytest.approx(sum(labels[:10]) / 10)
    assert row["precision"] == sum(labels[:24]) / 24
    assert row["average_precision"] == pytest.approx(average_precision_score(labels, -np.arange(len(labels))))
    assert 0 <= row["recall_at_budget"] <= 1
    summary = summarise(rows, default_entry())
    assert "| average precision |" in in_markdown(summary)
    figures = {method["ranker"]: method for method in summary["methods"] if method["site"] == "mlp"}
    assert figures["probeless"]["precision"] == row["precision"]
    picture = ET.fromstring((tmp_path / "out-known.svg").read_text(encoding="utf-8"))
    bars = [float(bar.get("width", "")) for bar in picture.iter("{http://www.w3.org/2000/svg}rect")][1:]
    best_first = sorted(figures.values(), key=lambda each: -each["precision"])
    drawn = [560 * each[name] for each in best_first for name in ("precision_first", "precision")]
    assert bars == pytest.approx(drawn, abs=0.1)


def test_the_default_against_the_seed_is_a_geometric_mean_over_models_and_concepts(played: dict[str, Any]) -> None:
    value = {
        (row["model"], row["concept"], row["ranker"], row["alignment"]): max(FLOOR, row["selectivity"])
        for row in played["rows"]
    }
    mine = default_entry()
    cases = {(row["model"], row["concept"]) for row in played["rows"]}
    ratios = [value[(*one, mine.ranker, mine.alignment)] / value[(*one, "probeless", "at")] for one in cases]
    assert mine.ranker in RANKERS
    assert played["geomean_over_seed"] == pytest.approx(np.exp(np.mean(np.log(ratios))))
    assert played["default"]["over_seed"] == played["geomean_over_seed"]
    by_concept = [
        np.mean([np.log(value[(*one, mine.ranker, mine.alignment)]) for one in cases if one[1] == name])
        for name in CONCEPTS
    ]
    stderr = np.std(by_concept, ddof=1) / np.sqrt(2)
    assert played["default"]["geomean_high"] == pytest.approx(np.exp(np.mean(by_concept) + 1.96 * stderr))


def test_the_figure_is_a_picture_with_a_line_for_every_method(case: Path, played: dict[str, Any]) -> None:
    root = ET.fromstring((case / "all.svg").read_text(encoding="utf-8"))
    words = [text.text or "" for text in root.iter("{http://www.w3.org/2000/svg}text")]
    assert sum(any(word.startswith(f"{ranker}, mlp") for ranker in RANKERS) for word in words) == 6
    assert len(list(root.iter("{http://www.w3.org/2000/svg}circle"))) == len(played["rows"])


def test_the_same_command_measures_nothing_and_another_one_only_what_is_new(
    case: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output, calls = tmp_path / "out.json", []
    real = Contest.row

    def row(contest: Contest, *given: Any) -> dict[str, Any]:
        if len(calls) == 3:
            raise KeyboardInterrupt
        calls.append(given)
        return real(contest, *given)

    monkeypatch.setattr(Contest, "row", row)
    assert main(options(case, output, rankers="random")) == 1
    assert len(json.loads(output.read_text(encoding="utf-8"))["rows"]) == 3
    monkeypatch.setattr(Contest, "row", lambda *given: calls.append(given) or real(*given))
    assert main(options(case, output, rankers="random")) == 0
    assert len(calls) == 8
    assert main(options(case, output, rankers="random")) == 0
    assert len(calls) == 8
    assert main(options(case, output, rankers="random", sites="mlp,head")) == 0
    assert len(calls) == 16
    assert json.loads(output.read_text(encoding="utf-8"))["geomean_over_seed"] is None


def test_rows_of_other_settings_are_not_mixed(case: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "out.json"
    assert main(options(case, output, rankers="random", alignments="at")) == 0
    assert json.loads(output.read_text(encoding="utf-8"))["settings"]["dtype"] == "auto"
    for changed in ({"seed": "1"}, {"dtype": "bfloat16"}):
        assert main(options(case, output, rankers="random", alignments="at", **changed)) == 2
        assert "other settings" in capsys.readouterr().err


def test_what_cannot_be_ranked_is_left_out_and_said(
    case: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    concepts, output = tmp_path / "concepts.json", tmp_path / "out.json"
    concepts.write_text(json.dumps({"zebras": ["zebra"]} | CONCEPTS), encoding="utf-8")
    given = {"concepts": str(concepts), "rankers": "random", "alignments": "at"}
    assert main(options(case, output, **given)) == 0
    found = json.loads(output.read_text(encoding="utf-8"))
    assert [left["concept"] for left in found["left_out"]] == ["zebras", "zebras"]
    assert len(found["rows"]) == 4
    assert "zebra" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("rankers", "probles", "Did you mean 'probeless'"),
        ("sites", "mpl", "'mpl'"),
        ("alignments", "after", "'after'"),
    ],
)
def test_a_wrong_name_is_a_mistake(
    case: Path, tmp_path: Path, name: str, value: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(options(case, tmp_path / "out.json", **{name: value})) == 2
    assert said in capsys.readouterr().err


def test_concepts_of_another_form_are_a_mistake(case: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    concepts = tmp_path / "concepts.json"
    concepts.write_text('{"seats": "chair"}', encoding="utf-8")
    assert main(options(case, tmp_path / "out.json", concepts=str(concepts))) == 2
    assert "list" in capsys.readouterr().err


def test_the_overlap_is_the_share_of_the_exact_orders_first_neurons() -> None:
    place = {"model": "m", "concept": "c", "site": "mlp", "alignment": "at"}
    rows = [place | {"ranker": "ablation", "top": [1, 2, 3, 4]}, place | {"ranker": "random", "top": [9, 4, 8, 1]}]
    assert [row["overlap"] for row in with_overlap(rows)] == [1.0, 0.5]
    assert [row["overlap"] for row in with_overlap(rows[1:])] == [None]


def test_a_method_that_forgets_nothing_makes_no_ratio_infinite() -> None:
    shared = {"model": "m", "concept": "c", "site": "mlp", "area": 0.0, "seconds": 1.0, "times_forward": 1.0}
    shared |= {"forget": [], "retain": [], "ratios": [], "top": [], "overlap": None}
    mine = default_entry()
    rows = [
        shared | {"ranker": mine.ranker, "alignment": mine.alignment, "selectivity": 2.0},
        shared | {"ranker": "probeless", "alignment": "at", "selectivity": -0.3},
    ]
    found = summarise(rows, mine)
    assert found["geomean_over_seed"] == pytest.approx(2.0 / FLOOR)
    assert found["default"]["geomean_low"] is None
