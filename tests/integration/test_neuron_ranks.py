"""A ranked run keeps what shows the rank of a neuron by every method; pins and excluded neurons stay with the run."""

from pathlib import Path

import numpy as np
import pytest

from tests.tiny_experiment import write_experiment
from unlearning_core.activations.collect import Activations
from unlearning_core.config.reading import load_config
from unlearning_core.edits.recipe import Recipe
from unlearning_core.edits.weights import survivors
from unlearning_core.errors import InputError
from unlearning_core.neurons.method_ranks import rankings_by_method
from unlearning_core.runs.context import RunContext
from unlearning_core.runs.cuts import cut_settings
from unlearning_core.runs.pipeline import create_run, execute
from unlearning_core.runs.recipes import load_named, save_named
from unlearning_core.runs.run import Run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("case")
    config = load_config(write_experiment(folder, neural_probing={"ranker": "activation_ratio"}))
    ready = create_run(config, folder / "runs")
    execute(ready, until="rank")
    return ready


def test_each_cheap_method_ranks_the_kept_statistics(run: Run) -> None:
    shape, own = (3, 48), run.ranking()
    kept = Activations.load(run.ranking_folder(), run.config.neural_probing)
    rankings = rankings_by_method(own, kept, np.ones(shape), run.config)
    found = {name: table.set_index(["layer", "index"])[["rank", "score"]] for name, table in rankings.items()}
    assert list(found) == [
        "activation_ratio", "wanda_difference", "probeless", "mean_difference", "mean_select", "random",
    ]  # fmt: skip
    np.testing.assert_array_equal(found["activation_ratio"].reset_index(), own[["layer", "index", "rank", "score"]])
    kept = np.load(run.folder / "statistics.npz")
    mean = kept["sum"] / kept["count"][:, None, None]
    difference = np.abs(mean[1] - mean[0])
    np.testing.assert_allclose(found["probeless"]["score"].sort_index(), difference.ravel(), rtol=1e-12)
    protected = np.zeros(shape, bool)
    protected[own["layer"][own["protected"]], own["index"][own["protected"]]] = True
    for layer, index in ((0, 0), (1, 7), (2, 47)):
        if not protected[layer, index]:
            above = (difference > difference[layer, index]) & ~protected
            assert found["probeless"]["rank"][layer, index] == above.sum()


def test_a_run_that_is_not_ranked_says_what_to_do(run: Run, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not ranked yet"):
        create_run(run.config, tmp_path).ranking_folder()


def test_an_excluded_neuron_is_left_by_the_prune_stage_and_named_in_the_recipe(run: Run) -> None:
    ranked = RunContext(run).ranking.sort_values("rank")
    best = ranked.iloc[0]
    config = run.config
    config.neural_probing.excluded_neurons = [("mlp", int(best["layer"]), int(best["index"]))]
    run.save_config(config)
    execute(run, until="prune")
    recipe = Recipe.load(run.folder / "recipe", {"mlp": (3, 48)})
    cut = recipe.mask.neurons()
    expected = ranked.iloc[1:].head(round(0.1 * 143))
    assert set(zip(cut["layer"], cut["index"], strict=True)) == set(
        zip(expected["layer"], expected["index"], strict=True)
    )
    assert recipe.ranking["excluded_neurons"] == [["mlp", int(best["layer"]), int(best["index"])]]


def test_what_was_chosen_by_hand_goes_through_the_run_its_recipe_and_the_saved_model(tmp_path: Path) -> None:
    probing = {
        "ranker": "activation_ratio", "picked_neurons": [["mlp", 2, 7], ["head", 1, 0]], "layer_ratios": {"0": 0.25},
    }  # fmt: skip
    config = load_config(write_experiment(tmp_path, neural_probing=probing, test_prompts=["Anna sat on"]))
    run = create_run(config, tmp_path / "runs")
    execute(run, until="prune")
    first = run.ranking().sort_values("rank")
    expected = {("mlp", 2, 7)}
    expected |= {("mlp", layer, index) for layer, index in first.head(14)[["layer", "index"]].to_numpy() if layer != 0}
    expected |= {("mlp", 0, index) for index in first[first["layer"] == 0].head(12)["index"]}
    recipe = run.recipe()
    assert {tuple(row) for row in recipe.mask.neurons().to_numpy()} == expected | {("head", 1, 0)}
    summary = run.status()["stages"]["prune"]["summary"]
    assert (summary["cut"], summary["by_hand"], summary["own_layers"]) == (len(expected) + 1, 2, 1)
    assert survivors(run.model("pruned"), recipe.mask) == []
    shapes, named = recipe.mask.shapes, save_named(run, "by hand", recipe)
    assert load_named(named, run.ranking(), shapes) == cut_settings(run.config)
