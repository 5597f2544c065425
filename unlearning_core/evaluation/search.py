"""The smallest cut that works: the fewest neurons of a ranking that make a model forget enough at a bearable price.

Both losses rise with the number of neurons cut, but neither rises steadily: a neuron that is cut can undo what those
before it did, so the loss elsewhere may pass the budget and come back under it. A bisection alone would trust the first
bracket that it sees. The search therefore goes from coarse to fine: cuts of 1, 2, 4 ... neurons until one reaches the
target or the rest of the language is broken; then, always below the smallest cut that reached it, halves the gap that
promises most (`_promise`), for as many measurements as it was given. With a measurement for every number of neurons
up to where the rest is broken the answer is the smallest there is; `Search.untried` says how many smaller cuts nobody
looked at.

The cut is chosen on the sentences that it is measured on, which flatters it by less than about one standard error.
"""

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from unlearning_core.edits.cut_settings import CutSettings
from unlearning_core.edits.mask import Mask, Shapes
from unlearning_core.edits.token_rows import TokenRows
from unlearning_core.errors import InputError
from unlearning_core.evaluation.ratio import format_value
from unlearning_core.evaluation.sweep import Point, measured
from unlearning_core.progress import Progress, ProgressCallback, silent

if TYPE_CHECKING:
    from unlearning_core.evaluation.likelihood import Meter

TASK = "searching for the smallest cut"

MOST = 40
"""Cuts that a search measures unless told otherwise; coarse steps and one bisection take about half of them."""

BROKEN = 2.0
"""Nats a token beyond the budget at which the coarse steps end: larger cuts of a broken model tell nothing."""

NEAR = 1.4
"""A coarse step is left out where a cut that was measured before is at most so many times larger or smaller."""


@dataclass(frozen=True)
class Target:
    """What a cut has to reach, in nats a token on held-out sentences.

    Attributes:
        forget: the concept tokens' loss must rise by at least this.
        retain: the loss of all other tokens may rise by at most this.
    """

    forget: float
    retain: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.forget) and self.forget > 0):
            raise InputError(f"forget is {self.forget}; it must be a number of nats above 0, for example 1.")
        if not (math.isfinite(self.retain) and self.retain >= 0):
            raise InputError(f"retain is {self.retain}; it must be a number of nats from 0 on, for example 0.05.")

    def __str__(self) -> str:
        return f"{self.forget:g} nats for at most {self.retain:g} on other text"

    def reached_by(self, point: Point) -> bool:
        """Whether this cut forgets enough within the budget."""
        return point.forget >= self.forget and point.retain <= self.retain


