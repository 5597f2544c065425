"""The smallest cut of a run that works: the command, the stage that a config asks for, and what is measured again."""

import json
from pathlib import Path

import pandas as pd
import pytest

from tests.tiny_experiment import write_experiment
from unlearning_core.cli.app import main
from unlearning_core.config.reading import load_config
from unlearning_core.edits.cut_settings import CutSettings
from unlearning_core.edits.recipe import Recipe
from unlearning_core.edits.weights import survivors
from unlearning_core.errors import InputError
from unlearning_core.evaluation.likelihood import Meter
from unlearning_core.evaluation.measurement import nll_delta
from unlearning_core.evaluation.search import Target
from unlearning_core.runs.context import RunContext
from unlearning_core.runs.cuts import kept_cut
from unlearning_core.runs.pipeline import create_run, execute
from unlearning_core.runs.run import Run
from unlearning_core.runs.search import RunSearch
from unlearning_core.runs.sweep import RunSweep

NEURONS = 144
FORGET, RETAIN = 0.02, 1.0
"""A model with random weights forgets little: what is asked for is small."""


@pytest.fixture(scope="module")
def ranked(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("case")
    run = create_run(load_config(write_experiment(folder)), folder / "runs")
    execute(run, until="rank")
    return run


def deltas(run: Run, count: int) -> tuple[float, float]:
    """Forget and retain delta of so many neurons, measured on the sentences that a search uses."""
    context = RunContext(run)
    loaded, held_out = context.model("base"), context.sentences("held_out").take(100, 100, 0)
    meter = Meter(loaded, held_out.items)
    after = meter.measure(CutSettings(count / len(context.ranking)).mask(context.ranking, loaded.map.shapes))
    return nll_delta(meter.base, after, "concept").value, nll_delta(meter.base, after, "retain").value


def test_the_command_prints_a_cut_that_works(ranked: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "out.json"
    asked = ["--forget", str(FORGET), "--retain", str(RETAIN), "--json", str(output)]
    assert main(["search", str(ranked.folder), *asked]) == 0
    *table, sentence = capsys.readouterr().out.splitlines()
    found = json.loads(output.read_text(encoding="utf-8"))
    assert found["reached"]
    assert found["sentence"] == sentence
    assert f"takes {found['smallest']['neurons']} of {NEURONS} neurons" in sentence
    assert len(table) == 1 + len(found["points"])
    forget, retain = deltas(ranked, found["smallest"]["neurons"])
    assert (found["smallest"]["forget"], found["smallest"]["retain"]) == pytest.approx((forget, retain), abs=1e-6)
    assert forget >= FORGET
    assert retain <= RETAIN
    fewer, price = deltas(ranked, found["smallest"]["neurons"] - 1)
    assert fewer < FORGET or price > RETAIN


def test_cuts_that_a_sweep_or_another_search_measured_are_not_measured_again(
    ranked: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut = CutSettings(0.1, protected_layers=(1,))
    RunSweep.of(ranked, cut).compute()
    search = RunSearch(ranked, cut)
    first = search.compute(Target(50.0, RETAIN), most=7)
    assert first.smallest is None
    calls: list[object] = []
    real = Meter.measure
    monkeypatch.setattr(Meter, "measure", lambda *given, **named: calls.append(given) or real(*given, **named))
    again = search.compute(Target(40.0, RETAIN), most=1)
    assert {point.neurons for point in first.points} < {point.neurons for point in again.points}
    assert len(calls) == 2, "the base and one new cut"


def test_the_command_says_what_is_wrong(ranked: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["search", str(ranked.folder), "--forget", "0", "--retain", "0.1"]) == 2
    assert "forget is 0" in capsys.readouterr().err
    assert main(["search", str(ranked.folder / "no"), "--forget", "1", "--retain", "0.1"]) == 2
    assert "There is no run" in capsys.readouterr().err


def test_a_run_cuts_what_its_config_asks_for(tmp_path: Path) -> None:
    asked = {"search": {"forget": FORGET, "retain": RETAIN}, "retraining": {"enabled": False}}
    run = create_run(load_config(write_experiment(tmp_path, **asked)), tmp_path / "runs")
    execute(run)
    found = run.search()
    mask = Recipe.load(run.folder / "recipe").mask
    assert found["reached"]
    assert mask.cut == found["smallest"]["neurons"] == round(kept_cut(RunContext(run)).ratio * NEURONS)
    assert survivors(run.folder / "models" / "pruned", mask) == []
    # The run's own measurement is on all of its held-out sentences, here the same ones.
    assert run.metrics()["pruned"]["forget_delta"] == pytest.approx(found["smallest"]["forget"], abs=1e-5)
    stages = run.status()["stages"]
    assert stages["search"]["summary"]["sentence"] == found["sentence"]
    execute(run)
    assert run.status()["stages"] == stages, "nothing was done again"
    run.save_config(run.config.model_copy(update={"search": run.config.search.model_copy(update={"forget": None})}))
    execute(run)
    assert Recipe.load(run.folder / "recipe").mask.cut == round(0.1 * NEURONS)


def test_a_run_whose_target_is_out_of_reach_takes_the_best_within_the_budget(tmp_path: Path) -> None:
    asked = {"search": {"forget": 50.0, "retain": RETAIN}, "retraining": {"enabled": False}}
    run = create_run(load_config(write_experiment(tmp_path, **asked)), tmp_path / "runs")
    execute(run, until="prune")
    found = run.search()
    points = pd.DataFrame(found["points"])
    best = points[points["retain"] <= RETAIN].sort_values("forget").iloc[-1]
    assert not found["reached"]
    assert "No cut of this ranking that was measured forgets 50 nats" in found["sentence"]
    assert Recipe.load(run.folder / "recipe").mask.cut == best["neurons"]


def test_a_run_that_can_forget_nothing_within_the_budget_says_so(tmp_path: Path) -> None:
    # Every cut of the last layer of this model from the top of this ranking costs something elsewhere.
    probing = {"protected_layers": [0, 1], "ranker": "activation_ratio"}
    asked = {"search": {"forget": 50.0, "retain": 0.0}, "neural_probing": probing}
    run = create_run(load_config(write_experiment(tmp_path, **asked)), tmp_path / "runs")
    with pytest.raises(InputError, match=r"no cut within that budget forgets anything.*search\.retain"):
        execute(run, until="prune")
