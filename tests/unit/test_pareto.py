"""The front of recipes and its knee, against calculations that look at every pair and measure distances."""

import itertools

import numpy as np
import pytest

from unlearning_core.evaluation.pareto import bulge, front, knee


def points(seed: int, count: int = 40) -> tuple[list[float], list[float]]:
    draw = np.random.default_rng(seed)
    # One decimal, so that some are equal on an axis or on both.
    return draw.random(count).round(1).tolist(), draw.random(count).round(1).tolist()


@pytest.mark.parametrize("seed", range(5))
def test_the_front_is_what_no_other_point_beats(seed: int) -> None:
    forgotten, cost = points(seed)

    def beaten(one: int) -> bool:
        return any(
            forgotten[other] >= forgotten[one]
            and cost[other] <= cost[one]
            and ((forgotten[other], cost[other]) != (forgotten[one], cost[one]) or other < one)
            for other in range(len(cost))
            if other != one
        )

    assert sorted(front(forgotten, cost)) == [one for one in range(len(cost)) if not beaten(one)]


def test_what_was_not_measured_is_on_no_front() -> None:
    assert front([float("nan"), 0.5, 0.9], [0.0, 0.1, float("nan")]) == [1]


def test_the_bulge_is_the_distance_to_the_line_from_doing_nothing_to_the_far_end() -> None:
    forgotten, cost = [0.0, 0.6, 0.9, 1.0], [0.0, 0.05, 0.3, 2.0]
    scaled = np.array([[f / 1.0, c / 2.0] for f, c in zip(forgotten, cost, strict=True)])
    # The line through (0, 0) and (1, 1): |x - y| / sqrt(2).
    distance = np.abs(scaled[:, 0] - scaled[:, 1]) / np.sqrt(2)
    assert bulge(forgotten, cost) / np.sqrt(2) == pytest.approx(distance)


def test_the_knee_bulges_most_of_all_points() -> None:
    angles = np.linspace(0, np.pi / 2, 21)
    forgotten, cost = np.sin(angles), 1 - np.cos(angles)  # a quarter of a circle: its knee is at half the angle
    assert knee(forgotten.tolist(), cost.tolist(), [True] * 21) == 10


def test_a_cheaper_point_that_forgets_too_little_is_not_taken() -> None:
    forgotten, cost = [0.0, 0.6, 0.9, 1.0], [0.0, 0.05, 0.3, 2.0]
    assert knee(forgotten, cost, [False, True, True, True]) == 2
    assert knee(forgotten, cost, [False, False, False, True]) == 3
    assert knee(forgotten, cost, [False] * 4) == 2  # where none forgets enough, the knee of them all


def test_between_recipes_that_cost_next_to_nothing_the_one_that_forgets_more_is_taken() -> None:
    assert knee([0.97, 1.0], [0.0, 0.001], [True, True]) == 1
    assert knee([0.97, 1.0], [0.0, 0.1], [True, True]) == 0


def test_the_order_of_the_points_does_not_matter() -> None:
    forgotten, cost = [0.0, 0.6, 0.9, 1.0], [0.0, 0.05, 0.3, 2.0]
    for order in itertools.permutations(range(4)):
        place = knee([forgotten[one] for one in order], [cost[one] for one in order], [True] * 4)
        assert order[place] == 2


def test_no_point_is_an_error() -> None:
    with pytest.raises(ValueError, match="no point"):
        knee([], [], [])
