"""What a sweep says: against numpy.interp, a finer grid and cases with a known answer."""

import math

import numpy as np
import pandas as pd
import pytest

from unlearning_core.evaluation.curves import (
    area_between,
    compare_with_random,
    crossing,
    curve,
    selectivity,
    suggested_ratio,
)
from unlearning_core.evaluation.sweep import Point, to_frame

RATIOS = [0.0, 0.001, 0.002, 0.005, 0.01, 0.05]
FORGET = [0.0, 0.3, 0.8, 1.5, 1.7, 2.4]
RETAIN = [0.0, -0.01, 0.02, 0.04, 0.09, 0.6]


def points(forget: list[float], retain: list[float], order: str = "top", draw: int = 0) -> list[Point]:
    return [
        Point(order, draw, ratio, round(10_000 * ratio), f, 0.1 * f, r, 0.01)
        for ratio, f, r in zip(RATIOS, forget, retain, strict=False)
    ]


def test_selectivity_is_the_forgetting_where_the_rest_reaches_the_budget() -> None:
    found = selectivity(curve(to_frame(points(FORGET, RETAIN)), "top"))
    # Between 0.005 and 0.01 the retain delta rises from 0.04 to 0.09; it is monotone there, so it can be inverted.
    where = np.interp(0.05, RETAIN[3:5], RATIOS[3:5])
    assert found.reached
    assert found.ratio == pytest.approx(where)
    assert found.value == pytest.approx(np.interp(where, RATIOS, FORGET))
    assert found.stderr == pytest.approx(0.1 * found.value)


def test_where_the_budget_is_never_reached_selectivity_is_the_most_that_was_seen() -> None:
    found = selectivity(curve(to_frame(points([0, 0.2, 0.9, 0.5], [0, 0.0, 0.01, 0.04])), "top"))
    assert (found.value, found.ratio, found.reached) == (0.9, 0.002, False)


def test_only_the_first_crossing_counts() -> None:
    found = curve(to_frame(points([0, 1, 2, 3, 4, 5], [0, 0.1, 0.0, 0.0, 0.0, 0.2])), "top")
    assert crossing(found.ratios, found.retain, 0.05) == pytest.approx(0.0005)


def test_the_suggested_ratio_is_the_smallest_that_gets_nearly_all_within_the_budget() -> None:
    found = curve(to_frame(points(FORGET, RETAIN)), "top")
    fine = np.linspace(0, RATIOS[-1], 500_001)
    retain, forget = np.interp(fine, RATIOS, RETAIN), np.interp(fine, RATIOS, FORGET)
    within = forget[: int(np.argmax(retain >= 0.05)) + 1]
    expected = fine[int(np.argmax(within >= 0.95 * within.max()))]
    assert suggested_ratio(found) == pytest.approx(expected, abs=1e-6)


def test_a_flat_end_is_not_paid_for() -> None:
    found = curve(to_frame(points([0, 1.0, 2.0, 2.0, 2.0, 2.0], [0, 0.0, 0.0, 0.01, 0.02, 0.03])), "top")
    assert suggested_ratio(found) == pytest.approx(np.interp(1.9, [1.0, 2.0], [0.001, 0.002]))


def test_nothing_is_suggested_where_nothing_is_forgotten() -> None:
    assert suggested_ratio(curve(to_frame(points([0, -0.1, -0.2], [0, 0.0, 0.1])), "top")) is None


def test_the_area_is_the_mean_gap_over_the_logarithm_of_the_ratio() -> None:
    found = curve(to_frame(points(FORGET, RETAIN)), "top")
    places = np.log10(RATIOS[1:])
    gaps = np.array(FORGET[1:]) - np.array(RETAIN[1:])
    strips = sum((b - a) * (g + h) / 2 for a, b, g, h in zip(places, places[1:], gaps, gaps[1:], strict=False))
    assert area_between(found) == pytest.approx(strips / (places[-1] - places[0]))
    assert math.isnan(area_between(curve(to_frame(points(FORGET[:2], RETAIN[:2])), "top")))


def test_random_draws_give_mean_and_band_where_all_were_measured() -> None:
    drawn = points([0, 1, 2, 3], [0, 0, 0, 0], "random", 0) + points([0, 3, 6], [0, 0, 0.3], "random", 1)
    found = curve(to_frame(drawn), "random")
    assert found.ratios.tolist() == RATIOS[:3]
    assert found.forget.tolist() == [0, 2, 4]
    assert found.forget_low.tolist() == [0, 1, 2]
    assert found.forget_high.tolist() == [0, 3, 6]
    assert found.retain.tolist() == pytest.approx([0, 0, 0.15])


def case(top: float, retain: float, drawn: list[float]) -> pd.DataFrame:
    """Top and random cuts measured at 1 % alone."""
    rows = [Point("top", 0, 0.01, 100, top, 0.1, retain, 0.01)]
    rows += [Point("random", draw, 0.01, 100, forget, 0.1, 0.0, 0.01) for draw, forget in enumerate(drawn)]
    return to_frame(rows)


@pytest.mark.parametrize(
    ("top", "retain", "drawn", "kind"),
    [
        (1.0, 0.04, [0.0, 0.1, 0.05], "forgets cheaply"),
        (1.0, 0.06, [0.0, 0.1, 0.05], "forgets at a price"),
        (1.0, 0.04, [0.0, 0.1, 1.1], "no better than random"),  # one draw does as well
        (0.28, 0.0, [0.0, 0.0, 0.0], "no better than random"),  # within 2 x 0.1 x sqrt(2)
        (0.29, 0.0, [0.0, 0.0, 0.0], "forgets cheaply"),
        (-0.5, 0.0, [-1.0, -1.0, -1.0], "no better than random"),
    ],
)
def test_a_cut_is_compared_with_random_ones(top: float, retain: float, drawn: list[float], kind: str) -> None:
    found = compare_with_random(case(top, retain, drawn), 0.01)
    assert found is not None
    assert found.kind == kind
    assert (found.forget, found.neurons, found.draws) == (top, 100, len(drawn))
    assert found.random_forget == pytest.approx(np.mean(drawn))


def test_there_is_no_comparison_where_nothing_was_measured_or_cut() -> None:
    measured = case(1.0, 0.0, [0.0])
    assert compare_with_random(measured, 0.02) is None
    assert compare_with_random(measured[measured["order"] == "top"], 0.01) is None
    nothing = compare_with_random(measured, 0.0)
    assert nothing is not None
    assert nothing.kind == "nothing cut"
