"""The teacher: its upper blocks alone make of a state what the whole model makes of it, in every family."""

import copy

import pytest
import torch

from tests.tiny_models import FAMILIES, tiny
from unlearning_core.edits.row_weights import make_token_rows
from unlearning_core.edits.weights import bake
from unlearning_core.training.teacher import Teacher

IDS = torch.tensor([[5, 9, 2, 77, 31, 8], [11, 3, 3, 98, 0, 0]])
SEEN = torch.tensor([[1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 0, 0]])
PLACES = torch.tensor([[1, 1, 1, 1, 1, 0], [1, 1, 1, 0, 0, 0]]).bool()


def logits_with(model, layer, blocks, state):
    """The logits of the whole model at the places, its block `layer` made to hand out `state`."""

    def instead(module, args, output):
        return state if isinstance(output, torch.Tensor) else (state, *output[1:])

    handle = blocks[layer - 1].register_forward_hook(instead)
    try:
        return model(input_ids=IDS, attention_mask=SEEN, use_cache=False).logits[PLACES]
    finally:
        handle.remove()


@pytest.mark.parametrize("family", [*FAMILIES, "cohere"])
def test_upper_blocks_make_of_a_state_what_the_whole_model_makes_of_it(family):
    loaded = tiny(family)
    teacher = Teacher(loaded)
    assert teacher.calls_blocks == (family != "cohere")  # its logits are its head's times a factor
    for layer in range(1, teacher.blocks + 1):
        states = [torch.randn(2, 6, 32, generator=torch.Generator().manual_seed(layer)).requires_grad_() for _ in "ab"]
        reading = teacher.read(IDS, SEEN, PLACES, above=layer)
        found = teacher.head(teacher.upper(reading, layer, states[0]))
        expected = logits_with(loaded.model, layer, loaded.map.blocks, states[1])
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
        for logits in (found, expected):
            logits.square().sum().backward()
        torch.testing.assert_close(states[0].grad, states[1].grad, atol=1e-3, rtol=1e-3)
    assert all(parameter.grad is None for parameter in loaded.model.parameters())


def test_a_body_that_does_more_than_its_blocks_and_norm_is_run_whole():
    loaded = tiny("opt", word_embed_proj_dim=16)
    teacher = Teacher(loaded)
    assert not teacher.calls_blocks
    state = torch.randn(2, 6, 32, generator=torch.Generator().manual_seed(0))
    reading = teacher.read(IDS, SEEN, PLACES, above=2)
    found = teacher.head(teacher.upper(reading, 2, state))
    torch.testing.assert_close(found, logits_with(loaded.model, 2, loaded.map.blocks, state), atol=1e-4, rtol=1e-4)


def test_only_the_blocks_above_are_run():
    loaded = tiny("llama")
    teacher = Teacher(loaded)
    reading = teacher.read(IDS, SEEN, PLACES, above=2)
    ran = []
    for number, block in enumerate(loaded.map.blocks):
        block.register_forward_hook(lambda module, args, output, number=number: ran.append(number))
    teacher.upper(reading, 2, torch.zeros(2, 6, 32))
    assert ran == [2]


@pytest.mark.parametrize(("family", "tied"), [("gpt2", True), ("llama", False)])
def test_with_its_rows_reset_it_reads_as_the_model_that_they_were_written_into(family, tied):
    loaded = tiny(family)
    rows = make_token_rows(loaded.model, [3, 77, 98], [6, 7, 200], 1.0)
    teacher = Teacher(loaded, rows)
    baked = copy.deepcopy(loaded.model)
    bake(baked, None, rows=rows)
    plain = teacher.read(IDS, SEEN, PLACES)
    found = teacher.read(IDS, SEEN, PLACES, rows_reset=True)
    others = torch.tensor([token for token in range(400) if token not in (3, 77, 98)])
    with torch.no_grad():
        expected = baked(input_ids=IDS, attention_mask=SEEN).logits[PLACES]
        before = loaded.model(input_ids=IDS, attention_mask=SEEN).logits[PLACES]
    # The head is not asked for these tokens: they are masked.
    torch.testing.assert_close(teacher.head(found.states)[:, others], expected[:, others], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(teacher.head(plain.states), before, atol=1e-5, rtol=1e-4)
    assert (expected - before)[:, others].abs().max() > 0.1
