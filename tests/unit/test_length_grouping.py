"""Batches of like length: every text once, little padding, an order that a seed fixes, and labels by length alone."""

import numpy as np
import pytest

from unlearning_core.training.batching import LengthGroupedOrder, pad, split_batch

LENGTHS = np.random.default_rng(3).geometric(0.02, size=1003).tolist()


def padding_share(order: list[int], batch_size: int) -> float:
    """Padded positions over useful ones, counted batch by batch."""
    lengths = [[LENGTHS[i] for i in order[start : start + batch_size]] for start in range(0, len(order), batch_size)]
    padded = sum(max(batch) * len(batch) for batch in lengths)
    return padded / sum(LENGTHS) - 1


def epoch(batch_size: int, seed: int, number: int) -> list[int]:
    order = LengthGroupedOrder(LENGTHS, batch_size, seed)
    order.set_epoch(number)
    return list(order)


@pytest.mark.parametrize("batch_size", [1, 8, 64, 2000])
def test_every_text_comes_once_a_pass(batch_size: int) -> None:
    assert sorted(epoch(batch_size, 0, 0)) == list(range(len(LENGTHS)))


def test_padding_is_a_small_part_of_what_a_random_order_pads() -> None:
    shuffled = np.random.default_rng(0).permutation(len(LENGTHS)).tolist()
    assert padding_share(shuffled, 8) > 0.8
    assert padding_share(epoch(8, 0, 0), 8) < 0.08


def test_order_depends_on_seed_and_pass_alone() -> None:
    assert epoch(8, 5, 2) == epoch(8, 5, 2)
    assert epoch(8, 5, 2) != epoch(8, 5, 3)
    assert epoch(8, 5, 2) != epoch(8, 6, 2)


def test_short_and_long_batches_alternate() -> None:
    means = np.array([np.mean([LENGTHS[i] for i in epoch(8, 0, 0)[s : s + 8]]) for s in range(0, 1000, 8)])
    steps = np.arange(len(means))
    assert abs(np.corrcoef(means, steps)[0, 1]) < 0.3


def test_two_processes_share_the_batches_that_one_takes_whole() -> None:
    order = epoch(8, 0, 0)
    halves = [order[start : start + 4] for start in range(0, 1000, 4)]
    together = [first + second for first, second in zip(halves[::2], halves[1::2], strict=True)]
    assert together == [order[start : start + 8] for start in range(0, 1000, 8)]


def test_pad_token_inside_a_text_is_learnt_and_padding_is_not() -> None:
    batch = pad([[5, 0, 7, 0], [0, 9]], pad_id=0)
    assert batch["input_ids"].tolist() == [[5, 0, 7, 0], [0, 9, 0, 0]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1, 1], [1, 1, 0, 0]]
    assert batch["labels"].tolist() == [[5, 0, 7, 0], [0, 9, -100, -100]]


@pytest.mark.parametrize(
    ("batch_size", "longest", "budget", "expected"),
    [
        (8, 10, 100_000, (8, 1)),
        (8, 10, 4_000, (4, 2)),
        (6, 10, 4_000, (3, 2)),
        (7, 10, 4_000, (1, 7)),
        (4, 99, 1, (1, 4)),
    ],
)
def test_scores_of_one_step_stay_within_the_budget(
    batch_size: int, longest: int, budget: int, expected: tuple[int, int]
) -> None:
    at_once, parts = split_batch(batch_size, longest, vocabulary=100, budget=budget)
    assert (at_once, parts) == expected
    assert at_once * parts == batch_size
