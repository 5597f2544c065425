"""A ranked run keeps what shows where a neuron stands by every method; pins and excluded neurons stay with the run."""

from pathlib import Path

import numpy as np
import pytest

from tests.tiny_experiment import write_experiment
from unlearning_core.config import load_config
from unlearning_core.edits.recipe import Recipe
from unlearning_core.errors import InputError
from unlearning_core.neurons.other_ranks import by_every_ranker
from unlearning_core.runs.context import RunContext
from unlearning_core.runs.pipeline import create_run, execute
from unlearning_core.runs.run import Run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("case")
    config = load_config(write_experiment(folder, neural_probing={"ranker": "activation_ratio"}))
    ready = create_run(config, folder / "runs")
    execute(ready, until="rank")
    return ready


def test_each_cheap_method_ranks_the_kept_statistics(run: Run) -> None:
    context = RunContext(run)
    shape = (3, 48)
    found = by_every_ranker(context, np.ones(shape))
    assert list(found) == [
        "activation_ratio", "wanda_difference", "probeless", "mean_difference", "mean_select", "random",
    ]  # fmt: skip
    own = context.ranking
    np.testing.assert_array_equal(found["activation_ratio"].score[own["layer"], own["index"]], own["score"])
    np.testing.assert_array_equal(found["activation_ratio"].place[own["layer"], own["index"]], own["rank"])
    kept = np.load(run.folder / "statistics.npz")
    mean = kept["sum"] / kept["count"][:, None, None]
    difference = np.abs(mean[1] - mean[0])
    np.testing.assert_allclose(found["probeless"].score, difference, rtol=1e-12)
    protected = np.zeros(shape, bool)
    protected[own["layer"][own["protected"]], own["index"][own["protected"]]] = True
    for layer, index in ((0, 0), (1, 7), (2, 47)):
        if not protected[layer, index]:
            above = (difference > difference[layer, index]) & ~protected
            assert found["probeless"].place[layer, index] == above.sum()


def test_a_run_without_statistics_says_what_to_do(run: Run, tmp_path: Path) -> None:
    kept = run.ranking_folder() / "statistics.npz"
    away = kept.rename(tmp_path / "away.npz")
    try:
        with pytest.raises(InputError, match="not ranked yet"):
            by_every_ranker(RunContext(run), np.ones((3, 48)))
    finally:
        away.rename(kept)


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
