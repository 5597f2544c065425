"""Ablation sweep: how the loss on the concept and on everything else changes as ever more neurons are cut.

A ranking is cut from its top, from its bottom, and at random with as many neurons in each layer as the cut from the
top takes there. A ranking that found the concept's neurons raises the concept's loss from the top and does not from
the bottom; one that beats no random cut of the same neurons a layer has found nothing (NeuroX's ablation curves,
Dalvi et al. 2019; the control by layer, because layers differ in how much a cut of them costs).

Protected neurons (the writers of the attention sink) are cut last in all three orders: cutting them breaks any model,
which would make the bottom and the random cut look worse than they are.
"""

import logging
import math
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import pandas as pd

from unlearning_core.edits.control_cuts import bottom_first, random_like
from unlearning_core.edits.cut_settings import CutSettings
from unlearning_core.edits.mask import Mask, Shapes
from unlearning_core.edits.token_rows import TokenRows
from unlearning_core.errors import InputError
from unlearning_core.evaluation.measurement import nll_delta
from unlearning_core.progress import Progress, ProgressCallback, silent

if TYPE_CHECKING:
    from unlearning_core.evaluation.likelihood import Meter

logger = logging.getLogger(__name__)

Order = Literal["top", "bottom", "random"]
ORDERS: tuple[Order, ...] = get_args(Order)
MEASURED: tuple[Order, ...] = ("top", "random", "bottom")
"""The orders as they are measured: what matters most comes first."""

RATIOS = (0.0, 0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2)
"""Nothing, and 0.1 % to 20 % in about equal steps of the logarithm."""


@dataclass(frozen=True)
class SweepSettings:
    """What is cut in a sweep.

    Attributes:
        ratios: shares of the ranked neurons outside the protected layers, 0 to 1; 0 is always among them.
        draws: random cuts at every ratio.
        per_layer: every layer gives the same share.
        protected_layers: layers of which nothing is cut.
        excluded_neurons: (site, layer, index) of neurons that are not cut.
        picked_neurons: likewise, of neurons that every cut from the top takes; random cuts have as many others.
        layer_ratios: (layer, share) of layers that give that share at every ratio.
        seed: of the random cuts.
        stop_at: retain delta in nats a token beyond which an order's larger ratios are left out: the model is broken.
    """

    ratios: tuple[float, ...] = RATIOS
    draws: int = 3
    per_layer: bool = False
    protected_layers: tuple[int, ...] = ()
    excluded_neurons: tuple[tuple[str, int, int], ...] = ()
    picked_neurons: tuple[tuple[str, int, int], ...] = ()
    layer_ratios: tuple[tuple[int, float], ...] = ()
    seed: int = 0
    stop_at: float = 2.0

    def __post_init__(self) -> None:
        wrong = [ratio for ratio in self.ratios if not 0 <= ratio <= 1]
        if wrong:
            raise InputError(f"ratios has {wrong[0]}; each must be from 0 (cut none) to 1 (cut all).")
        if self.draws < 1:
            raise InputError(f"draws is {self.draws}; at least 1 random cut is needed.")
        object.__setattr__(self, "ratios", tuple(sorted({0.0, *map(float, self.ratios)})))
        for name in ("protected_layers", "excluded_neurons", "picked_neurons", "layer_ratios"):
            object.__setattr__(self, name, tuple(sorted(set(getattr(self, name)))))

    @property
    def cut(self) -> CutSettings:
        """The cuts that are measured, without a ratio."""
        return CutSettings(
            0.0,
            self.per_layer,
            self.protected_layers,
            self.excluded_neurons,
            picked_neurons=self.picked_neurons,
            layer_ratios=self.layer_ratios,
        )

    def draws_of(self, order: Order) -> int:
        """How many cuts of an order there are at each ratio."""
        return self.draws if order == "random" else 1

    def cuts(self, orders: tuple[Order, ...] = MEASURED) -> int:
        """How many points a sweep of these orders has if none of them ends early."""
        return len(self.ratios) * sum(self.draws_of(order) for order in orders)


