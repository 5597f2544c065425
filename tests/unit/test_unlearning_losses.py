"""The losses of the methods that train, against their formulas in numpy on likelihoods that are given."""

import numpy as np
import pytest
import torch
from scipy.special import expit

from tests.tiny_models import tiny
from unlearning_core.methods import gradient_ascent, npo, rmu, simnpo
from unlearning_core.methods.fine_tuning import likelihood_objective
from unlearning_core.training.unlearn import Corpus, Likelihood

RANDOM = np.random.default_rng(0)
NATS = RANDOM.uniform(0.1, 30, 6)
TOKENS = RANDOM.integers(1, 5, 6).astype(float)
REFERENCE = RANDOM.uniform(0.1, 30, 6)


def given() -> list[torch.Tensor]:
    return [torch.from_numpy(values) for values in (NATS, TOKENS, REFERENCE)]


def test_gradient_ascent_is_minus_the_mean_loss_of_a_token() -> None:
    assert float(gradient_ascent.forget_loss(*given())) == pytest.approx(-NATS.sum() / TOKENS.sum())


@pytest.mark.parametrize("beta", [0.05, 0.1, 1.0])
def test_npo_is_the_preference_loss_without_a_preferred_text(beta: float) -> None:
    ratio = np.exp(-NATS) / np.exp(-REFERENCE)
    expected = (2 / beta * np.log1p(ratio**beta)).mean()  # the form of the paper's equation 3
    assert float(npo.forget_loss(*given(), beta=beta)) == pytest.approx(expected)


def test_npo_is_gradient_ascent_for_a_small_beta() -> None:
    nats = torch.from_numpy(NATS).requires_grad_()
    npo.forget_loss(nats, *given()[1:], beta=1e-6).backward()
    assert nats.grad is not None
    np.testing.assert_allclose(nats.grad.numpy(), -np.ones(6) / 6, rtol=1e-4)


@pytest.mark.parametrize(("beta", "gamma"), [(0.1, 0.0), (2.5, 0.5)])
def test_simnpo_is_its_formula(beta: float, gamma: float) -> None:
    expected = (-2 / beta * np.log(expit(beta * NATS / TOKENS - gamma))).mean()
    assert float(simnpo.forget_loss(*given(), beta=beta, gamma=gamma)) == pytest.approx(expected)


def test_misdirection_is_the_mean_squared_distance_at_the_counted_places() -> None:
    hidden, towards, counted = RANDOM.normal(size=(2, 3, 4)), RANDOM.normal(size=4), RANDOM.random((2, 3)) < 0.5
    expected = np.mean([np.sum((hidden[t, p] - towards) ** 2) for t, p in zip(*np.nonzero(counted), strict=True)])
    found = rmu.misdirection(*(torch.from_numpy(part) for part in (hidden, towards, counted)))
    assert float(found) == pytest.approx(expected)


def small_corpora() -> tuple[Corpus, Corpus]:
    def corpus(lengths: tuple[int, ...], share: float) -> Corpus:
        ids = [RANDOM.integers(1, 300, length) for length in lengths]
        counted = [np.append(RANDOM.random(length - 2) < share, True) for length in lengths]
        return Corpus(ids, counted)

    return corpus((4, 9, 6), 0.4), corpus((5, 7, 3), 1.0)


def by_hand(model: torch.nn.Module, corpus: Corpus) -> tuple[np.ndarray, np.ndarray]:
    """Of each text, run alone: summed loss and number of its counted tokens."""
    nats, tokens = [], []
    for ids, counted in zip(corpus.ids, corpus.counted, strict=True):
        with torch.no_grad():
            logits = model(input_ids=torch.from_numpy(ids)[None]).logits[0].double().numpy()
        log_p = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
        nats.append(-log_p[np.arange(len(ids) - 1), ids[1:]][counted].sum())
        tokens.append(counted.sum())
    return np.array(nats), np.array(tokens)


@pytest.mark.parametrize("family", ["gpt2", "llama", "gemma2"])
def test_the_loss_of_a_text_is_summed_over_its_counted_tokens_whatever_stands_beside_it(family: str) -> None:
    loaded, (forget, _) = tiny(family), small_corpora()
    likelihood, cpu = Likelihood(loaded), torch.device("cpu")
    expected, _ = by_hand(loaded.model, forget)
    together = likelihood.nats(forget.batch([0, 1, 2], cpu)).detach().numpy()
    np.testing.assert_allclose(together, expected, rtol=1e-4)
    np.testing.assert_allclose(likelihood.of(forget, cpu, batch_size=2).numpy(), expected, rtol=1e-4)


def test_the_objective_adds_the_weighted_loss_of_a_token_to_keep_and_knows_the_model_before() -> None:
    loaded, (forget, retain) = tiny("llama"), small_corpora()
    before, _ = by_hand(loaded.model, forget)
    make = likelihood_objective(lambda nats, tokens, reference: (nats - reference).sum(), 3.0, needs_reference=True)
    objective = make(loaded, forget)
    with torch.no_grad():
        loaded.model.get_output_embeddings().weight.mul_(1.1)
    after, _ = by_hand(loaded.model, forget)
    kept, of_kept = by_hand(loaded.model, retain)
    cpu = torch.device("cpu")
    found = objective(forget.batch([2, 0], cpu), retain.batch([0, 1, 2], cpu))
    assert found[0].item() == pytest.approx((after - before)[[2, 0]].sum(), rel=1e-3)
    assert found[1].item() == pytest.approx(3 * kept.sum() / of_kept.sum(), rel=1e-4)
