"""A list of neurons as a person types it: read, written, refused."""

import numpy as np
import pandas as pd
import pytest

from unlearning_core.errors import InputError
from unlearning_core.neurons.neuron import Neuron
from unlearning_core.neurons.picking import read_neurons, write_neurons

SHAPES = {"mlp": (3, 20), "head": (3, 4)}


def ranking(experts: bool = False) -> pd.DataFrame:
    layer, index = np.divmod(np.arange(60), 20)
    found = pd.DataFrame({"site": "mlp", "layer": layer, "index": index, "rank": np.arange(60)[::-1]})
    found = found.assign(protected=False, score=0.0)
    return found.assign(expert=index // 5, neuron=index % 5) if experts else found


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("", []),
        (" \n, ;", []),
        ("2.17", [("mlp", 2, 17)]),
        ("2.17\n0.3", [("mlp", 2, 17), ("mlp", 0, 3)]),
        ("2.17, 0.3; 2 . 17", [("mlp", 2, 17), ("mlp", 0, 3)]),
        ("1.4-6", [("mlp", 1, 4), ("mlp", 1, 5), ("mlp", 1, 6)]),
        ("head 1.3, mlp 1.3", [("head", 1, 3), ("mlp", 1, 3)]),
    ],
)
def test_a_list_names_these_neurons(text: str, keys: list[tuple[str, int, int]]) -> None:
    found = read_neurons(text, ranking(), SHAPES)
    assert [neuron.key for neuron in found] == keys
    assert read_neurons(write_neurons(found, "mlp"), ranking(), SHAPES) == found


def test_a_neuron_of_an_expert_is_named_by_its_place_in_it() -> None:
    assert read_neurons("1.2:3", ranking(experts=True), SHAPES) == [Neuron("mlp", 1, 13)]
    with pytest.raises(InputError, match=r"'1\.2:3'.*no experts"):
        read_neurons("1.2:3", ranking(), SHAPES)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("17", "'17' is no neuron. Write layer.neuron"),
        ("-1.2", "'-1.2' is no neuron"),
        ("1.2.3", r"'1\.2\.3': The index '2\.3' is no number"),
        ("3.0", r"'3\.0': There is no neuron 0 in layer 3 .* 3 layers of 20"),
        ("3.0-4", r"'3\.0-4': There is no neuron 0 in layer 3"),
        ("0.20", r"'0\.20': There is no neuron 20 in layer 0"),
        ("0.20-30", r"'0\.20-30' names no neuron: layer 0 has 20"),
        ("head 0.1-3", r"'head 0\.1-3': Ranges and experts are known of the ranked site alone"),
        ("gate 0.1", "names the site 'gate'; this model has mlp, head"),
        ("0.1\n" * 3 + "chair", "'chair' is no neuron"),
    ],
)
def test_an_entry_that_is_wrong_is_named(text: str, told: str) -> None:
    with pytest.raises(InputError, match=told):
        read_neurons(text, ranking(), SHAPES)
