"""The iterative cut: what its rounds choose, what it finds too costly, and its budget, against cuts made one by one."""

from collections.abc import Callable
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from tests.tiny_input import tiny_input
from unlearning_core.edits.mask import Mask
from unlearning_core.errors import Stopped
from unlearning_core.evaluation.likelihood import measure
from unlearning_core.evaluation.measurement import nll_delta
from unlearning_core.progress import Progress
from unlearning_core.rankers.combined import Change, affordable, divided, in_order
from unlearning_core.rankers.derivatives import derivatives
from unlearning_core.rankers.ranking import rank
from unlearning_core.rankers.ranking_input import RankingInput
from unlearning_core.rankers.token_batches import token_batches


def top(of: RankingInput, **params: object) -> list[tuple[int, int]]:
    ranking = rank(of, "combined", params, protect=False)
    assert len(ranking) == 144
    return [(int(layer), int(index)) for layer, index in ranking[["layer", "index"]].to_numpy()]


def deltas(of: RankingInput, neurons: list[tuple[int, int]]) -> tuple[float, float]:
    mask = Mask.from_neurons({"mlp": (3, 48)}, [("mlp", *neuron) for neuron in neurons])
    base, after = measure(of.loaded, of.items), measure(of.loaded, of.items, mask=mask)
    return nll_delta(base, after, "concept").value, nll_delta(base, after, "retain").value


def adding(forget: np.ndarray, retain: np.ndarray) -> Callable[[np.ndarray], Change]:
    """Changes of neurons (0, index) that simply add up."""
    return lambda neurons: Change(float(forget[neurons[:, 1]].sum()), float(retain[neurons[:, 1]].sum()))


def test_sentences_to_choose_by_and_to_check_on_are_different_and_all_are_used() -> None:
    of = tiny_input("gpt2")
    chosen_on, checked = divided(of)
    texts = [{item.text for item in part} for part in (chosen_on, checked)]
    assert not texts[0] & texts[1]
    assert texts[0] | texts[1] == {item.text for item in of.items}
    assert all(any(item.spans for item in part) for part in (chosen_on, checked))


def test_a_single_concept_sentence_serves_for_both() -> None:
    of = tiny_input("gpt2")
    single = [of.items[0], of.items[1]]
    assert divided(replace(of, items=single)) == (single, single)


def test_neurons_that_break_the_budget_are_left_out_and_those_behind_them_are_not() -> None:
    best = np.stack([np.zeros(16, int), np.arange(16)], 1)
    retain = np.full(16, 0.001)
    retain[[2, 9]] = 1.0
    cut, out, now = affordable(best, adding(np.ones(16), retain), Change(0.0, 0.0), 0.1, 100)
    assert sorted(cut[:, 1]) == [index for index in range(16) if index not in (2, 9)]
    assert sorted(out[:, 1]) == [2, 9]
    assert now.forget == pytest.approx(14)
    assert now.retain == pytest.approx(0.014)


def test_neurons_that_cost_too_much_only_together_are_not_both_cut() -> None:
    best = np.stack([np.zeros(6, int), np.arange(6)], 1)
    retain = np.array([0.0, 0.06, 0.0, 0.0, 0.06, 0.0])
    cut, out, now = affordable(best, adding(np.ones(6), retain), Change(0.0, 0.0), 0.1, 100)
    fitting = [
        len(some) for size in range(7) for some in combinations(range(6), size) if retain[list(some)].sum() <= 0.1
    ]
    assert len(cut) == max(fitting)
    assert out[:, 1].tolist() == [4]
    assert now.retain == pytest.approx(0.06)


