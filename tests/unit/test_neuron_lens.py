"""Tokens promoted by a neuron and what its cut alone does, against explicit products and a model edited by hand."""

import copy
from typing import Any

import numpy as np
import pytest
import torch

from tests.tiny_models import tiny_model, tiny_tokenizer
from unlearning_core.concepts.labelling import LabelledText
from unlearning_core.errors import InputError
from unlearning_core.evaluation.likelihood import measure
from unlearning_core.models.loading import LoadedModel
from unlearning_core.models.mapping import map_model
from unlearning_core.neurons.lens import lens, no_lens, token_logits
from unlearning_core.neurons.neuron import Neuron
from unlearning_core.neurons.single_ablation import ablate

ITEMS = [
    LabelledText("She put the chair beside the wooden table and sat down.", ((12, 17), (46, 49))),
    LabelledText("The cat sleeps on a bench; the dog barks at 7 in the morning.", ((20, 25),)),
    LabelledText("A small boat crossed the river before the rain, and nobody saw it."),
]


def loaded(family: str, model: Any = None) -> Any:
    model = model or tiny_model(family)
    return LoadedModel(model=model, tokenizer=tiny_tokenizer(), map=map_model(model), info=None)


def array(weight: torch.Tensor) -> np.ndarray:
    return weight.detach().double().numpy()


def test_gpt2s_logits_are_the_unembedding_of_the_centred_scaled_value_vector() -> None:
    model = loaded("gpt2")
    body = model.model.transformer
    value = array(body.h[1].mlp.c_proj.weight)[7]
    expected = array(model.model.lm_head.weight) @ (array(body.ln_f.weight) * (value - value.mean()))
    np.testing.assert_allclose(token_logits(model, Neuron("mlp", 1, 7)), expected, rtol=1e-4, atol=1e-5)


def test_llamas_logits_are_not_centred() -> None:
    model = loaded("llama")
    body = model.model.model
    value = array(body.layers[2].mlp.down_proj.weight)[:, 40]
    expected = array(model.model.lm_head.weight) @ (array(body.norm.weight) * value)
    np.testing.assert_allclose(token_logits(model, Neuron("mlp", 2, 40)), expected, rtol=1e-4, atol=1e-5)


def test_gemma2s_logits_pass_both_norms_with_their_offset() -> None:
    model = loaded("gemma2")
    body = model.model.model
    value = array(body.layers[0].mlp.down_proj.weight)[:, 3] * (
        1 + array(body.layers[0].post_feedforward_layernorm.weight)
    )
    expected = array(model.model.lm_head.weight) @ ((1 + array(body.norm.weight)) * value)
    np.testing.assert_allclose(token_logits(model, Neuron("mlp", 0, 3)), expected, rtol=1e-4, atol=1e-5)


def test_a_residual_dimension_is_read_by_its_own_column_of_the_unembedding() -> None:
    model = loaded("llama")
    expected = array(model.model.lm_head.weight)[:, 5] * array(model.model.model.norm.weight)[5]
    np.testing.assert_allclose(token_logits(model, Neuron("residual", 1, 5)), expected, rtol=1e-4, atol=1e-6)


def test_both_ends_of_the_logits_are_named_strongest_first() -> None:
    model, neuron = loaded("gpt2"), Neuron("mlp", 0, 2)
    logits = token_logits(model, neuron).numpy()[: len(model.tokenizer)]
    found = lens(model, neuron, count=5)
    order = np.argsort(logits)
    for end, ids in ((found.promoted, order[::-1][:5]), (found.suppressed, order[:5])):
        assert [token for token, _ in end] == [model.tokenizer.decode([token]) for token in ids]
        assert [value for _, value in end] == pytest.approx(logits[ids].tolist())


def test_a_head_has_no_tokens_of_its_own() -> None:
    model = loaded("gpt2")
    assert no_lens(model, "mlp") is None
    assert "depends on the words" in str(no_lens(model, "head"))
    with pytest.raises(InputError, match="Choose the site"):
        lens(model, Neuron("head", 0, 0))


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_cutting_a_neuron_alone_is_what_zeroing_its_column_does(family: str) -> None:
    model, neuron = loaded(family), Neuron("mlp", 1, 7)
    before = measure(model, ITEMS)
    edited = copy.deepcopy(model.model)
    with torch.no_grad():
        if family == "gpt2":
            edited.transformer.h[1].mlp.c_proj.weight[7, :] = 0
        else:
            edited.model.layers[1].mlp.down_proj.weight[:, 7] = 0
    after = measure(loaded(family, edited), ITEMS)
    found = ablate(model, ITEMS, neuron, before)
    assert found.sentences == 3
    assert found.concept.value == pytest.approx(after.nll("concept").value - before.nll("concept").value, abs=1e-5)
    assert found.retain.value == pytest.approx(after.nll("retain").value - before.nll("retain").value, abs=1e-5)
    change = (after.sentences["retain_nats"] - before.sentences["retain_nats"]).to_numpy()
    tokens = before.sentences["retain_tokens"].to_numpy()
    spread = change - change.sum() / tokens.sum() * tokens
    assert found.retain.stderr == pytest.approx(np.sqrt(3 / 2 * (spread**2).sum()) / tokens.sum(), rel=1e-3)
