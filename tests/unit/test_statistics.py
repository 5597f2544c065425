"""Statistics by class against numpy over all rows at once."""

from pathlib import Path

import numpy as np
import pytest
from jaxtyping import TypeCheckError

from tests.tiny_input import statistics_of
from unlearning_core.activations.massive import massive_neurons
from unlearning_core.activations.statistics import CONCEPT, RETAIN, Statistics
from unlearning_core.errors import InputError


@pytest.fixture
def rows() -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(3)
    return generator.normal(2.0, 5.0, (50, 3, 7)), generator.integers(0, 2, 50)


def test_every_figure_is_that_of_the_rows_of_its_class(rows: tuple[np.ndarray, np.ndarray]) -> None:
    values, classes = rows
    statistics = statistics_of(values, classes)
    for label in (RETAIN, CONCEPT):
        own = values[classes == label]
        assert statistics.count[label] == len(own)
        np.testing.assert_allclose(statistics.mean()[label], own.mean(0))
        np.testing.assert_allclose(statistics.std()[label], own.std(0))
        np.testing.assert_allclose(statistics.rms()[label], np.sqrt(np.mean(own**2, axis=0)))
        np.testing.assert_allclose(statistics.mean_abs()[label], np.abs(own).mean(0))
        np.testing.assert_array_equal(statistics.min[label], own.min(0))
        np.testing.assert_array_equal(statistics.max[label], own.max(0))
        np.testing.assert_allclose(statistics.sample_std()[label], own.std(0, ddof=1))
        np.testing.assert_allclose(statistics.frequency()[label], (own > 0).mean(0))
    np.testing.assert_allclose(statistics.pooled_std(), values.std(0))


def test_parts_add_to_the_whole(rows: tuple[np.ndarray, np.ndarray]) -> None:
    values, classes = rows
    parts = [statistics_of(values[part], classes[part]) for part in np.array_split(np.arange(50), 4)]
    total = sum(parts[1:], parts[0]) + statistics_of(values[:0], classes[:0])
    whole = statistics_of(values, classes)
    for name, value in vars(whole).items():
        np.testing.assert_allclose(vars(total)[name], value, rtol=1e-12)


def test_a_class_without_rows_has_no_mean(rows: tuple[np.ndarray, np.ndarray]) -> None:
    values, _ = rows
    statistics = statistics_of(values, np.zeros(50, int))
    assert np.isnan(statistics.mean()[CONCEPT]).all()
    assert np.isfinite(statistics.mean()[RETAIN]).all()


def test_statistics_of_other_neurons_do_not_add() -> None:
    with pytest.raises(ValueError, match="do not add"):
        statistics_of(np.zeros((1, 2, 3)), np.zeros(1)) + statistics_of(np.zeros((1, 3, 2)), np.zeros(1))


def test_what_is_saved_is_read_back(rows: tuple[np.ndarray, np.ndarray], tmp_path: Path) -> None:
    statistics = statistics_of(*rows)
    statistics.save(tmp_path / "statistics.npz")
    for name, value in vars(Statistics.load(tmp_path / "statistics.npz")).items():
        np.testing.assert_array_equal(value, vars(statistics)[name])


def test_a_file_of_something_else_is_named(tmp_path: Path) -> None:
    path = tmp_path / "other.npz"
    np.savez(path, a=np.zeros(3))
    with pytest.raises(InputError, match="sumsq"):
        Statistics.load(path)
    with pytest.raises(InputError, match=r"gone\.npz"):
        Statistics.load(tmp_path / "gone.npz")


def test_an_archive_from_before_firing_was_counted_is_read_all_the_same(
    rows: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    statistics = statistics_of(*rows)
    older = {name: value for name, value in vars(statistics).items() if name != "positive"}
    np.savez(tmp_path / "older.npz", **older)
    read = Statistics.load(tmp_path / "older.npz")
    np.testing.assert_array_equal(read.rms(), statistics.rms())
    with pytest.raises(InputError, match="Rank the corpus again"):
        read.frequency()


def test_the_shapes_in_signatures_are_checked_in_tests() -> None:
    with pytest.raises(TypeCheckError, match="outgoing_norm"):
        massive_neurons("mlp", np.ones((2, 3)), np.ones((2, 3)), np.ones((2, 4)))
