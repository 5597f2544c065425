"""Batches that do not fit in memory are made smaller, and the result is that of the pass that fits."""

import gc

import numpy as np
import pytest
import torch

from tests.tiny_input import ITEMS, tiny_input
from unlearning_core.activations.collect import collect
from unlearning_core.errors import WorkFailed
from unlearning_core.models.fitting import where_it_fits
from unlearning_core.rankers.ranking import rank


def short_of_memory(model, most):
    """Let the model run out of memory at more than `most` padded tokens; the sizes of the batches that it was given."""
    sizes = []

    def look(module, args, kwargs):
        sizes.append(kwargs["input_ids"].numel())
        if sizes[-1] > most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")

    model.base_model.register_forward_pre_hook(look, with_kwargs=True)
    return sizes


def test_gradients_go_on_in_smaller_batches():
    of = tiny_input("llama")
    expected = rank(of, "taylor")
    sizes = short_of_memory(of.loaded.model, 40)
    found = rank(of, "taylor")
    assert max(sizes) > 40
    assert sizes[-1] <= 40
    assert found[["layer", "index"]].to_numpy().tolist() == expected[["layer", "index"]].to_numpy().tolist()


def test_the_streaming_pass_goes_on_in_smaller_batches():
    of = tiny_input("llama")
    expected = collect(of.loaded, ITEMS)
    sizes = short_of_memory(of.loaded.model, 40)
    found = collect(of.loaded, ITEMS)
    assert max(sizes) > 40
    assert sizes[-1] <= 40
    assert found.tokens == expected.tokens
    np.testing.assert_allclose(found.statistics.sum, expected.statistics.sum, rtol=1e-4, atol=1e-4)


def test_where_nothing_fits_it_says_so_and_other_errors_pass(caplog):
    def never(budget):
        raise torch.OutOfMemoryError("CUDA out of memory.")

    def wrong(budget):
        raise RuntimeError("a shape is wrong")

    with pytest.raises(WorkFailed, match="one text at a time"):
        where_it_fits(never, 4)
    assert [record.getMessage() for record in caplog.records] == [
        "Memory ran out at 4 tokens side by side; going on with 1"
    ]
    with pytest.raises(RuntimeError, match="a shape is wrong"):
        where_it_fits(wrong, 512)


def test_what_fits_at_once_clears_nothing_and_what_does_not_clears_before_each_further_attempt(monkeypatch):
    cleared = []
    monkeypatch.setattr(gc, "collect", lambda: cleared.append(None))

    def narrow(budget):
        if budget > 128:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return budget

    assert (where_it_fits(narrow, 128), len(cleared)) == (128, 0)
    assert where_it_fits(narrow, 512) == 128
    assert len(cleared) >= 2