@dataclass(frozen=True)
class Point:
    """One cut, measured against base on the same sentences; standard errors are paired, clustered by sentence.

    Attributes:
        order: top, bottom or random.
        draw: which random cut; 0 in the other orders.
        ratio: the share that was asked for.
        neurons: how many neurons it cuts.
        forget: change of the concept tokens' mean negative log-likelihood, nats a token.
        retain: the same of all other tokens.
        neighbour: of these the neighbours' alone; NaN where the sentences have none.
    """

    order: Order
    draw: int
    ratio: float
    neurons: int
    forget: float
    forget_stderr: float
    retain: float
    retain_stderr: float
    neighbour: float = math.nan
    neighbour_stderr: float = math.nan

    def to_dict(self) -> dict[str, Any]:
        """A JSON-able form; what is not a number (a standard error over one sentence) becomes None."""
        values = asdict(self)
        return {name: None if isinstance(v, float) and math.isnan(v) else v for name, v in values.items()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Point":
        """Back from `to_dict`; points from before there were neighbours have none."""
        known: dict[str, Any] = {
            field.name: math.nan if values.get(field.name) is None else values[field.name] for field in fields(cls)
        }
        return cls(**known)


def sweep(
    meter: "Meter",
    ranking: pd.DataFrame,
    settings: SweepSettings,
    *,
    orders: tuple[Order, ...] = MEASURED,
    rows: TokenRows | None = None,
    known: Iterable[Point] = (),
    on_point: Callable[[Point], None] | None = None,
    progress: ProgressCallback = silent,
) -> pd.DataFrame:
    """Measure a ranking's cuts at every ratio, in every order or in some.

    Args:
        meter: the model and the held-out sentences; sweeps of several rankings may share one.
        ranking: columns site, layer, index and rank; `protected`, where it is there, marks the neurons cut last.
        rows: token rows that are moved in every point, those of random cuts and of none too.
        known: points measured before with the same meter, ranking, rows and settings (ratios may differ): not measured
            again.
        on_point: called with each new point, to keep it; what was kept can be given as `known` after a stop.
        progress: told before every point; may raise Stopped.

    Returns:
        A row a point with the fields of `Point`. An order whose retain delta (of random cuts: its mean) passed
        `settings.stop_at` ends there.

    Raises:
        InputError: the ranking is not of this model, or a layer to protect does not exist.
        WorkFailed: the model's output is not a number.
    """
    found = {(point.order, point.draw, point.ratio): point for point in known}
    cuts = _Cuts(ranking, meter.loaded.map.shapes, settings)
    total = settings.cuts(orders)
    points: list[Point] = []
    logger.info("Sweeping %d ratios, %d random draws each", len(settings.ratios), settings.draws)
    for order in orders:
        for ratio in settings.ratios:
            here: list[Point] = []
            for draw in range(settings.draws_of(order)):
                progress(Progress("measuring cuts", len(points) + len(here), total, "cuts"))
                point = found.get((order, draw, ratio))
                if point is None:
                    point = measured(meter, cuts.mask(order, draw, ratio), order, draw, ratio, rows)
                    if on_point is not None:
                        on_point(point)
                here.append(point)
            points += here
            if float(np.mean([point.retain for point in here])) > settings.stop_at:
                break
    progress(Progress("measuring cuts", total, total, "cuts"))
    return to_frame(points)


def to_frame(points: Iterable[Point]) -> pd.DataFrame:
    """A row a point."""
    return pd.DataFrame([asdict(point) for point in points], columns=[field.name for field in fields(Point)])


def measured(meter: "Meter", mask: Mask, order: Order, draw: int, ratio: float, rows: TokenRows | None = None) -> Point:
    """One cut, with `rows` moved beside it, against the base; an edit of nothing costs nothing."""
    kinds = [kind for kind in meter.base.kinds if kind != "rest"]
    if not mask.cut and rows is None:
        return Point(order, draw, ratio, 0, *(2 * len(kinds)) * [0.0])
    after = meter.measure(mask, rows=rows)
    deltas = [nll_delta(meter.base, after, kind) for kind in kinds]
    return Point(order, draw, ratio, mask.cut, *(part for delta in deltas for part in (delta.value, delta.stderr)))


class _Cuts:
    """The masks of one ranking in the three orders."""

    def __init__(self, ranking: pd.DataFrame, shapes: Shapes, settings: SweepSettings) -> None:
        self._shapes, self._settings, self._cut = shapes, settings, settings.cut
        self._ranking, self._picked = self._cut.candidates(ranking), self._cut.picked(shapes)
        self._bottom, self._pool = bottom_first(self._ranking), self._cut.pool(ranking, shapes)

    def mask(self, order: Order, draw: int, ratio: float) -> Mask:
        if order == "bottom":  # of the ranking alone: what was picked by hand is no part of it
            return self._cut.of_candidates(self._bottom, self._shapes, ratio)
        mask = self._cut.of_candidates(self._ranking, self._shapes, ratio) & self._picked
        return mask if order != "random" else random_like(mask, self._pool, [self._settings.seed, draw])
