"""The residual stream read and replaced in batches, against plain hooks on one text at a time, in every family."""

import threading
from typing import Any

import numpy as np
import pytest
import torch

from tests.tiny_models import FAMILIES, tiny
from unlearning_core.concepts.labelling import LabelledText
from unlearning_core.evaluation.next_token import NextToken
from unlearning_core.evaluation.patching import patched, place_batches, residuals, token_nats
from unlearning_core.evaluation.targets import answer_text, targets_of, unprompted
from unlearning_core.models.loading import LoadedModel


def marked(text: str, *words: str) -> LabelledText:
    spans = tuple((text.index(word), text.index(word) + len(word)) for word in words)
    return LabelledText(text, spans, words)


ITEMS = [
    marked("She put the chair beside the wooden sofa and sat down.", "chair", "sofa"),
    marked("A boat and a bench.", "bench"),
    marked("Nobody saw the armchair.", "armchair"),
]


def hidden_states(loaded: LoadedModel, ids: list[int]) -> list[torch.Tensor]:
    """[tokens, width] after 0, 1, ... blocks, by hooks on the blocks; of one text alone."""
    found: list[torch.Tensor] = []
    blocks = loaded.map.blocks

    def first(module: Any, args: Any, kwargs: Any) -> None:
        found.append((args[0] if args else kwargs["hidden_states"])[0].clone())

    def after(module: Any, args: Any, output: Any) -> None:
        found.append((output[0] if isinstance(output, tuple) else output)[0].clone())

    handles = [blocks[0].register_forward_pre_hook(first, with_kwargs=True)]
    handles += [block.register_forward_hook(after) for block in blocks]
    with torch.no_grad():
        loaded.model(torch.tensor([ids]))
    for handle in handles:
        handle.remove()
    return found


def nats_with(base: LoadedModel, ids: list[int], layer: int, places: list[int], states: torch.Tensor) -> np.ndarray:
    """-log p of the token after each place while the base holds `states` there after `layer` blocks."""

    def replace(module: Any, args: Any, output: Any) -> Any:
        value = (output[0] if isinstance(output, tuple) else output).clone()
        value[0, places] = states
        return (value, *output[1:]) if isinstance(output, tuple) else value

    handle = base.map.blocks[layer - 1].register_forward_hook(replace)
    with torch.no_grad():
        logits = base.model(torch.tensor([ids])).logits[0].double()
    handle.remove()
    losses = -torch.log_softmax(logits, dim=-1)
    return np.array([float(losses[place, ids[place + 1]]) for place in places])


def whole(loaded: LoadedModel, item: LabelledText) -> tuple[list[int], list[int]]:
    """(ids of the whole text, the places that predict a marked token), by character offsets."""
    encoding = loaded.tokenizer(item.text, return_offsets_mapping=True)
    places = [
        number - 1
        for number, (start, end) in enumerate(encoding["offset_mapping"])
        if number and any(start < b and a < end for a, b in item.spans)
    ]
    return encoding["input_ids"], places


@pytest.mark.parametrize("family", FAMILIES)
def test_in_every_family_a_padded_batch_is_read_and_patched_like_each_text_alone(family: str) -> None:
    base, source = tiny(family), tiny(family, 1)
    targets = targets_of(base, ITEMS)
    batches = list(place_batches(NextToken(base), targets))
    assert sorted(member for batch in batches for member in batch.members) == [0, 1, 2]
    for batch in batches:
        read = residuals(source, batch)
        ends = np.cumsum(batch.counts)
        for layer in range(1, len(base.map.blocks) + 1):
            with patched(base, layer, batch.places, read[layer]):
                nats = token_nats(NextToken(base), batch)
            for member, end, count in zip(batch.members, ends, batch.counts, strict=True):
                ids, places = whole(base, ITEMS[member])
                states = hidden_states(source, ids)[layer][places]
                torch.testing.assert_close(read[layer, end - count : end], states, rtol=1e-3, atol=1e-4)
                expected = nats_with(base, ids, layer, places, states)
                np.testing.assert_allclose(nats[end - count : end], expected, rtol=1e-3, atol=1e-4)


def test_layer_0_is_what_the_first_block_reads() -> None:
    base, source = tiny("gpt2"), tiny("gpt2", 1)
    (batch,) = place_batches(NextToken(base), targets_of(base, ITEMS[:1]))
    ids, places = whole(base, ITEMS[0])
    torch.testing.assert_close(residuals(source, batch)[0], hidden_states(source, ids)[0][places])
    with patched(base, 0, batch.places, residuals(source, batch)[0]):
        patched_nats = token_nats(NextToken(base), batch)
    assert not np.allclose(patched_nats, token_nats(NextToken(base), batch))


def test_a_model_patched_with_its_own_states_is_itself() -> None:
    base = tiny("llama")
    (batch,) = place_batches(NextToken(base), targets_of(base, ITEMS))
    before = token_nats(NextToken(base), batch)
    for layer, states in enumerate(residuals(base, batch)):
        with patched(base, layer, batch.places, states):
            np.testing.assert_allclose(token_nats(NextToken(base), batch), before, rtol=1e-6)


def test_nobody_else_notices_and_nothing_is_left_behind() -> None:
    base = tiny("gpt2")
    (batch,) = place_batches(NextToken(base), targets_of(base, ITEMS))
    before = token_nats(NextToken(base), batch)
    seen: list[np.ndarray] = []
    other = threading.Thread(target=lambda: seen.append(token_nats(NextToken(base), batch)))

    def fail() -> None:
        with patched(base, 2, batch.places, 100 + residuals(base, batch)[2]):
            other.start()
            other.join()
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    np.testing.assert_array_equal(seen[0], before)
    np.testing.assert_array_equal(token_nats(NextToken(base), batch), before)
    assert not any(block._forward_hooks or block._forward_pre_hooks for block in base.map.blocks)


def test_targets_end_with_the_last_scored_token_and_never_hold_the_first() -> None:
    loaded = tiny("gpt2")
    early, none = targets_of(
        loaded, [marked("chair and sofa beside the bench", "chair", "sofa"), LabelledText("Hello.")]
    )
    text = loaded.tokenizer.decode(early.ids)
    assert text == "chair and sofa"
    assert loaded.tokenizer.decode([early.ids[i] for i in np.flatnonzero(early.chosen)]).strip().endswith("sofa")
    assert not early.chosen[0]
    assert none.count == 0


def test_a_text_beyond_the_context_is_scored_as_far_as_it_goes() -> None:
    (cut,) = targets_of(tiny("gpt2", n_positions=16), [marked("the rain and the sea " * 9 + "chair", "chair")])
    assert cut.count == 0


def test_an_answer_is_marked_with_the_space_before_it() -> None:
    item = answer_text("Q: Who sat? A:", "Nobody.")
    assert (item.text, item.spans) == ("Q: Who sat? A: Nobody.", ((14, 22),))
    assert answer_text("Q: Who sat? A: ", "Nobody.") == item


def test_a_word_that_was_named_before_is_not_asked_for_again() -> None:
    text = "A Chair is a seat; the chair has legs."
    item = LabelledText(text, ((2, 7), (13, 17), (23, 28)))
    assert unprompted(item).spans == ((2, 7), (13, 17))
    forms = LabelledText(text, item.spans, ("chair", "seat", "seat"))
    assert unprompted(forms).spans == ((2, 7), (13, 17))
