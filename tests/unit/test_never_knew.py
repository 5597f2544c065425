"""Truth ratio, forget quality and divergence, against plain torch, numpy and scipy on whole logits."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import kstwo

from tests.tiny_models import tiny
from unlearning_core.errors import InputError, Stopped, WorkFailed
from unlearning_core.evaluation import next_token
from unlearning_core.evaluation.divergence import divergences, kl_of_logits
from unlearning_core.evaluation.never_knew import Distance, distance
from unlearning_core.evaluation.truth_ratio import TruthQuestion, answer_losses, truth_ratios
from unlearning_core.models.loading import LoadedModel
from unlearning_core.progress import Progress

TEXTS = [
    "She put the chair beside the sofa.",
    "The cat sleeps.",
    "A naïve traveller sat down on a bench near the river before the rain.",
    "It's a café, isn't it? Nobody saw it.",
    "x",
]


def question(prompt: str, paraphrase: str, *perturbed: str) -> TruthQuestion:
    return TruthQuestion(prompt, paraphrase, perturbed)


QUESTIONS = [
    question("Q: What is a chair? A:", "One sits on it.", "One rows in it.", "It barks.", "It is a river in the rain."),
    question("Q: What is a sofa? A: ", "A soft seat for two or three.", "A small dog."),
    question("Q: Who sat?", "Nobody, it's said.", "The old cat of the travellers sat there.", "A boat."),
]


def logits_of(loaded: LoadedModel, ids: list[int]) -> torch.Tensor:
    """Of one row alone, through the whole model."""
    with torch.no_grad():
        return loaded.model(torch.tensor([ids])).logits[0].double()


def loss_by_hand(loaded: LoadedModel, prompt: str, answer: str) -> float:
    """Question and answer tokenised apart (a byte-level BPE splits at the space), end of text included."""
    tokenizer = loaded.tokenizer
    asked = tokenizer(prompt.rstrip())["input_ids"]
    said = [*tokenizer(" " + answer)["input_ids"], tokenizer.eos_token_id]
    logits = logits_of(loaded, asked + said)[len(asked) - 1 : -1]
    return float(torch.nn.functional.cross_entropy(logits, torch.tensor(said)))


def ratio_by_hand(loaded: LoadedModel, asked: Any) -> float:
    """open-unlearning's truth_ratio without its 1e-10: wrong answers' mean loss, then probabilities."""
    right = np.exp(-loss_by_hand(loaded, asked.prompt, asked.paraphrase))
    wrong = np.exp(-np.mean([loss_by_hand(loaded, asked.prompt, answer) for answer in asked.perturbed]))
    return float(wrong / right)


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_the_truth_ratio_is_tofus(family: str) -> None:
    loaded = tiny(family)
    expected = [ratio_by_hand(loaded, asked) for asked in QUESTIONS]
    np.testing.assert_allclose(truth_ratios(loaded, QUESTIONS), expected, rtol=1e-5)
    np.testing.assert_allclose(truth_ratios(loaded, QUESTIONS, token_budget=1), expected, rtol=1e-5)


@pytest.mark.parametrize("end", [None, "<|endoftext|>"])
def test_the_end_of_text_is_the_answers_last_token_where_there_is_one(end: str | None) -> None:
    loaded = tiny("gpt2")
    loaded.tokenizer.eos_token = end
    said = [*loaded.tokenizer(" A small dog.")["input_ids"], *([] if end is None else [0])]
    asked = loaded.tokenizer("Who?")["input_ids"]
    logits = logits_of(loaded, asked + said)[len(asked) - 1 : -1]
    expected = float(torch.nn.functional.cross_entropy(logits, torch.tensor(said)))
    assert answer_losses(loaded, ["Who?"], ["A small dog."]) == pytest.approx([expected], rel=1e-5)


def test_a_question_that_cannot_be_scored_is_refused() -> None:
    loaded = tiny("gpt2")
    with pytest.raises(InputError, match="empty answer"):
        truth_ratios(loaded, [question("Who?", "A cat.", "  ")])
    with pytest.raises(InputError, match="reads at most 128"):
        truth_ratios(loaded, [question("Who? " * 80, "A cat.", "A dog.")])


def ks_by_hand(one: np.ndarray, other: np.ndarray) -> float:
    """The largest gap between the two empirical distribution functions."""
    places = np.concatenate([one, other])
    return float(max(abs((one <= place).mean() - (other <= place).mean()) for place in places))


def quality(ours: np.ndarray, theirs: np.ndarray) -> Any:
    questions = pd.DataFrame({"truth_ratio": ours, "never_knew_truth_ratio": theirs})
    return Distance(questions, pd.DataFrame()).forget_quality


def test_forget_quality_is_the_two_sample_kolmogorov_smirnov_test() -> None:
    random = np.random.default_rng(0)
    ours, theirs = random.gamma(2.0, 1.0, 120), random.gamma(2.0, 1.3, 120)
    found = quality(ours, theirs)
    statistic = ks_by_hand(ours, theirs)
    assert found.statistic == pytest.approx(statistic)
    # Large samples of n each: the one-sample distribution at n / 2.
    assert found.pvalue == pytest.approx(kstwo.sf(statistic, 60), rel=0.25)
    turned = quality(1 / ours, 1 / theirs)
    assert (turned.statistic, turned.pvalue) == pytest.approx((found.statistic, found.pvalue))
    assert quality(ours, ours).pvalue == 1
    assert quality(ours, theirs + 100).pvalue < 1e-60


def by_hand(reference: LoadedModel, loaded: LoadedModel, text: str) -> float:
    ids = loaded.tokenizer(text)["input_ids"]
    wanted, found = (torch.log_softmax(logits_of(model, ids)[:-1], dim=-1) for model in (reference, loaded))
    return float(torch.nn.functional.kl_div(found, wanted, reduction="sum", log_target=True))


@pytest.mark.parametrize(("reference", "family"), [("gpt2", "gpt2"), ("llama", "llama"), ("llama", "gemma2")])
@pytest.mark.parametrize("budget", [2048, 20])
def test_divergences_are_torchs_on_whole_logits(reference: str, family: str, budget: int) -> None:
    never_knew, loaded = tiny(reference, 1), tiny(family)
    found = divergences(never_knew, loaded, TEXTS, token_budget=budget)
    np.testing.assert_allclose(found.nats, [by_hand(never_knew, loaded, text) for text in TEXTS], rtol=2e-5, atol=2e-5)
    assert found.tokens.tolist() == [len(loaded.tokenizer(text)["input_ids"]) - 1 for text in TEXTS]
    assert found.text.tolist() == TEXTS


@pytest.mark.parametrize(("scaled", "plain"), [("cohere", "llama"), ("cohere", "cohere")])
def test_a_family_that_scales_its_logits_is_compared_by_its_own(
    scaled: str, plain: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(next_token, "SLICE_ELEMENTS", 400 * 5)
    one, other = tiny(scaled, 1, logit_scale=0.25), tiny(plain)
    for reference, loaded in ((one, other), (other, one)):
        found = divergences(reference, loaded, TEXTS)
        np.testing.assert_allclose(found.nats, [by_hand(reference, loaded, text) for text in TEXTS], rtol=5e-5)


def test_no_more_logits_are_held_at_once_than_a_slice(monkeypatch: pytest.MonkeyPatch) -> None:
    never_knew, loaded = tiny("gpt2", 1), tiny("gpt2")
    whole = divergences(never_knew, loaded, TEXTS)
    monkeypatch.setattr(next_token, "SLICE_ELEMENTS", 400 * 7)
    rows: list[int] = []
    hook = loaded.model.lm_head.register_forward_hook(lambda _module, _inputs, out: rows.append(out.shape[:-1].numel()))
    pd.testing.assert_frame_equal(divergences(never_knew, loaded, TEXTS), whole, rtol=1e-5)
    hook.remove()
    assert max(rows) <= 7


def test_the_reference_gives_the_weights() -> None:
    reference, other = torch.tensor([[0.0, 0.0]]), torch.tensor([[0.0, -40.0]])
    assert kl_of_logits(reference, other) == pytest.approx([0.5 * 40 - np.log(2)])
    assert kl_of_logits(other, reference) == pytest.approx([np.log(2)])


def test_half_precision_logits_are_normalised_in_float32() -> None:
    logits = (torch.randn(2, 3, 50_000, generator=torch.Generator().manual_seed(0)) * 4).bfloat16()
    wanted, found = torch.log_softmax(logits.double(), dim=-1)
    expected = torch.nn.functional.kl_div(found, wanted, reduction="none", log_target=True).sum(-1)
    np.testing.assert_allclose(kl_of_logits(*logits), expected, rtol=1e-4)


def test_a_text_longer_than_either_context_is_cut_there() -> None:
    found = divergences(tiny("gpt2", 1, n_positions=40), tiny("gpt2"), ["The chair was there. " * 60])
    assert found.tokens.tolist() == [39]


def test_means_are_by_token_and_clustered_by_text() -> None:
    random = np.random.default_rng(0)
    tokens = random.integers(1, 30, 300)
    nats = tokens * random.gamma(4.0, 0.1, 300)
    table = pd.DataFrame({"set": "forget", "text": [str(n) for n in range(300)], "tokens": tokens, "nats": nats})
    found = Distance(pd.DataFrame(), table).divergence("forget")
    assert found is not None
    assert found.value == pytest.approx(nats.sum() / tokens.sum())
    picks = np.random.default_rng(1).integers(0, 300, (4000, 300))
    assert found.stderr == pytest.approx((nats[picks].sum(1) / tokens[picks].sum(1)).std(ddof=1), rel=0.08)


def test_the_same_model_is_at_no_distance_and_its_sets_are_kept_apart(tmp_path: Path) -> None:
    loaded = tiny("gpt2")
    found = distance(tiny("gpt2"), loaded, QUESTIONS, {"forget": TEXTS[:2], "retain": TEXTS[2:]})
    quality, forget = found.forget_quality, found.divergence("forget")
    assert (quality.pvalue, quality.statistic) == (1, 0)
    assert forget is not None
    assert forget.value == 0
    assert found.divergence("neighbour") is None
    assert found.texts.groupby("set", sort=False).size().to_dict() == {"forget": 2, "retain": 3}
    found.save(tmp_path)
    again = Distance.load(tmp_path)
    pd.testing.assert_frame_equal(again.texts, found.texts)
    pd.testing.assert_frame_equal(again.questions, found.questions)


def test_without_material_there_is_nothing_to_tell(tmp_path: Path) -> None:
    distance(tiny("gpt2", 1), tiny("gpt2"), [], {}).save(tmp_path)
    found = Distance.load(tmp_path)
    assert (found.forget_quality, found.divergence("forget")) == (None, None)


def _another_token(loaded: LoadedModel) -> LoadedModel:
    loaded.tokenizer.add_tokens(["zebra"])
    return loaded


@pytest.mark.parametrize(
    ("never_knew", "said"),
    [
        (lambda: _another_token(tiny("gpt2", 1)), "1 of their tokens differ"),
        (lambda: tiny("gpt2", 1, vocab_size=512), "they predict 512 and 400 tokens"),
    ],
)
def test_a_never_knew_model_of_another_vocabulary_is_refused(never_knew: Any, said: str) -> None:
    with pytest.raises(InputError, match=f"gpt2-1 has another vocabulary than gpt2-0: {said}"):
        distance(never_knew(), tiny("gpt2"), QUESTIONS, {})


def test_nan_in_either_output_fails_with_a_sentence() -> None:
    broken, whole = tiny("gpt2", 1), tiny("gpt2")
    with torch.no_grad():
        broken.model.transformer.h[1].mlp.c_proj.weight[3] = torch.nan
    for pair in ((broken, whole), (whole, broken)):
        with pytest.raises(WorkFailed, match="not a number"):
            divergences(*pair, TEXTS)


def test_stop_is_heard_between_batches() -> None:
    heard: list[Progress] = []

    def stop(progress: Progress) -> None:
        heard.append(progress)
        raise Stopped("stopped")

    with pytest.raises(Stopped):
        divergences(tiny("gpt2", 1), tiny("gpt2"), TEXTS, token_budget=1, progress=stop)
    assert [(report.done, report.total) for report in heard] == [(1, len(TEXTS))]
