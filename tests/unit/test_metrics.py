"""Likelihood and accuracy at concept and retain tokens, against plain numpy over the model's own logits."""

import numpy as np
import pandas as pd
import pytest
import torch

from tests.losses_by_hand import losses_by_hand
from tests.tiny_models import FAMILIES, tiny
from unlearning_core.concepts.labelling import LabelledText
from unlearning_core.edits.mask import Mask
from unlearning_core.edits.weights import bake
from unlearning_core.errors import InputError, Stopped, WorkFailed
from unlearning_core.evaluation import next_token
from unlearning_core.evaluation.likelihood import measure
from unlearning_core.evaluation.measurement import Measurement, nll_delta
from unlearning_core.progress import Progress


def _item(text: str, *words: str) -> LabelledText:
    starts = [text.index(word) for word in words]
    return LabelledText(text, tuple((s, s + len(w)) for s, w in zip(starts, words, strict=True)), words)


ITEMS = [
    _item("She put the chair beside the sofa.", "chair", "sofa"),
    LabelledText("The cat sleeps."),
    _item("A naïve traveller sat down on a bench near the river before the rain.", "bench"),
    LabelledText("It's a café, isn't it? Nobody saw it."),
    _item("chair", "chair"),
    _item("Chairs: an armchair and another armchair", "armchair"),
]


@pytest.mark.parametrize("family", FAMILIES)
def test_every_sentence_scores_as_by_hand_although_batched_and_padded(family: str) -> None:
    loaded = tiny(family)
    expected = losses_by_hand(loaded, ITEMS)
    found = measure(loaded, ITEMS)
    for kind in ("concept", "retain"):
        sums = found.sentences[[f"{kind}_tokens", f"{kind}_nats", f"{kind}_hits"]]
        np.testing.assert_allclose(sums, expected[kind], rtol=2e-5, atol=2e-5, err_msg=kind)
        tokens, nats, hits = expected[kind].sum(axis=0)
        assert found.nll(kind).value == pytest.approx(nats / tokens, rel=1e-5)
        assert found.accuracy(kind).value == hits / tokens


@pytest.mark.parametrize("budget", [1, 20, 64])
def test_batches_of_any_size_give_the_same_numbers(budget: int) -> None:
    loaded = tiny("llama")
    whole, cut = measure(loaded, ITEMS), measure(loaded, ITEMS, token_budget=budget)
    assert cut.nll("concept").value == pytest.approx(whole.nll("concept").value, rel=1e-6)
    assert cut.nll("retain").stderr == pytest.approx(whole.nll("retain").stderr, rel=1e-5)
    pd.testing.assert_series_equal(cut.sentences.text, whole.sentences.text)


