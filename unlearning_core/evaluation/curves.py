"""What a sweep says: selectivity, area between the curves, a ratio to start from, and whether it beats random cuts."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from jaxtyping import Float

from unlearning_core.evaluation.sweep import Order

BUDGET = 0.05
"""Retain delta, nats a token, that a cut may cost: 5 % of perplexity."""

ENOUGH = 0.95
"""Share of the forgetting within the budget that the suggested ratio reaches."""


_Values = Float[np.ndarray, " ratios"]


@dataclass(frozen=True, eq=False)
class Curve:
    """One order of a sweep; every array is ascending by ratio and begins with the ratio 0.

    Attributes:
        ratios: share cut.
        neurons: how many that is.
        forget: change of the concept's loss, nats a token; of random cuts the mean over the draws.
        forget_stderr: of one cut that over sentences, of random cuts that of one draw (the draws share the sentences).
        forget_low: smallest of the draws; the same as `forget` in the other orders.
        forget_high: largest of the draws.
        neighbour: as `forget`, of the neighbours, which are part of the rest; NaN where there are none.
    """

    ratios: _Values
    neurons: _Values
    forget: _Values
    forget_stderr: _Values
    forget_low: _Values
    forget_high: _Values
    retain: _Values
    retain_stderr: _Values
    retain_low: _Values
    retain_high: _Values
    neighbour: _Values
    neighbour_stderr: _Values

    @property
    def has_neighbours(self) -> bool:
        """Whether a cut was measured on neighbours too."""
        return bool(np.isfinite(self.neighbour[1:]).any())

    def at(self, name: str, ratio: float) -> float:
        """The value of the array `name` at `ratio`, linear between neighbours; NaN beyond the last ratio measured."""
        return float(np.interp(ratio, self.ratios, getattr(self, name), right=math.nan))


def curve(points: pd.DataFrame, order: Order) -> Curve:
    """The curve of an order, from what `sweep` returned or has measured so far.

    Of random cuts only ratios at which every draw was measured are in it. At the ratio 0 it has what was measured there
    (token rows and neurons picked by hand do something without a ratio); 0 where nothing was.
    """
    rows = points[points["order"] == order]
    groups = rows[rows.groupby("ratio")["draw"].transform("size") == rows["draw"].nunique()].groupby("ratio")
    measured = ["neurons", "forget", "forget_stderr", "retain", "retain_stderr", "neighbour", "neighbour_stderr"]
    columns = dict(groups[measured].mean().items())
    for name in ("forget", "retain"):
        columns |= {f"{name}_low": groups[name].min(), f"{name}_high": groups[name].max()}
    arrays, ratios = {name: values.to_numpy(np.float64) for name, values in columns.items()}, [*groups.groups]
    if 0.0 not in ratios:
        ratios, arrays = [0.0, *ratios], {name: np.append(0.0, values) for name, values in arrays.items()}
    return Curve(ratios=np.array(ratios, dtype=np.float64), **arrays)


@dataclass(frozen=True)
class Selectivity:
    """How much is forgotten when the rest begins to suffer.

    Attributes:
        value: forget delta, nats a token, where the retain delta first reaches the budget; where it never does, the
            largest one measured: the true value is at least that.
        stderr: standard error of the forget delta there; that of the place is not in it.
        ratio: where.
        reached: whether the retain delta reached the budget.
    """

    value: float
    stderr: float
    ratio: float
    reached: bool


def selectivity(found: Curve) -> Selectivity:
    """The forget delta where the retain delta first reaches the budget, linear between neighbouring ratios."""
    ratio = crossing(found.ratios, found.retain, BUDGET)
    reached = ratio is not None
    if ratio is None:
        ratio = float(found.ratios[np.argmax(found.forget)])
    return Selectivity(found.at("forget", ratio), found.at("forget_stderr", ratio), ratio, reached)


def crossing(ratios: _Values, values: _Values, level: float) -> float | None:
    """The ratio at which `values` first reach `level`, linear between neighbours; None where they never do."""
    beyond = np.flatnonzero(values >= level)
    if not len(beyond):
        return None
    if beyond[0] == 0:
        return float(ratios[0])
    before, after = int(beyond[0]) - 1, int(beyond[0])
    share = (level - values[before]) / (values[after] - values[before])
    return float(ratios[before] + share * (ratios[after] - ratios[before]))


def area_between(found: Curve) -> float:
    """Mean of forget minus retain delta, nats a token, over the logarithm of the ratio, by trapezoids.

    Over the ratios above 0 that were measured; NaN where fewer than two were.
    """
    above = found.ratios > 0
    if np.count_nonzero(above) < 2:
        return math.nan
    places = np.log(found.ratios[above])
    gap = (found.forget - found.retain)[above]
    return float(np.trapezoid(gap, places) / (places[-1] - places[0]))


def suggested_ratio(found: Curve) -> float | None:
    """The smallest cut that gets nearly all there is to get: the knee of the curve within the budget.

    Of the cuts that come before the retain delta first reaches the budget, the smallest one that reaches `ENOUGH` of
    the largest forget delta among them, linear between neighbouring ratios. None where none of them forgets anything.
    """
    ratios, forget = found.ratios, found.forget
    end = crossing(ratios, found.retain, BUDGET)
    if end is not None:
        inside = ratios < end
        ratios = np.append(ratios[inside], end)
        forget = np.append(forget[inside], found.at("forget", end))
    best = float(forget.max())
    return crossing(ratios, forget, ENOUGH * best) if best > 0 else None


Kind = Literal["nothing cut", "no better than random", "forgets cheaply", "forgets at a price"]


@dataclass(frozen=True)
class RandomComparison:
    """The cut from the top against random cuts of as many neurons in the same layers, at one ratio.

    Attributes:
        neurons: how many neurons are cut there, about.
        forget: forget delta of the cut from the top, nats a token; `random_forget` is the random cuts' mean.
        retain: retain delta, likewise.
        neighbour: of the retain delta the neighbours' part; NaN where there are none.
        draws: how many random cuts there are.
    """

    kind: Kind
    neurons: int
    forget: float
    random_forget: float
    random_low: float
    random_high: float
    retain: float
    random_retain: float
    neighbour: float
    draws: int


def compare_with_random(points: pd.DataFrame, ratio: float) -> RandomComparison | None:
    """Whether the ranking beats chance at `ratio`, read off the curves; None where they were not measured that far.

    It does where its forget delta is above 0, above every random draw, and above their mean by two standard errors of
    the difference (that of the cut and that of a draw, as if independent, which errs on the side of doubt).
    """
    top, random = curve(points, "top"), curve(points, "random")
    forget, retain, by_chance, random_retain = (
        found.at(name, ratio) for found in (top, random) for name in ("forget", "retain")
    )
    if any(math.isnan(value) for value in (forget, retain, by_chance, random_retain)):
        return None
    error = float(np.hypot(*np.nan_to_num([found.at("forget_stderr", ratio) for found in (top, random)])))
    low, high, neurons = random.at("forget_low", ratio), random.at("forget_high", ratio), top.at("neurons", ratio)
    kind: Kind = "forgets cheaply" if retain < BUDGET else "forgets at a price"
    if not (forget > max(high, 0.0) and forget - by_chance > 2 * error):
        kind = "no better than random"
    return RandomComparison(
        "nothing cut" if round(neurons) == 0 else kind, round(neurons), forget, by_chance, low, high, retain,
        random_retain, top.at("neighbour", ratio), int(points.loc[points["order"] == "random", "draw"].nunique()),
    )  # fmt: skip
