"""Generation: each sample on its own, the same whatever is beside it; checked against a loop without a cache."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch

from tests.tiny_models import FAMILIES, tiny
from unlearning_core.edits.mask import Mask
from unlearning_core.edits.weights import bake
from unlearning_core.errors import InputError, Stopped, WorkFailed
from unlearning_core.evaluation.generation import generate, sample_seed
from unlearning_core.evaluation.sampling import draw
from unlearning_core.models.loading import LoadedModel
from unlearning_core.progress import Progress

PROMPTS = ["The chair", "She put the wooden table beside the window and", "It's a café, isn't"]


def by_hand(loaded: LoadedModel, prompt: str, new: int, uniforms: np.ndarray | None, temperature: float) -> str:
    """One prompt alone: the whole text through the model for every token, softmax and choice in numpy."""
    ids = loaded.tokenizer(prompt)["input_ids"]
    start = len(ids)
    for step in range(new):
        with torch.no_grad():
            logits = loaded.model(torch.tensor([ids])).logits[0, -1].double().numpy()
        if uniforms is None:
            token = int(logits.argmax())
        else:
            weights = np.exp((logits - logits.max()) / temperature)
            token = int(np.searchsorted(np.cumsum(weights / weights.sum()), uniforms[step], side="right"))
        if token == 0:
            break
        ids = [*ids, token]
    return loaded.tokenizer.decode(ids[start:])


@pytest.mark.parametrize("family", FAMILIES)
def test_greedy_text_in_a_padded_batch_is_the_arg_max_of_each_prompt_alone(family: str) -> None:
    loaded = tiny(family)
    found = generate(loaded, PROMPTS, temperature=0.0, samples=5, max_new_tokens=8)
    assert [text.text for text in found] == [by_hand(loaded, prompt, 8, None, 1.0) for prompt in PROMPTS]
    assert [(text.prompt, text.sample, text.seed) for text in found] == [(prompt, 0, None) for prompt in PROMPTS]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_sample_is_drawn_from_its_own_random_numbers_whatever_is_beside_it(family: str) -> None:
    loaded = tiny(family)
    found = generate(loaded, PROMPTS, samples=2, temperature=0.7, max_new_tokens=8, seed=3)
    for text in found:
        assert text.seed == sample_seed(3, text.prompt, text.sample)
        uniforms = np.random.default_rng(text.seed).random(8)
        assert text.text == by_hand(loaded, text.prompt, 8, uniforms, 0.7)


def test_batches_subsets_and_order_do_not_change_a_sample() -> None:
    loaded = tiny("gpt2")
    all_at_once = generate(loaded, PROMPTS, samples=4, top_p=0.9, seed=1)
    assert generate(loaded, PROMPTS, samples=4, top_p=0.9, seed=1, batch_size=1) == all_at_once
    assert generate(loaded, PROMPTS[2:], samples=2, top_p=0.9, seed=1) == all_at_once[8:10]
    assert generate(loaded, PROMPTS, samples=4, top_p=0.9, seed=2) != all_at_once
    assert len({text.text for text in all_at_once[:4]}) == 4


def test_a_longer_limit_goes_on_from_the_same_text() -> None:
    loaded = tiny("llama")
    short = generate(loaded, PROMPTS, max_new_tokens=6, seed=5)
    long = generate(loaded, PROMPTS, max_new_tokens=12, seed=5)
    assert all(more.text.startswith(less.text.rstrip("\ufffd")) for less, more in zip(short, long, strict=True))


def test_draws_follow_the_softmax() -> None:
    logits = torch.randn(1, 300, generator=torch.Generator().manual_seed(0)) * 2
    number = 20_000
    uniforms = (np.arange(number) + 0.5) / number
    drawn = draw(logits.expand(number, -1), uniforms, 0.7, 1.0).numpy()
    weights = np.exp(logits[0].double().numpy() / 0.7)
    np.testing.assert_allclose(np.bincount(drawn, minlength=300) / number, weights / weights.sum(), atol=1.5 / number)


@pytest.mark.parametrize("top_p", [0.05, 0.5, 0.9])
def test_the_nucleus_is_the_fewest_tokens_that_reach_top_p(top_p: float) -> None:
    logits = torch.randn(1, 300, generator=torch.Generator().manual_seed(1)) * 2
    weights = np.exp(logits[0].double().numpy())
    probabilities = weights / weights.sum()
    order = np.argsort(-probabilities)
    size = int(np.searchsorted(np.cumsum(probabilities[order]), top_p)) + 1
    number = 20_000
    uniforms = (np.arange(number) + 0.5) / number
    drawn = draw(logits.expand(number, -1), uniforms, 1.0, top_p).numpy()
    expected = np.zeros(300)
    expected[order[:size]] = probabilities[order[:size]] / probabilities[order[:size]].sum()
    np.testing.assert_allclose(np.bincount(drawn, minlength=300) / number, expected, atol=1.5 / number)


def test_the_ends_of_the_unit_interval_draw_tokens_that_have_a_probability() -> None:
    logits = torch.full((2, 10), -torch.inf)
    logits[:, 3:6] = 0.0
    drawn = draw(logits, np.array([0.0, np.nextafter(1.0, 0.0)]), 1.0, 1.0)
    assert drawn.tolist() == [3, 5]


def test_end_of_text_ends_a_text_and_is_not_part_of_it() -> None:
    loaded = tiny("gpt2")
    (free,) = generate(loaded, PROMPTS[:1], temperature=0.0, max_new_tokens=12)
    ids = loaded.tokenizer(PROMPTS[0])["input_ids"]
    with torch.no_grad():
        written = loaded.model.generate(torch.tensor([ids]), max_new_tokens=12, do_sample=False, pad_token_id=0)
    new = written[0, len(ids) :].tolist()
    end = new[4]
    loaded.model.generation_config.eos_token_id = [0, end]
    (ended,) = generate(loaded, PROMPTS[:1], temperature=0.0, max_new_tokens=12)
    assert ended.text == loaded.tokenizer.decode(new[: new.index(end)])
    assert free.text.startswith(ended.text)


def test_a_models_own_generation_rules_are_not_followed() -> None:
    loaded = tiny("llama")
    plain = generate(loaded, PROMPTS, seed=2)
    loaded.model.generation_config.update(
        repetition_penalty=3.0,
        no_repeat_ngram_size=1,
        do_sample=True,
        temperature=0.1,
        top_k=2,
        min_new_tokens=9,
        suppress_tokens=list(range(5, 300)),
        max_length=5,
    )
    assert generate(loaded, PROMPTS, seed=2) == plain


@pytest.mark.parametrize("family", ["gpt2", "gpt_neo", "llama"])
def test_the_context_is_never_exceeded_and_short_prompts_keep_their_length(family: str) -> None:
    loaded = tiny(family)
    long = loaded.tokenizer.decode(loaded.tokenizer("The cat sleeps on a bench. " * 30)["input_ids"][:120])
    tokens = len(loaded.tokenizer(long)["input_ids"])
    found = generate(loaded, [PROMPTS[0], long], temperature=0.0, max_new_tokens=60)
    assert found[1].text == by_hand(loaded, long, 128 - tokens, None, 1.0)
    assert found[0].text == by_hand(loaded, PROMPTS[0], 60, None, 1.0)


def test_a_prompt_that_fills_the_context_is_refused() -> None:
    with pytest.raises(InputError, match=r"prompt 2 is \d+ tokens long, but the model reads 128"):
        generate(tiny("gpt2"), ["A", "The cat sleeps on a bench. " * 40])


def test_listeners_hear_every_text_grow_to_its_end() -> None:
    loaded = tiny("gpt2")
    heard: dict[tuple[int, int], list[str]] = {}
    reports: list[Progress] = []
    found = generate(
        loaded,
        PROMPTS,
        samples=2,
        max_new_tokens=10,
        on_text=lambda prompt, sample, text: heard.setdefault((prompt, sample), []).append(text),
        progress=reports.append,
    )
    for number, text in enumerate(found):
        grown = heard[divmod(number, 2)]
        assert grown[-1] == text.text.rstrip("\ufffd")
        assert all(len(a) <= len(b) for a, b in pairwise(grown))
        assert len(grown) > 3
    assert reports[-1].done == reports[-1].total == 60
    assert [report.done for report in reports] == sorted(report.done for report in reports)


def test_stop_is_heard_between_tokens_and_the_mask_is_gone() -> None:
    loaded = tiny("llama")
    before = generate(loaded, PROMPTS, seed=4)
    mask = Mask.from_neurons(loaded.map.shapes, [("mlp", layer, index) for layer in range(3) for index in range(24)])

    def stop(progress: Progress) -> None:
        if progress.done >= 6:
            raise Stopped("stopped")

    with pytest.raises(Stopped):
        generate(loaded, PROMPTS, mask=mask, seed=4, progress=stop)
    assert generate(loaded, PROMPTS, seed=4) == before


def test_under_a_mask_the_text_is_that_of_the_model_with_the_neurons_cut_in_its_weights() -> None:
    loaded, other = tiny("gpt2"), tiny("gpt2")
    mask = Mask.from_neurons(loaded.map.shapes, [("mlp", layer, index) for layer in range(3) for index in range(24)])
    masked = generate(loaded, PROMPTS, mask=mask, seed=4)
    bake(other.model, mask)
    assert masked == generate(other, PROMPTS, seed=4)
    assert masked != generate(loaded, PROMPTS, seed=4)


def test_nan_in_the_output_fails_with_a_sentence() -> None:
    loaded = tiny("gpt2")
    with torch.no_grad():
        loaded.model.transformer.ln_f.weight.fill_(torch.nan)
    with pytest.raises(WorkFailed, match="not a number"):
        generate(loaded, PROMPTS)


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"prompts": []}, "test_prompts is empty"),
        ({"prompts": ["A chair", "  "]}, "prompt 2 is empty"),
        ({"temperature": -1.0}, "temperature is -1.0"),
        ({"temperature": float("nan")}, "temperature is nan"),
        ({"top_p": 0.0}, "top_p is 0.0"),
        ({"samples": 0}, "samples is 0"),
        ({"max_new_tokens": 0}, "max_new_tokens is 0"),
    ],
)
def test_bad_settings_are_named(settings: dict[str, Any], match: str) -> None:
    arguments = {"prompts": PROMPTS, **settings}
    with pytest.raises(InputError, match=match):
        generate(tiny("gpt2"), **arguments)
