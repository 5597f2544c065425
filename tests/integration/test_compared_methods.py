"""The methods that unlearning by cutting is compared with: each makes a model that stock transformers loads."""

import json
from pathlib import Path

import pandas as pd
import pytest
import torch
from transformers import AutoModelForCausalLM

from tests.tiny_experiment import write_experiment
from tests.tiny_models import save_tiny
from unlearning_core.cli.app import main
from unlearning_core.config.reading import load_config
from unlearning_core.edits.recipe import Recipe
from unlearning_core.edits.weights import survivors
from unlearning_core.errors import Stopped
from unlearning_core.methods.registry import METHODS, state_title
from unlearning_core.progress import Progress
from unlearning_core.runs.context import RunContext
from unlearning_core.runs.pipeline import create_run, execute
from unlearning_core.runs.run import Run
from unlearning_core.runs.stages.registry import stages_of

TRAINED = ("gradient_ascent", "gradient_difference", "npo", "simnpo", "rmu")
SMALL = {"steps": 3, "batch_size": 4, "learning_rate": 1e-3}


def steps(*names: str) -> list[dict[str, object]]:
    return [{"name": name, "parameters": SMALL if name in TRAINED else {}} for name in names]


def experiment(folder: Path, *names: str) -> Path:
    return write_experiment(folder, neural_probing={"ranker": "activation_ratio"}, methods=steps(*names))


def loaded(run: Run, state: str):
    return AutoModelForCausalLM.from_pretrained(run.model(state))


def test_a_chain_of_all_of_them_runs_is_measured_and_loads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = ["nothing", "random_cut", *TRAINED, "leace", "steering"]
    config = experiment(tmp_path, *names)
    assert main(["run", str(config), "--output-dir", str(tmp_path / "runs")]) == 0
    run = Run(Path(capsys.readouterr().out.splitlines()[-1]))
    states = [METHODS[name].state for name in names]
    metrics = run.metrics() or {}
    assert list(metrics) == ["base", *states]
    assert metrics["unchanged"]["forget_delta"] == metrics["unchanged"]["retain_delta"] == 0
    changes = [metrics[state]["concept_nll"] for state in states]
    assert len(set(changes)) == len(changes)
    for state in states:
        with torch.no_grad():
            assert torch.isfinite(loaded(run, state)(torch.tensor([[1, 2, 3]])).logits).all()
    # What the random cut has cut, no method after it has brought back.
    recipe = Recipe.load(run.file("random_cut", "recipe"))
    assert all(survivors(run.model(state), recipe.mask) == [] for state in states[1:])
    assert list(run.status()["stages"]).count("filter") == 1
    assert main(["report", str(run.folder)]) == 0
    assert '<th scope="col">SimNPO</th>' in capsys.readouterr().out


def test_a_random_cut_is_as_large_as_the_cut_and_elsewhere(tmp_path: Path) -> None:
    config = load_config(experiment(tmp_path, "prune"))
    cut = create_run(config, tmp_path / "runs")
    execute(cut)
    recipes = []
    for seed in (0, 1):
        chosen = config.model_copy(update={"methods": load_config(experiment(tmp_path, "random_cut")).methods})
        run = create_run(chosen.model_copy(update={"seed": seed}), tmp_path / "runs")
        execute(run)
        recipes.append(Recipe.load(run.file("random_cut", "recipe")))
        protected: pd.DataFrame = run.ranking().query("protected")
        cut_neurons = recipes[-1].mask.neurons()
        assert cut_neurons.merge(protected, on=["site", "layer", "index"]).empty
    ranked = cut.recipe()
    assert [recipe.mask.cut for recipe in recipes] == [ranked.mask.cut] * 2
    assert len({recipe.mask.digest() for recipe in (ranked, *recipes)}) == 3
    assert recipes[0].ranking["ranker"] == "random"


def test_filtered_retraining_alone_needs_no_ranking_and_starts_from_the_base(tmp_path: Path) -> None:
    config = load_config(experiment(tmp_path, "retrain"))
    run = create_run(config, tmp_path / "runs")
    stages = {stage.name: stage for stage in stages_of(config) if stage.applies(RunContext(run))}
    assert {"filter", "retrain", "measure retrained"} < set(stages)
    assert "rank" not in stages
    assert stages["retrain"].needs == ("filter",)


def test_two_base_models_in_one_store_do_not_share_what_is_made_of_them(tmp_path: Path) -> None:
    config = load_config(experiment(tmp_path, "nothing"))
    first = create_run(config, tmp_path / "runs")
    execute(first, until="nothing")
    save_tiny("llama", tmp_path / "model", seed=1)
    second = create_run(config, tmp_path / "runs")
    execute(second, until="nothing")
    one, two = (loaded(run, "unchanged").get_input_embeddings().weight for run in (first, second))
    assert not torch.equal(one, two)


def test_the_same_seed_gives_the_same_model_and_a_stop_changes_nothing(tmp_path: Path) -> None:
    config = load_config(experiment(tmp_path, "npo"))
    whole = create_run(config, tmp_path / "whole")
    execute(whole)

    def stop(update: Progress) -> None:
        if "npo model" in update.task and update.unit == "steps" and update.done == 2:
            raise Stopped("enough")

    stopped = create_run(config, tmp_path / "stopped")
    with pytest.raises(Stopped):
        execute(stopped, stop)
    execute(stopped)
    one, two = (loaded(run, "npo").state_dict() for run in (whole, stopped))
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert stopped.status()["stages"]["npo"]["summary"]["steps"] == 3


@pytest.mark.parametrize(
    ("name", "parameters", "sentence"),
    [
        ("npo", {"beta": 0}, "'beta' of the method 'npo' is 0"),
        ("rmu", {"depth": 2}, "'depth' of the method 'rmu' is 2"),
        ("leace", {"alignment": "after"}, "'alignment' of the method 'leace' is 'after'"),
        ("nothing", {"steps": 3}, "'steps' of the method 'nothing' is 3"),
    ],
)
def test_a_parameter_out_of_range_is_refused_before_a_run_is_made(
    name: str, parameters: dict[str, object], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = experiment(tmp_path, name)
    methods = json.dumps([{"name": name, "parameters": parameters}])
    assert main(["run", str(config), "--output-dir", str(tmp_path / "runs"), "--set", f"methods={methods}"]) == 2
    assert sentence in capsys.readouterr().err


def test_every_method_says_what_its_parameters_mean_and_states_have_names() -> None:
    for method in METHODS.values():
        assert all(field.description for field in method.parameters.model_fields.values()), method.name
        assert method.sentence.endswith(".")
    assert [state_title(METHODS[name].state) for name in ("npo", "rmu", "leace", "random_cut", "nothing")] == [
        "NPO", "RMU", "LEACE", "Randomly cut", "Unchanged",
    ]  # fmt: skip
