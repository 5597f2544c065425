"""Token by layer: how far a ranking's first neurons are moved, against loops over hooks of a whole pass."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from tests.tiny_models import tiny_model, tiny_tokenizer
from unlearning_core.activations.collect import collect
from unlearning_core.concepts.labelling import LabelledText
from unlearning_core.errors import InputError
from unlearning_core.figures.token_layers import token_bars, token_layer_map
from unlearning_core.models.mapping import map_model
from unlearning_core.neurons.passages import Piece
from unlearning_core.neurons.token_layers import token_layers

ITEMS = [
    LabelledText("She put the chair beside the wooden table and sat down.", ((12, 17), (46, 49))),
    LabelledText("The cat sleeps on a bench; the dog barks at 7 in the morning.", ((20, 25),)),
    LabelledText("A small boat crossed the river before the rain, and nobody saw it."),
]
SENTENCE = LabelledText("The old chair 🦉 stood there.", ((8, 13),))
SHAPE = (3, 48)


@pytest.fixture(scope="module")
def model() -> Any:
    found = tiny_model("llama")
    return SimpleNamespace(model=found, tokenizer=tiny_tokenizer(), map=map_model(found))


@pytest.fixture(scope="module")
def ranking() -> pd.DataFrame:
    """Random, but none of the first 20 in layer 1."""
    layer, index = (part.ravel() for part in np.indices(SHAPE))
    score = np.random.default_rng(0).random(layer.size) - 2.0 * (layer == 1)
    frame = pd.DataFrame({"site": "mlp", "layer": layer, "index": index, "score": score})
    frame = frame.sort_values("score", ascending=False, ignore_index=True)
    return frame.assign(rank=np.arange(len(frame)))


def held(model: Any, text: str) -> list[np.ndarray]:
    """What the MLP neurons of each layer hold at each token, [tokens, width]."""
    found: list[torch.Tensor] = []
    handles = [
        model.map.readers("mlp", layer)[0].register_forward_pre_hook(lambda module, args: found.append(args[0]))
        for layer in range(SHAPE[0])
    ]
    with torch.no_grad():
        model.model(input_ids=torch.tensor([model.tokenizer(text).input_ids]))
    for handle in handles:
        handle.remove()
    return [one[0].numpy() for one in found]


def rows(model: Any, concept: bool) -> list[list[np.ndarray]]:
    """By layer, what its neurons hold where a token of the class, or none of it, is predicted."""
    found: list[list[np.ndarray]] = [[] for _ in range(SHAPE[0])]
    for item in ITEMS:
        offsets = model.tokenizer(item.text, return_offsets_mapping=True).offset_mapping
        inside = [any(start < e and end > s for s, e in item.spans) for start, end in offsets]
        values = held(model, item.text)
        for token in range(2, len(offsets)):  # read one position earlier, and not at the first
            if inside[token] == concept:
                for layer in range(SHAPE[0]):
                    found[layer].append(values[layer][token - 1])
    return found


def test_a_cell_is_the_mean_deviation_of_the_layers_first_neurons_towards_the_concept(
    model: Any, ranking: pd.DataFrame
) -> None:
    statistics = collect(model, ITEMS).statistics
    found = token_layers(model, SENTENCE, ranking, 20, statistics)
    top = ranking.head(20)
    at_concept, elsewhere, values = rows(model, True), rows(model, False), held(model, SENTENCE.text)
    for layer in (0, 2):
        cells = []
        for index in top["index"][top["layer"] == layer]:
            other = np.array([row[index] for row in elsewhere[layer]])
            towards = np.sign(np.mean([row[index] for row in at_concept[layer]]) - other.mean())
            cells.append(towards * (values[layer][:, index] - other.mean()) / other.std(ddof=1))
        np.testing.assert_allclose(found.moved[layer, 1:], np.mean(cells, axis=0)[1:], rtol=2e-3, atol=2e-3)
    assert np.isnan(found.moved[1]).all()
    assert np.isnan(found.moved[:, 0]).all()  # position 0 is not counted
    assert found.neurons.tolist() == [int((top["layer"] == layer).sum()) for layer in range(3)]
    assert "".join(piece.text for piece in found.pieces) == SENTENCE.text
    assert "".join(piece.text for piece in found.pieces if piece.concept).strip() == "chair"
    assert len(found.pieces) == len(model.tokenizer(SENTENCE.text).input_ids)


def test_a_sentence_of_the_statistics_alone_averages_to_nothing_off_the_concept(
    model: Any, ranking: pd.DataFrame
) -> None:
    """The mean over exactly the rows that the statistics are of is 0, by definition."""
    text = ITEMS[2]
    statistics = collect(model, [text, ITEMS[0]]).statistics
    found = token_layers(model, text, ranking, 20, statistics)
    other = token_layers(model, ITEMS[0], ranking, 20, statistics)
    concept = np.array([piece.concept for piece in other.pieces])
    off = other.moved[0, 1:-1][~concept[2:]]  # where another token than the concept's is predicted
    assert np.concatenate([found.moved[0, 1:-1], off]).mean() == pytest.approx(0.0, abs=1e-5)


def test_what_cannot_be_read_is_named(model: Any, ranking: pd.DataFrame) -> None:
    statistics = collect(model, ITEMS).statistics
    with pytest.raises(InputError, match="first is 0"):
        token_layers(model, SENTENCE, ranking, 0, statistics)
    with pytest.raises(InputError, match="sentence is empty"):
        token_layers(model, LabelledText(""), ranking, 3, statistics)
    with pytest.raises(InputError, match="statistics are of"):
        token_layers(model, SENTENCE, ranking, 3, collect(model, ITEMS, site="head").statistics)


def test_the_picture_names_token_layer_and_how_many_neurons(model: Any, ranking: pd.DataFrame) -> None:
    found = token_layers(model, SENTENCE, ranking, 20, collect(model, ITEMS).statistics)
    cells = token_layer_map(found, 20, "MLP neurons").data[0]
    place = next(place for place, piece in enumerate(found.pieces) if piece.concept)
    said = cells.hovertext[2][place]
    assert said.startswith(f"<b>layer 2, ★{found.pieces[place].text.strip()}</b>")
    assert f"{found.neurons[2]} of the first 20 MLP neurons" in said
    assert f"{found.moved[2, place]:+.2f} SD" in said
    assert "none of the first 20" in cells.hovertext[1][place]
    assert "not counted" in cells.hovertext[0][0]
    assert cells.zmin == -cells.zmax


def test_bars_stand_above_or_below_zero_and_leave_out_what_is_not_counted() -> None:
    pieces = (Piece("The", None, False), Piece(" chair", 2.5, True), Piece(" sat", -1.0, False))
    bars = token_bars(pieces).data[0]
    assert np.isnan(bars.y[0])
    assert list(bars.y[1:]) == [2.5, -1.0]
    assert list(bars.hovertext) == ["The", "★chair", "sat"]
    assert bars.marker.color[1] != bars.marker.color[2]