@dataclass(frozen=True)
class Search:
    """What was found.

    Attributes:
        target: what was asked for.
        points: every cut that is known, fewest neurons first; the first one cuts nothing.
        neurons: how many neurons may be cut at all.
        untried: how many cuts smaller than `smallest` (or, without one, than the largest measured) were not measured.
    """

    target: Target
    points: tuple[Point, ...]
    neurons: int
    untried: int

    @property
    def smallest(self) -> Point | None:
        """The fewest neurons that reach the target, or None."""
        return next((point for point in self.points if self.target.reached_by(point)), None)

    @property
    def best(self) -> Point:
        """The cut within the retain budget that forgets most; the smallest where none forgets anything within it."""
        within = [point for point in self.points if point.retain <= self.target.retain] or self.points[:1]
        return max(within, key=lambda point: point.forget)

    @property
    def cheapest(self) -> Point | None:
        """Of the cuts that forget enough the one that costs least elsewhere, or None."""
        enough = (point for point in self.points if point.forget >= self.target.forget)
        return min(enough, key=lambda point: point.retain, default=None)

    @property
    def chosen(self) -> Point:
        """The smallest cut that reaches the target, else the one within the budget that comes closest."""
        return self.smallest or self.best

    @property
    def works(self) -> bool:
        """Whether what was chosen forgets anything, within the budget."""
        return self.chosen.forget > 0 and self.chosen.retain <= self.target.retain

    @property
    def sentence(self) -> str:
        """What was found, for a person."""
        if (found := self.smallest) is not None:
            near = "" if math.isnan(found.neighbour) else f", its neighbours {_nats(found, 'neighbour')}"
            said = (
                f"The smallest cut found that forgets {self.target} takes {self._size(found)}: it forgets "
                f"{_nats(found, 'forget')} and costs {_nats(found, 'retain')}{near}"
            )
        else:
            said = f"No cut of this ranking that was measured forgets {self.target}: {self._within()}; {self._price()}"
        return f"{said} (± half a 95 % interval)." if "±" in said else f"{said}."

    def _within(self) -> str:
        best = self.best
        if not self.works:
            return "no cut within that budget forgets anything"
        costs = f"{_nats(best, 'forget')}, for {_nats(best, 'retain')}, with {self._size(best)}"
        return f"within that budget the most is {costs}"

    def _price(self) -> str:
        wanted, cheapest = f"{self.target.forget:g} nats", self.cheapest
        if cheapest is None:
            return f"no cut that was measured forgets {wanted} at any price"
        return f"{wanted} cost at least {_nats(cheapest, 'retain')}, with {self._size(cheapest)}"

    def _size(self, point: Point) -> str:
        return f"{point.neurons:,} of {self.neurons:,} neurons ({100 * point.neurons / self.neurons:.2g} %)"

    def to_dict(self) -> dict[str, Any]:
        """A JSON-able form."""
        named = {name: getattr(self, name) for name in ("chosen", "smallest", "best", "cheapest")}
        return {
            "target": asdict(self.target),
            "reached": self.smallest is not None,
            **{name: point and point.to_dict() for name, point in named.items()},
            "neurons": self.neurons,
            "untried": self.untried,
            "sentence": self.sentence,
            "points": [point.to_dict() for point in self.points],
        }


