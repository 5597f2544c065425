"""The iterative cut: its first neurons, its budget, and its rounds against cuts measured one by one."""

import numpy as np
import pytest

from tests.tiny_subject import ITEMS, activations, subject
from unlearning_core.errors import Stopped
from unlearning_core.evaluation.metrics import measure, nll_delta
from unlearning_core.progress import Progress, silent
from unlearning_core.pruning.mask import Mask
from unlearning_core.rankers.cuts_alone import cut_each
from unlearning_core.rankers.ranking import rank
from unlearning_core.rankers.subject import Subject
from unlearning_core.rankers.token_batches import token_batches

WHOLE = {"candidates": 144, "cost": "divergence"}


def top(of: Subject, **params: object) -> list[tuple[int, int]]:
    ranking = rank(activations(of, "mlp"), "combined", WHOLE | params, subject=of, protect=False)
    assert len(ranking) == 144
    return [(int(layer), int(index)) for layer, index in ranking[["layer", "index"]].to_numpy()]


def deltas(of: Subject, neurons: list[tuple[int, int]]) -> tuple[float, float]:
    mask = Mask.from_neurons({"mlp": (3, 48)}, [("mlp", *neuron) for neuron in neurons])
    base, after = measure(of.loaded, ITEMS), measure(of.loaded, ITEMS, mask=mask)
    return nll_delta(base, after, "concept").value, nll_delta(base, after, "retain").value


def test_one_round_begins_like_exact_ablation_of_all_neurons() -> None:
    of = subject("llama")
    every = rank(activations(of, "mlp"), "ablation", {**WHOLE, "eps": 3.0}, subject=of, protect=False)
    expected = every[["layer", "index"]].to_numpy().tolist()[:10]
    assert [list(neuron) for neuron in top(of, rounds=1, most=10, budget=100.0)[:10]] == expected


def test_rounds_end_within_the_budget_that_a_single_one_overruns() -> None:
    of = subject("gpt2")
    free = top(of, rounds=1, most=20, budget=100.0)[:20]
    assert deltas(of, free)[1] > 0.02
    heard: list[Progress] = []
    held = rank(
        activations(of, "mlp"), "combined", WHOLE | {"rounds": 1, "most": 20, "budget": 0.02}, subject=of,
        protect=False, progress=heard.append,
    )  # fmt: skip
    # Neurons that were cut stand a whole unit apart, above all others.
    score = held["score"].to_numpy()
    count = int((np.diff(score) == -1).sum()) if score[0] - score[1] == 1 else 1
    cut = [(int(a), int(b)) for a, b in held[["layer", "index"]].to_numpy()[:count]]
    assert 1 <= count < 20
    assert deltas(of, cut)[1] <= 0.02
    assert all(update.task.startswith("round 1 of 1: ") for update in heard)


def test_each_round_goes_on_from_what_was_cut_before() -> None:
    of = subject("gpt2")
    kept, expected = np.ones((3, 48), bool), []
    for _ in range(2):
        left = np.argwhere(kept)
        found = cut_each(of.loaded, token_batches(of), "mlp", left, kept=kept, progress=silent)
        ratio = found.forget / (found.divergence + 3 * np.median(found.divergence))
        layer, index = left[int(np.argmax(ratio))]
        expected.append((int(layer), int(index)))
        kept[layer, index] = False
    assert top(of, rounds=2, most=1, budget=100.0)[:2] == expected


def test_it_stops() -> None:
    def stop(update: Progress) -> None:
        raise Stopped("enough")

    of = subject("llama")
    with pytest.raises(Stopped):
        rank(activations(of, "mlp"), "combined", subject=of, progress=stop)
