"""Marks of a ranking against scikit-learn; what a model's folder may say of its neurons."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score

from unlearning_core.errors import InputError
from unlearning_core.models.ground_truth import ROUTED, GroundTruth, ground_truth
from unlearning_core.rankers.marks import applies, mark, recall

LAYERS, WIDTH, KNOWN = 3, 40, 12


@pytest.fixture
def drawn() -> tuple[pd.DataFrame, GroundTruth]:
    """A ranking that is better than chance, and the truth."""
    rng = np.random.default_rng(0)
    layer, index = np.divmod(rng.permutation(LAYERS * WIDTH), WIDTH)
    places = rng.choice(60, KNOWN, replace=False)
    truth = frozenset(zip(layer[places].tolist(), index[places].tolist(), strict=True))
    return pd.DataFrame({"site": "mlp", "layer": layer, "index": index}), GroundTruth("seats", "mlp", truth)


def test_marks_are_those_of_scikit_learn(drawn: tuple[pd.DataFrame, GroundTruth]) -> None:
    ranking, truth = drawn
    labels = [pair in truth.neurons for pair in zip(ranking["layer"], ranking["index"], strict=True)]
    marks = mark(ranking, truth)
    assert marks.average_precision == pytest.approx(average_precision_score(labels, -np.arange(len(labels))))
    assert (marks.known, marks.found) == (KNOWN, sum(labels[:KNOWN]))
    assert marks.precision == sum(labels[:KNOWN]) / KNOWN
    assert marks.chance == KNOWN / (LAYERS * WIDTH)
    for count in (0, 7, 60, 500):
        assert recall(ranking, truth, count) == sum(labels[:count]) / KNOWN


def test_a_perfect_ranking_has_full_marks(drawn: tuple[pd.DataFrame, GroundTruth]) -> None:
    ranking, truth = drawn
    first = np.array([pair in truth.neurons for pair in zip(ranking["layer"], ranking["index"], strict=True)])
    best = pd.concat([ranking[first], ranking[~first]])
    assert (mark(best, truth).precision, mark(best, truth).average_precision) == (1.0, 1.0)
    worst = best[::-1]
    assert mark(worst, truth).precision == 0
    assert mark(worst, truth).average_precision < 0.1


def test_a_ranking_of_other_neurons_cannot_be_marked(drawn: tuple[pd.DataFrame, GroundTruth]) -> None:
    ranking, truth = drawn
    heads = ranking.assign(site="head")
    assert applies(ranking, truth)
    assert not applies(heads, truth)
    with pytest.raises(InputError, match=r"holds 12 of the 12 mlp neurons .* at site head"):
        mark(heads, truth)
    with pytest.raises(InputError, match=r"holds \d of the 12 mlp neurons"):
        recall(ranking[:9], truth, 5)


def test_a_folder_says_which_neurons_are_known(tmp_path: Path) -> None:
    assert ground_truth(str(tmp_path)) is None
    said = {"concept": "seats", "site": "mlp", "neurons": [[0, 3], [1, 2]]}
    (tmp_path / ROUTED).write_text(json.dumps(said))
    assert ground_truth(str(tmp_path)) == GroundTruth("seats", "mlp", frozenset({(0, 3), (1, 2)}))
    assert ground_truth("smallworld") is None
    assert ground_truth("somebody/a-model-of-the-hub") is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "Invalid JSON"),
        ('{"concept": "seats", "site": "mlp"}', "Field required"),
        ('{"concept": "seats", "site": "mlp", "neurons": [[1]]}', "Field required"),
        ('{"concept": "seats", "site": "mlp", "neurons": []}', "names no neuron"),
    ],
)
def test_a_broken_file_is_named(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / ROUTED).write_text(text)
    with pytest.raises(InputError, match=f"routed.json .*{said}"):
        ground_truth(str(tmp_path))