def search(
    meter: "Meter",
    ranking: pd.DataFrame,
    target: Target,
    cut: CutSettings | None = None,
    *,
    most: int = MOST,
    rows: TokenRows | None = None,
    known: Iterable[Point] = (),
    on_point: Callable[[Point], None] | None = None,
    progress: ProgressCallback = silent,
) -> Search:
    """Look for the fewest neurons of a ranking that reach `target`.

    Args:
        meter: the model and the held-out sentences.
        ranking: columns site, layer, index and rank (rank 0 is cut first).
        target: nats to forget at least, and to lose elsewhere at most.
        cut: how the ranking is cut (layers, excluded neurons); its ratio says nothing here.
        most: cuts measured at most; those that are `known` cost nothing and do not count.
        rows: token rows that are moved in every cut; cutting nothing beside them is the smallest of all.
        known: points measured before with the same meter, ranking, rows and settings, those of a sweep's top order too.
        on_point: called with each new point, to keep it; what was kept can be given as `known` after a stop.
        progress: told before every cut; may raise Stopped.

    Raises:
        InputError: the ranking is not of this model, or nothing may be cut.
        WorkFailed: the model's output is not a number.
    """
    if most < 1:
        raise InputError(f"most is {most}; a search has to measure at least 1 cut.")
    steps = _Steps(ranking, meter.loaded.map.shapes, cut or CutSettings(0.0))
    found = steps.known(known)
    new: list[Point] = []

    def measure(step: int) -> None:
        progress(Progress(TASK, len(new), most, "cuts"))
        found[step] = measured(meter, steps.mask(step), "top", 0, steps.ratio(step), rows)
        new.append(found[step])
        if on_point is not None:
            on_point(found[step])

    if rows is None and not steps.mask(0).cut:
        found[0] = Point("top", 0, 0.0, 0, 0.0, 0.0, 0.0, 0.0)
    elif 0 not in found:
        measure(0)
    for step in steps.coarse(found):
        if len(new) == most or _is_over(found, target, step):
            break
        measure(step)
    while len(new) < most and (gap := _widest_promise(found, target)) is not None:
        measure(sum(gap) // 2)
    progress(Progress(TASK, most, most, "cuts"))
    first = _first_reached(found, target)
    last = max(found) if first is None else first
    tried = sum(0 < step < last for step in found)
    points = tuple(found[step] for step in sorted(found))
    return Search(target, points, steps.neurons(steps.last), max(0, last - 1 - tried))


def _nats(point: Point, name: str) -> str:
    return format_value(getattr(point, name), getattr(point, f"{name}_stderr"))


class _Steps:
    """The cuts that a ranking allows, one larger than the other: step n cuts n neurons.

    Where every layer gives the same share, or sites were ranked apart, n of the largest layer (or site). Neurons that
    are cut whatever the ratio (picked by hand, or of a layer with a share of its own) are not counted in n, and are in
    every mask.
    """

    def __init__(self, ranking: pd.DataFrame, shapes: Shapes, settings: CutSettings) -> None:
        self._cut, self._shapes = settings, shapes
        self._ranking, self._picked = settings.candidates(ranking).sort_values("rank"), settings.picked(shapes)
        follows = settings.follows_ratio(self._ranking)
        if not follows.any():
            raise InputError(
                "Every layer has a share of its own, so there is no ratio to search. Take one out of layer_ratios."
            )
        apart = bool(self._ranking["rank"].duplicated().any())
        parts = ["site", "layer"] if settings.per_layer else ["site"] if apart else []
        groups = [part for _, part in follows.groupby([self._ranking[name] for name in parts])] if parts else [follows]
        largest = max(groups, key=lambda part: (part.any(), len(part)))
        self._size, self._places = len(largest), [0, *(np.flatnonzero(largest) + 1)]
        self.last = len(self._places) - 1
        self._neurons: dict[int, int] = {}

    def ratio(self, step: int) -> float:
        return float(self._places[step] / self._size)

    def neurons(self, step: int) -> int:
        if step not in self._neurons:
            self._neurons[step] = self.mask(step).cut
        return self._neurons[step]

    def mask(self, step: int) -> Mask:
        return self._cut.of_candidates(self._ranking, self._shapes, self.ratio(step)) & self._picked

    def known(self, points: Iterable[Point]) -> dict[int, Point]:
        """Those points of the top order that are one of these steps, by step: as many neurons are the same cut."""
        top = {
            bisect_right(self._places, round(point.ratio * self._size)) - 1: point
            for point in points
            if point.order == "top"
        }
        return {
            step: point if step else replace(point, ratio=0.0)
            for step, point in top.items()
            if self.neurons(step) == point.neurons
        }

    def coarse(self, found: dict[int, Point]) -> list[int]:
        """1, 2, 4 ... and all, without those that are as good as known."""
        steps = [2**power for power in range(self.last.bit_length()) if 2**power < self.last] + [self.last]
        return [step for step in steps if not any(step / NEAR <= other <= step * NEAR for other in found)]


def _first_reached(found: dict[int, Point], target: Target) -> int | None:
    return min((step for step, point in found.items() if target.reached_by(point)), default=None)


def _is_over(found: dict[int, Point], target: Target, step: int) -> bool:
    """Whether the coarse steps need not go on to `step`: a smaller cut reaches the target, or broke the model."""
    smaller = [point for other, point in found.items() if other < step]
    return any(target.reached_by(point) or point.retain > target.retain + BROKEN for point in smaller)


def _widest_promise(found: dict[int, Point], target: Target) -> tuple[int, int] | None:
    """The gap between neighbouring steps to halve next; None where none is left below the smallest that reached it."""
    end = _first_reached(found, target)
    steps = [step for step in sorted(found) if end is None or step <= end]
    gaps = [(low, high) for low, high in pairwise(steps) if high - low > 1]
    return min(gaps, key=lambda gap: _promise(gap, found, target), default=None)


def _promise(gap: tuple[int, int], found: dict[int, Point], target: Target) -> tuple[float, ...]:
    """What a gap promises, smaller for more.

    First where a cut that reaches the target follows one that does not; then where the forget delta passes the
    target's, smaller cuts first; then by how far the target is from the better forget and the better retain delta of
    the two ends taken together, which is 0 where both are passed, but by different ends; then the widest.
    """
    low, high = found[gap[0]], found[gap[1]]
    if target.reached_by(high):
        return (0.0, gap[0])
    if low.forget < target.forget <= high.forget:
        return (1.0, gap[0])
    short = max(0.0, target.forget - max(low.forget, high.forget))
    over = max(0.0, min(low.retain, high.retain) - target.retain)
    return (2.0, short + over, gap[0] - gap[1])