def test_the_head_runs_in_slices_and_only_where_a_token_is_predicted(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = tiny("gpt2")
    whole = measure(loaded, ITEMS)  # and the check of the head, which is made once a model
    monkeypatch.setattr(next_token, "SLICE_ELEMENTS", 400 * 7)
    rows: list[int] = []
    hook = loaded.model.lm_head.register_forward_hook(lambda _module, _inputs, out: rows.append(out.shape[:-1].numel()))
    sliced = measure(loaded, ITEMS)
    hook.remove()
    assert max(rows) <= 7
    assert sum(rows) == sliced.tokens("concept") + sliced.tokens("retain")
    assert sliced.nll("concept").value == pytest.approx(whole.nll("concept").value, rel=1e-6)


def test_a_family_that_scales_its_logits_is_scored_through_its_own_forward() -> None:
    loaded = tiny("cohere", logit_scale=0.25)
    expected = losses_by_hand(loaded, ITEMS)["retain"][:, 1]
    np.testing.assert_allclose(measure(loaded, ITEMS).sentences.retain_nats, expected, rtol=2e-5)


def test_half_precision_logits_are_normalised_in_float32() -> None:
    logits = (torch.randn(5, 50_000, generator=torch.Generator().manual_seed(0)) * 4).bfloat16()
    targets = torch.arange(5)
    nats, _ = next_token.score_logits(logits, targets)
    exact = logits.double().numpy()
    expected = np.log(np.exp(exact).sum(axis=1)) - exact[np.arange(5), targets]
    np.testing.assert_allclose(nats, expected, rtol=1e-5)


def test_under_a_mask_the_numbers_are_those_of_the_model_with_the_neurons_cut_in_its_weights() -> None:
    loaded, other = tiny("llama"), tiny("llama")
    before = measure(loaded, ITEMS)
    mask = Mask.from_neurons(
        loaded.map.shapes, [("mlp", layer, index) for layer in range(3) for index in range(0, 40, 3)]
    )
    masked = measure(loaded, ITEMS, mask=mask)
    bake(other.model, mask)
    baked = measure(other, ITEMS)
    assert masked.nll("concept").value == pytest.approx(baked.nll("concept").value, rel=1e-5)
    assert abs(masked.nll("concept").value - before.nll("concept").value) > 1e-3
    pd.testing.assert_frame_equal(measure(loaded, ITEMS).sentences, before.sentences)


def test_the_delta_is_paired_by_sentence() -> None:
    random = np.random.default_rng(0)
    counts = random.integers(1, 9, 400)
    base_nats = counts * random.gamma(9.0, 0.5, 400)
    after_nats = base_nats + counts * random.normal(0.3, 0.1, 400)
    base, after = (_measured(counts, nats) for nats in (base_nats, after_nats))
    delta = nll_delta(base, after, "concept")
    assert delta.value == pytest.approx(after.nll("concept").value - base.nll("concept").value)
    picks = np.random.default_rng(1).integers(0, 400, (4000, 400))
    resampled = (after_nats - base_nats)[picks].sum(axis=1) / counts[picks].sum(axis=1)
    assert delta.stderr == pytest.approx(resampled.std(ddof=1), rel=0.08)
    assert delta.stderr < 0.2 * np.hypot(base.nll("concept").stderr, after.nll("concept").stderr)


def _measured(counts: np.ndarray, nats: np.ndarray) -> Measurement:
    columns = {f"{kind}_{name}": counts for kind in ("concept", "retain") for name in ("tokens", "hits")}
    texts = [f"sentence {number}" for number in range(len(counts))]
    return Measurement(pd.DataFrame({"text": texts, **columns, "concept_nats": nats, "retain_nats": nats}))


def test_stages_measured_on_different_sentences_are_not_compared() -> None:
    loaded = tiny("gpt2")
    with pytest.raises(InputError, match="different held-out sentences"):
        nll_delta(measure(loaded, ITEMS), measure(loaded, ITEMS[:-1]), "retain")


@pytest.mark.parametrize("kept", [[1, 3], [4]])
def test_text_without_a_measurable_concept_token_is_refused(kept: list[int]) -> None:
    with pytest.raises(InputError, match="no token of the concept"):
        measure(tiny("gpt2"), [ITEMS[index] for index in kept])


def test_a_sentence_longer_than_the_context_is_cut_there() -> None:
    loaded = tiny("gpt2")
    long = LabelledText("The chair was there. " * 60, ((4, 9),))
    found = measure(loaded, [long, ITEMS[0]])
    assert found.sentences.loc[0, ["concept_tokens", "retain_tokens"]].sum() == 127


def test_nan_in_the_output_fails_with_a_sentence() -> None:
    loaded = tiny("gpt2")
    with torch.no_grad():
        loaded.model.transformer.h[1].mlp.c_proj.weight[3] = torch.nan
    with pytest.raises(WorkFailed, match="not a number"):
        measure(loaded, ITEMS)


def test_stop_is_heard_between_batches_and_the_model_is_left_as_it_was() -> None:
    loaded = tiny("opt")
    before = measure(loaded, ITEMS)
    heard: list[Progress] = []

    def stop(progress: Progress) -> None:
        heard.append(progress)
        raise Stopped("stopped")

    mask = Mask.from_neurons(loaded.map.shapes, [("mlp", 0, index) for index in range(20)])
    with pytest.raises(Stopped):
        measure(loaded, ITEMS, mask=mask, token_budget=1, progress=stop)
    assert [(report.done, report.total) for report in heard] == [(1, len(ITEMS))]
    pd.testing.assert_frame_equal(measure(loaded, ITEMS).sentences, before.sentences)
