"""Each method against its definition, and against NeuroX's own functions on the same arrays."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from neurox.interpretation import linear_probe as neurox_linear_probe
from neurox.interpretation import probeless as neurox_probeless

from tests.tiny_input import statistics_of
from unlearning_core.activations.collect import Activations
from unlearning_core.activations.reservoir import Rows
from unlearning_core.config.schema import NeuralProbingSection
from unlearning_core.errors import InputError, Stopped
from unlearning_core.progress import Progress
from unlearning_core.rankers import linear_probe, registry
from unlearning_core.rankers.ranking_input import RankingInput
from unlearning_core.rankers.registry import GROUPS, RANKERS, get_ranker, ranker_table

LAYERS, WIDTH, COUNT = 3, 40, 120


@pytest.fixture(scope="module")
def rows() -> tuple[np.ndarray, np.ndarray]:
    """Activations `[n, layers, width]` in which a few neurons know the class, and the class."""
    generator = np.random.default_rng(0)
    values = generator.normal(size=(COUNT, LAYERS, WIDTH)).astype(np.float32)
    classes = generator.integers(0, 2, COUNT)
    values[classes == 1, 1, :5] += 2.0
    values[:, 2] *= 30.0
    return values, classes


@pytest.fixture(scope="module")
def activations(rows: tuple[np.ndarray, np.ndarray]) -> Activations:
    values, classes = rows
    sample = Rows(values, classes, np.arange(COUNT, dtype=np.uint64))
    empty = pd.DataFrame(columns=["layer", "index"])
    return Activations("mlp", statistics_of(values, classes), sample, empty, COUNT, "before", "token", True)


def score(name: str, activations: Activations, seed: int = 0, **params: Any) -> np.ndarray:
    return get_ranker(name).score(RankingInput(activations, seed=seed), params)


def test_probeless_orders_neurons_as_neurox_does(rows: tuple[np.ndarray, np.ndarray], activations: Activations) -> None:
    values, classes = rows
    expected = neurox_probeless.get_neuron_ordering(values.reshape(COUNT, -1), classes)
    assert np.argsort(-score("probeless", activations).ravel()).tolist() == expected


def test_standardised_probeless_is_the_difference_in_deviations(
    rows: tuple[np.ndarray, np.ndarray], activations: Activations
) -> None:
    values, classes = rows
    z = (values - values.mean(0, dtype=np.float64)) / values.std(0, dtype=np.float64)
    expected = np.abs(z[classes == 1].mean(0) - z[classes == 0].mean(0))
    np.testing.assert_allclose(score("probeless", activations, standardise=True), expected, rtol=1e-6)


@pytest.mark.parametrize("standardise", [False, True])
def test_the_linear_probe_selects_the_neurons_that_neurox_selects(
    rows: tuple[np.ndarray, np.ndarray], activations: Activations, standardise: bool
) -> None:
    values, classes = rows
    flat = values.reshape(COUNT, -1)
    if standardise:
        flat = ((flat - flat.mean(0, dtype=np.float64)) / flat.std(0, dtype=np.float64)).astype(np.float32)
    torch.manual_seed(7)
    probe = neurox_linear_probe.train_logistic_regression_probe(
        flat, classes, lambda_l1=0.01, lambda_l2=0.02, num_epochs=4
    )
    ordering, cutoffs = neurox_linear_probe.get_neuron_ordering(probe, {"retain": 0, "concept": 1})
    found = score(
        "linear_probe", activations, seed=7, lambda_l1=0.01, lambda_l2=0.02, num_epochs=4, standardise=standardise
    ).ravel()
    ours = np.argsort(-found, kind="stable")
    for cutoff in cutoffs:
        assert set(ours[:cutoff].tolist()) == {int(neuron) for neuron in ordering[:cutoff]}
    for percent, cutoff in enumerate(cutoffs[:-1]):
        selected = (found > 1 - percent / 100) | (found == 1)
        assert abs(int(selected.sum()) - cutoff) <= 1, "NeuroX sums the weights in float32"


def test_the_linear_probe_finds_the_neurons_that_know(activations: Activations) -> None:
    top = np.argsort(-score("linear_probe", activations, num_epochs=30, learning_rate=0.02, lambda_l1=0.01).ravel())[:5]
    assert {int(neuron) for neuron in top} == {WIDTH + i for i in range(5)}


def test_the_linear_probe_goes_by_its_seed_alone(activations: Activations) -> None:
    torch.manual_seed(1)
    one = score("linear_probe", activations, seed=3, num_epochs=1)
    state = torch.random.get_rng_state()
    torch.manual_seed(2)
    np.testing.assert_array_equal(score("linear_probe", activations, seed=3, num_epochs=1), one)
    assert not np.array_equal(score("linear_probe", activations, seed=4, num_epochs=1), one)
    torch.manual_seed(1)
    score("linear_probe", activations, seed=9, num_epochs=1)
    assert torch.equal(torch.random.get_rng_state(), state), "nobody else's random numbers change"


def test_the_linear_probe_is_quiet_counts_its_epochs_and_stops(
    activations: Activations, capfd: pytest.CaptureFixture[str]
) -> None:
    heard: list[Progress] = []
    get_ranker("linear_probe").score(RankingInput(activations, progress=heard.append), {"num_epochs": 3})
    assert [(report.done, report.total) for report in heard] == [(0, 3), (1, 3), (1, 3), (2, 3), (2, 3), (3, 3)]
    assert capfd.readouterr() == ("", "")

    def stop(progress: Progress) -> None:
        raise Stopped("enough")

    with pytest.raises(Stopped):
        get_ranker("linear_probe").score(RankingInput(activations, progress=stop))


def test_neurox_itself_is_left_as_it_was(activations: Activations) -> None:
    score("linear_probe", activations, num_epochs=1)
    assert "print" not in vars(neurox_linear_probe)
    assert neurox_linear_probe.torch is torch


def test_the_linear_probe_needs_rows(activations: Activations) -> None:
    bare = Activations("mlp", activations.statistics, None, activations.massive, COUNT, "before", "token", True)
    with pytest.raises(InputError, match="rows"):
        score("linear_probe", bare)


def test_without_neurox_the_probe_says_how_to_add_it(activations: Activations, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear_probe.importlib.util, "find_spec", lambda name: None)
    assert "pip install --no-deps neurox==1.0.9" in str(RANKERS["linear_probe"].unavailable())
    assert RANKERS["activation_ratio"].unavailable() is None
    with pytest.raises(InputError, match="pip install --no-deps neurox"):
        score("linear_probe", activations)


@pytest.mark.parametrize("measure", ["rms", "mean_absolute"])
def test_the_activation_ratio_is_concept_over_retain(
    rows: tuple[np.ndarray, np.ndarray], activations: Activations, measure: str
) -> None:
    values, classes = rows[0].astype(np.float64), rows[1]
    active = [
        np.sqrt((values[classes == c] ** 2).mean(0)) if measure == "rms" else np.abs(values[classes == c]).mean(0)
        for c in (0, 1)
    ]
    floor = 0.05 * np.median(active[0], axis=1, keepdims=True)
    found = score("activation_ratio", activations, measure=measure, eps=0.05)
    np.testing.assert_allclose(found, (active[1] + floor) / (active[0] + floor))
    assert set(np.argsort(-found.ravel())[:5]) == {WIDTH + i for i in range(5)}, "layer 2's scale does not count"


def test_a_silent_neuron_has_ratio_one_and_one_that_only_the_concept_wakes_has_the_largest() -> None:
    values = np.zeros((6, 2, 4), np.float32)
    classes = np.array([0, 0, 0, 1, 1, 1])
    values[:, 0, 1:] = 1.0
    values[classes == 1, 0, 3] = 9.0
    values[classes == 1, 1, 2] = 1.0
    statistics = statistics_of(values, classes)
    silent = Activations("mlp", statistics, None, pd.DataFrame(columns=["layer", "index"]), 6, "before", "token", True)
    found = RANKERS["activation_ratio"].score(RankingInput(silent))
    assert np.isfinite(found).all()
    assert found[0, 0] == 1.0
    assert found[1, 0] == 1.0
    assert found[0, 3] == found[0].max()
    assert found[1, 2] == found.max()


def test_random_goes_by_its_seed(activations: Activations) -> None:
    one = score("random", activations, seed=5)
    np.testing.assert_array_equal(score("random", activations, seed=5), one)
    assert not np.array_equal(score("random", activations, seed=6), one)
    assert one.shape == (LAYERS, WIDTH)


def test_the_registry_describes_every_method_and_its_parameters() -> None:
    for name, ranker in RANKERS.items():
        assert ranker.name == name
        assert ranker.title
        assert ranker.answers.endswith((".", "?", ")"))
        assert all(field.description for field in ranker.params.model_fields.values())
        assert ranker.check() == ranker.params()
    assert registry.DEFAULT_RANKER == NeuralProbingSection().ranker == "combined"
    rows = {name for name, ranker in RANKERS.items() if ranker.needs_rows}
    assert rows == {"linear_probe", "average_precision", "iou", "mutual_information"}


def test_each_method_stands_in_one_group_and_random_is_the_control() -> None:
    assert {ranker.group for ranker in RANKERS.values()} <= set(GROUPS)
    assert [name for name, ranker in RANKERS.items() if ranker.group == "control"] == ["random"]
    assert RANKERS[registry.DEFAULT_RANKER].group != "control"


def test_the_table_of_methods_is_text_and_says_what_each_needs_and_its_defaults() -> None:
    table = {row["name"]: row for row in ranker_table()}
    assert list(table) == list(RANKERS)
    assert all(isinstance(value, str) for row in table.values() for value in row.values())
    assert table["random"]["parameters"] == ""
    assert table["iou"]["parameters"] == "active_share=0.2, direction=either"
    assert [table[name]["needs"] for name in ("probeless", "iou", "taylor")] == [
        "statistics", "activation rows", "the model",
    ]  # fmt: skip


def test_the_table_says_how_to_add_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear_probe.importlib.util, "find_spec", lambda name: None)
    needs = {row["name"]: row["needs"] for row in ranker_table()}
    assert "pip install --no-deps neurox" in needs["linear_probe"]
    assert needs["probeless"] == "statistics"


def test_a_ranker_that_builds_on_taylor_names_itself_where_the_model_is_missing(activations: Activations) -> None:
    for name in ("ablation", "gates", "combined"):
        with pytest.raises(InputError, match=f"'{name}' runs the model"):
            get_ranker(name).score(RankingInput(activations))


def test_a_mistyped_method_or_parameter_names_the_nearest() -> None:
    with pytest.raises(InputError, match="Did you mean 'probeless'"):
        get_ranker("probless")
    with pytest.raises(InputError, match="Did you mean 'measure'"):
        get_ranker("activation_ratio").check({"mesure": "rms"})
    with pytest.raises(InputError, match=r"'measure'.*'median'"):
        get_ranker("activation_ratio").check({"measure": "median"})
