"""What one neuron's card shows, against plain loops in numpy and torch on tiny models."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from tests.tiny_models import tiny_model, tiny_tokenizer
from unlearning_core.activations.collect import collect
from unlearning_core.concepts.labelling import LabelledText
from unlearning_core.errors import InputError
from unlearning_core.models.mapping import map_model
from unlearning_core.neurons.neuron import Neuron
from unlearning_core.neurons.passages import AROUND, passages, whole
from unlearning_core.neurons.reading import (
    MOST_KEPT,
    histogram,
    read_layers,
    read_neuron,
    read_together,
    rows_of,
    sample_size,
)

ITEMS = [
    LabelledText("She put the chair beside the wooden table and sat down.", ((12, 17), (46, 49))),
    LabelledText("The cat sleeps on a bench; the dog barks at 7 in the morning.", ((20, 25),)),
    LabelledText("It's a café 🦉, isn't it? Naïve travellers' stories are told there."),
    LabelledText("A small boat crossed the river before the rain, and nobody saw it."),
    LabelledText(""),
]
NEURONS = [("gpt2", Neuron("mlp", 1, 7)), ("llama", Neuron("mlp", 2, 40)), ("llama", Neuron("residual", 3, 5)),
           ("gpt2", Neuron("residual", 0, 31)), ("llama", Neuron("head", 1, 3))]  # fmt: skip


def loaded(family: str) -> Any:
    model = tiny_model(family)
    return SimpleNamespace(model=model, tokenizer=tiny_tokenizer(), map=map_model(model))


def by_hand(model: Any, neuron: Neuron, text: str) -> np.ndarray:
    """The neuron's activation at each token of one text, from a whole pass without padding."""
    ids = torch.tensor([model.tokenizer(text).input_ids])
    with torch.no_grad():
        if neuron.site == "residual":
            states = []
            norm = model.map.final_norm.register_forward_pre_hook(lambda module, args: states.append(args[0]))
            output = model.model(input_ids=ids, output_hidden_states=True)
            norm.remove()
            # transformers reports the last hidden state after the final norm, which is not what that norm reads.
            state = states[0] if neuron.layer == len(model.map.blocks) else output.hidden_states[neuron.layer]
            return state[0, :, neuron.index].numpy()
        inputs: list[torch.Tensor] = []
        (module,) = model.map.readers(neuron.site, neuron.layer)
        handle = module.register_forward_pre_hook(lambda module, args: inputs.append(args[0]))
        model.model(input_ids=ids)
        handle.remove()
        if neuron.site == "head":
            wide = model.map.head_dim
            part = inputs[0][0, :, neuron.index * wide : (neuron.index + 1) * wide]
            return part.square().sum(-1).sqrt().numpy()
        return inputs[0][0, :, neuron.index].numpy()


@pytest.mark.parametrize(("family", "neuron"), NEURONS)
def test_a_neuron_is_read_at_every_token_as_in_a_whole_pass(family: str, neuron: Neuron) -> None:
    model = loaded(family)
    traces = read_neuron(model, ITEMS, neuron)
    assert sorted(trace.item.text for trace in traces) == sorted(item.text for item in ITEMS if item.text)
    for trace in traces:
        np.testing.assert_allclose(trace.values, by_hand(model, neuron, trace.item.text), rtol=1e-4, atol=1e-5)
    assert not any(module._forward_pre_hooks for module in model.model.modules())


