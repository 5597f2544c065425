"""Every method that goes by a pass alone, on each site of a model and read before and at the word."""

from types import SimpleNamespace
from typing import Any, Literal

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from tests.tiny_models import tiny_model, tiny_tokenizer
from unlearning_core.activations.collect import Activations, collect
from unlearning_core.concepts.labelling import LabelledText
from unlearning_core.errors import InputError
from unlearning_core.models.mapping import map_model
from unlearning_core.rankers.ranking import rank
from unlearning_core.rankers.ranking_input import RankingInput
from unlearning_core.rankers.registry import RANKERS, get_ranker

THINGS = ("table", "window", "door", "river", "garden", "station", "house", "market")
ITEMS = [
    *(LabelledText(f"The {thing}'s chair", ((len(thing) + 7, len(thing) + 12),)) for thing in THINGS),
    *(LabelledText(f"The old man near the {thing} was quiet.") for thing in THINGS),
]
SITES = ("mlp", "head", "residual")
Where = Literal["before", "at"]


@pytest.fixture(scope="module")
def model() -> Any:
    tiny = tiny_model("opt")
    return SimpleNamespace(model=tiny, tokenizer=tiny_tokenizer(), map=map_model(tiny))


@pytest.fixture(scope="module")
def passes(model: Any) -> dict[tuple[str, str], Activations]:
    ways: list[Where] = ["before", "at"]
    return {(site, way): collect(model, ITEMS, site=site, alignment=way, rows=4000) for site in SITES for way in ways}


@pytest.mark.parametrize("name", [name for name, ranker in RANKERS.items() if not ranker.needs_model])
def test_each_neuron_stands_once_by_a_score_that_is_its_own(
    name: str, model: Any, passes: dict[tuple[str, str], Activations]
) -> None:
    for (site, way), activations in passes.items():
        layers, width = model.map.shapes[site]
        ranking = rank(RankingInput(activations, model.map.outgoing_norm(site), model=model), name)
        assert len(ranking) == layers * width, (site, way)
        assert np.isfinite(ranking["score"]).all(), (site, way)
        assert ranking["score"].nunique() > 2, (site, way)


@pytest.mark.parametrize("site", SITES)
def test_the_alignment_decides_which_rows_a_method_sees(site: str, passes: dict[tuple[str, str], Activations]) -> None:
    scores = []
    for way in ("before", "at"):
        rows = passes[site, way].rows
        assert rows is not None
        found = get_ranker("average_precision").score(RankingInput(passes[site, way]), {"direction": "higher"})
        flat = rows.X.reshape(len(rows.y), -1)
        expected = [average_precision_score(rows.y, neuron) for neuron in flat.T]
        np.testing.assert_allclose(found.ravel(), expected, rtol=1e-12)
        scores.append(found)
    assert not np.allclose(scores[0], scores[1])


def test_the_firing_frequency_is_of_neurons_with_a_sign(passes: dict[tuple[str, str], Activations]) -> None:
    for site in ("mlp", "residual"):
        ratio = rank(RankingInput(passes[site, "before"]), "activation_ratio", {"measure": "firing_frequency"})
        assert ratio["score"].nunique() > 2
    with pytest.raises(InputError, match="firing_frequency"):
        rank(RankingInput(passes["head", "before"]), "activation_ratio", {"measure": "firing_frequency"})