def test_no_more_is_measured_than_asked_for_and_nothing_is_cut_that_was_not() -> None:
    measured: list[list[int]] = []

    def costly(neurons: np.ndarray) -> Change:
        measured.append(neurons[:, 1].tolist())
        return Change(1.0, 1.0 if len(neurons) > 2 else 0.0)

    best = np.stack([np.zeros(16, int), np.arange(16)], 1)
    cut, _, _ = affordable(best, costly, Change(0.0, 0.0), 0.1, 4)
    assert len(measured) == 4
    assert cut[:, 1].tolist() == measured[-1] == [0, 1]


def test_a_set_that_comes_up_again_is_not_measured_again() -> None:
    measured: list[list[int]] = []

    def only_halves(neurons: np.ndarray) -> Change:
        measured.append(sorted(neurons[:, 1].tolist()))
        return Change(1.0, 1.0 if len(neurons) > 2 else 0.0)

    best = np.stack([np.zeros(4, int), np.arange(4)], 1)
    affordable(best, only_halves, Change(0.0, 0.0), 0.1, 3)
    # All four are too much, the first two are not; beside them the other two are all four again.
    assert measured == [[0, 1, 2, 3], [0, 1]]


def test_rounds_end_within_the_budget_that_the_gradients_order_overruns() -> None:
    of = tiny_input("gpt2")
    budget = 0.02
    checked = replace(of, items=divided(of)[1])
    ranking = rank(of, "combined", {"rounds": 2, "most": 40, "budget": budget, "tests": 30}, protect=False)
    score, places = ranking["score"].to_numpy(), ranking[["layer", "index"]].to_numpy()
    # Neurons that were cut stand a whole unit apart, above all others.
    whole = np.isclose(np.diff(score), -1)
    count = int(np.argmin(whole)) + 1
    cut = [(int(a), int(b)) for a, b in places[:count]]
    found = deltas(checked, cut)
    assert 2 <= count < 80
    assert found[1] <= budget
    assert found[0] > 0
    by_gradient = top(of, rounds=1, most=80, budget=100.0, tests=1)[:count]
    assert deltas(checked, by_gradient)[1] > budget


def test_each_round_goes_on_from_what_was_cut_before() -> None:
    of = tiny_input("gpt2")
    chosen_on = replace(of, items=divided(of)[0])
    kept, expected = np.ones((3, 48)), []
    for _ in range(2):
        found = derivatives(of, token_batches(chosen_on), at=kept)
        fisher = found.retain_square / 2
        ratio = -found.concept / (fisher + 2 * np.median(fisher))
        ratio[kept == 0] = -np.inf
        layer, index = np.unravel_index(np.argmax(ratio), ratio.shape)
        expected.append((int(layer), int(index)))
        kept[layer, index] = 0
    params = {"rounds": 2, "most": 1, "budget": 100.0, "cost": "divergence", "eps": 2.0}
    assert top(of, **params)[:2] == expected


def test_it_says_what_it_takes_at_most_before_its_first_round() -> None:
    of = tiny_input("llama")
    heard: list[Progress] = []
    rank(replace(of, progress=heard.append), "combined", {"rounds": 2})
    tasks = [update.task for update in heard]
    assert tasks[0] == "measuring"
    rounds = [task for task in tasks if task != "measuring"]
    assert rounds[0].startswith("round 1 of 2 (all: ")
    assert " at most): following the loss back" in rounds[0]


def test_it_stops() -> None:
    def stop(update: Progress) -> None:
        raise Stopped("enough")

    of = tiny_input("llama")
    with pytest.raises(Stopped):
        rank(replace(of, progress=stop), "combined")


def test_the_order_of_what_was_cut_holds_however_large_scores_are() -> None:
    cut, costly = np.array([[0, 2], [1, 0]]), np.array([[0, 1]])
    for most in (3.0, 1e20, 1e300):
        for least in (0.0, -3.0, -1e20, -1e300):
            score = in_order(cut, costly, np.array([[1.0, 2.0, 0.5], [0.1, most, least]]))
            assert np.argsort(-score.ravel(), kind="stable").tolist() == [2, 3, 4, 0, 5, 1]
