"""An attacker's fine-tuning against a plain torch loop; what it must leave as it was."""

import copy
from typing import Any

import numpy as np
import pytest
import torch
from tiny_models import tiny
from torch import nn

from unlearning_core.edits.mask import Mask
from unlearning_core.edits.weights import bake, survivors
from unlearning_core.evaluation import finetuning
from unlearning_core.evaluation.finetuning import LONGEST, Learner, draw_batches

TEXTS = (
    "She put the chair beside the table.",
    "A bench.",
    "He reached for the chairs near the window, then the sofa and the armchair.",
    "The dog barks at 7 in the morning.",
    "Nobody saw it.",
)
RATE = 3e-3


def mask_of(loaded: Any, cut: int = 10) -> Mask:
    layers, width = loaded.map.shapes["mlp"]
    kept = np.ones((layers, width), bool)
    kept[:, :cut] = False
    return Mask({"mlp": kept})


def by_hand(model: Any, texts: list[list[int]], batches: list[list[int]]) -> Any:
    """The plain loop: every text by itself, the loss the mean over all predicted tokens of the batch."""
    trained = copy.deepcopy(model)
    optimizer = torch.optim.AdamW(trained.parameters(), lr=RATE, weight_decay=0.0)
    for batch in batches:
        losses = []
        for index in batch:
            ids = torch.tensor(texts[index])[None]
            logits = trained(input_ids=ids).logits[0, :-1]
            losses.append(nn.functional.cross_entropy(logits, ids[0, 1:], reduction="none"))
        optimizer.zero_grad()
        torch.cat(losses).mean().backward()
        optimizer.step()
    return trained


@pytest.mark.parametrize("family", ["gpt2", "llama", "gemma2", "mixtral"])
def test_three_steps_are_those_of_a_plain_loop(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finetuning, "POSITIONS", 24)  # a batch is run in parts
    loaded = tiny(family)
    learner = Learner(loaded)
    texts, batches = learner.tokens(TEXTS), [[0, 1, 2], [3, 4, 0], [2, 2, 1]]
    expected = by_hand(loaded.model, texts, batches)
    assert list(learner.steps(texts, batches, RATE, keep_cut=False)) == [1, 2, 3]
    # Not the weights: a key's bias has no effect in gpt2, so its gradient is rounding noise that Adam blows up.
    probe = torch.arange(40)[None]
    with torch.no_grad():
        before, own, theirs = (one(probe).logits for one in (loaded.model, learner.loaded.model, expected))
    assert torch.allclose(own, theirs, atol=1e-3)
    assert float((theirs - before).abs().max()) > 0.1


def test_the_model_given_stays_as_it_was_and_a_restart_is_a_fresh_start() -> None:
    loaded = tiny("gpt2")
    before = copy.deepcopy(loaded.model.state_dict())
    learner = Learner(loaded)
    texts = learner.tokens(TEXTS)
    ends = []
    for _ in range(2):
        learner.restart()
        for _ in learner.steps(texts, [[0, 1], [2, 3]], RATE, keep_cut=False):
            pass
        ends.append(copy.deepcopy(learner.loaded.model.state_dict()))
    assert all(torch.equal(value, before[name]) for name, value in loaded.model.state_dict().items())
    assert all(torch.equal(value, ends[1][name]) for name, value in ends[0].items())
    assert not loaded.model.training
    assert not learner.loaded.model.training


def test_a_mask_that_is_kept_keeps_its_neurons_cut_and_a_released_one_lets_them_grow() -> None:
    loaded = tiny("gpt2")
    mask = mask_of(loaded)
    bake(loaded.model, mask, loaded.map)
    learner = Learner(loaded, mask)
    texts = learner.tokens(TEXTS)
    for keep_cut in (True, False):
        learner.restart()
        for _ in learner.steps(texts, [[0, 1, 2]] * 3, RATE, keep_cut=keep_cut):
            assert len(survivors(learner.loaded.model, mask)) == (0 if keep_cut else mask.cut)


def test_a_model_in_bfloat16_is_trained_in_float32() -> None:
    loaded = tiny("llama")
    loaded.model.bfloat16()
    learner = Learner(loaded)
    assert {weight.dtype for weight in learner.loaded.model.parameters()} == {torch.float32}
    learner.restart()
    assert {weight.dtype for weight in loaded.model.parameters()} == {torch.bfloat16}


def test_long_texts_are_cut_and_those_without_a_prediction_left_out() -> None:
    learner = Learner(tiny("gpt2"))
    found = learner.tokens(["a", "the chair " * 200, ""])
    assert [len(ids) for ids in found] == [LONGEST]


def test_every_contender_gets_the_same_batches_pass_after_pass() -> None:
    batches = draw_batches(5, 4, 10, seed=3)
    assert batches == draw_batches(5, 4, 10, seed=3)
    assert batches != draw_batches(5, 4, 10, seed=4)
    assert [len(batch) for batch in batches] == [4] * 10
    flat = [index for batch in batches for index in batch]
    assert all(sorted(flat[start : start + 5]) == [0, 1, 2, 3, 4] for start in range(0, 40, 5))