@pytest.mark.parametrize(("family", "site"), [("gpt2", "mlp"), ("llama", "head"), ("llama", "residual")])
def test_layers_that_are_read_together_give_each_neuron_what_it_alone_gives(family: str, site: str) -> None:
    model = loaded(family)
    layers, width = model.map.require(site)
    found = read_layers(model, ITEMS, site, range(layers))
    for layer, index in ((0, 0), (1, width - 1), (layers - 1, width // 2)):
        for trace in found.traces(Neuron(site, layer, index)):
            expected = by_hand(model, Neuron(site, layer, index), trace.item.text)
            np.testing.assert_allclose(trace.values, expected, rtol=1e-4, atol=1e-5)
            assert len(trace.encoded) == len(expected)


def test_as_many_layers_are_read_together_as_may_be_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    model, items = loaded("llama"), [item for item in ITEMS if item.text]
    values = sum(len(model.tokenizer(item.text).input_ids) for item in items) * model.map.require("mlp")[1]
    assert list(read_together(model, items, Neuron("mlp", 1, 0))) == [0, 1, 2]
    assert 3 * values <= MOST_KEPT
    for kept, expected in ((2 * values, [[0, 1], [0, 1], [2]]), (values, [[0], [1], [2]]), (values - 1, [[], [], []])):
        monkeypatch.setattr("unlearning_core.neurons.reading.MOST_KEPT", kept)
        assert [list(read_together(model, items, Neuron("mlp", layer, 0))) for layer in range(3)] == expected


def test_a_whole_text_has_a_piece_for_each_token() -> None:
    model, neuron = loaded("gpt2"), Neuron("mlp", 1, 7)
    for trace in read_neuron(model, ITEMS, neuron):
        pieces = whole(model.tokenizer, trace)
        assert len(pieces) == len(trace.values)
        assert "".join(piece.text for piece in pieces) == trace.item.text
        assert [piece.value for piece in pieces] == [None, *trace.values[1:].tolist()]


@pytest.mark.parametrize("alignment", ["before", "at"])
@pytest.mark.parametrize("aggregation", ["token", "average"])
def test_rows_are_those_of_the_ranking(alignment: Any, aggregation: Any) -> None:
    model, neuron = loaded("llama"), Neuron("mlp", 1, 9)
    values, classes = rows_of(read_neuron(model, ITEMS, neuron), alignment, aggregation, True)
    kept = collect(model, ITEMS, alignment=alignment, aggregation=aggregation).statistics
    assert np.bincount(classes).tolist() == kept.count.tolist()
    for label in (0, 1):
        own = values[classes == label]
        assert own.sum() == pytest.approx(kept.sum[label, 1, 9], rel=1e-4)
        assert (own**2).sum() == pytest.approx(kept.sumsq[label, 1, 9], rel=1e-4)


def test_the_histogram_counts_each_row_once_in_its_class() -> None:
    generator = np.random.default_rng(0)
    values, classes = generator.normal(size=500), generator.integers(0, 2, 500)
    found = histogram(values, classes, bins=13)
    assert (found.edges[0], found.edges[-1]) == (values.min(), values.max())
    for label, counts, mean in ((1, found.concept, found.concept_mean), (0, found.retain, found.retain_mean)):
        own = values[classes == label]
        below = [(own < edge).sum() for edge in found.edges[1:-1]]
        assert counts.tolist() == np.diff([0, *below, len(own)]).tolist()
        assert mean == pytest.approx(own.mean())


def test_a_histogram_without_a_class_has_no_mean_of_it() -> None:
    found = histogram(np.array([1.0, 1.0]), np.array([0, 0]))
    assert found.retain.sum() == 2
    assert np.isnan(found.concept_mean)


@pytest.mark.parametrize(("family", "neuron"), NEURONS[:2])
def test_passages_stand_in_the_order_of_their_highest_and_lowest_activation(family: str, neuron: Neuron) -> None:
    model = loaded(family)
    most, least = passages(model.tokenizer, read_neuron(model, ITEMS, neuron), count=3)
    values = {item.text: by_hand(model, neuron, item.text)[1:] for item in ITEMS if item.text}
    highest = sorted((float(value.max()) for value in values.values()), reverse=True)
    lowest = sorted(float(value.min()) for value in values.values())
    assert [one.extreme for one in most] == pytest.approx(highest[:3], rel=1e-4)
    assert [one.extreme for one in least] == pytest.approx(lowest[:3], rel=1e-4)


def test_the_pieces_of_a_passage_are_its_text_with_values_and_concept() -> None:
    model, neuron = loaded("gpt2"), Neuron("mlp", 1, 7)
    traces = read_neuron(model, ITEMS, neuron)
    texts = {item.text: item for item in ITEMS}
    for passage in passages(model.tokenizer, traces, count=4)[0]:
        text = "".join(piece.text for piece in passage.pieces)
        item = next(item for whole, item in texts.items() if text and text in whole)
        assert max(piece.value for piece in passage.pieces if piece.value is not None) == passage.extreme
        marked = "".join(piece.text for piece in passage.pieces if piece.concept).split()
        inside = [item.text[start:end] for start, end in item.spans]
        assert "".join(marked) in "".join(inside)
        assert passage.opens == (not item.text.startswith(text))
        assert passage.goes_on == (not item.text.endswith(text))
        assert len(passage.pieces) <= 2 * AROUND + 1
        # Position 0 is not counted.
        assert passage.opens or passage.pieces[0].value is None


def test_an_unknown_neuron_is_named() -> None:
    with pytest.raises(InputError, match="no neuron 48 in layer 0"):
        read_neuron(loaded("llama"), ITEMS, Neuron("mlp", 0, 48))


def test_larger_models_read_fewer_sentences() -> None:
    assert [sample_size(count) for count in (5_000_000, 135_000_000, 7_000_000_000)] == [200, 44, 16]
