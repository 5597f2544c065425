"""The Pareto front of measured recipes, and its knee: much forgotten, little paid. No torch."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from unlearning_core.evaluation.curves import BUDGET


def front(forgotten: Sequence[float], cost: Sequence[float]) -> list[int]:
    """Places of the points that no other point beats: none forgets as much for less, or more for as little.

    Of points that are equal on both axes the first one stands for all.

    Args:
        forgotten: of each point, larger is better.
        cost: of each point, smaller is better; a point with a NaN on either axis is on no front.

    Returns:
        The places by falling `forgotten`.
    """
    order = sorted(
        (place for place in range(len(cost)) if np.isfinite(forgotten[place]) and np.isfinite(cost[place])),
        key=lambda place: (-forgotten[place], cost[place], place),
    )
    found, cheapest = list[int](), np.inf
    for place in order:
        if cost[place] < cheapest:
            found.append(place)
            cheapest = cost[place]
    return found


def bulge(forgotten: Sequence[float], cost: Sequence[float]) -> Float[np.ndarray, " points"]:
    """How far each point lies beyond the line from doing nothing to the far end of the front.

    Doing nothing forgets 0 for 0; the far end is the most that any of the points forgets and costs, and its cost is
    taken to be `BUDGET` at least: between recipes that all cost next to nothing what they cost says nothing. With both
    axes scaled to 0 .. 1 between the two ends it is (scaled forgotten) - (scaled cost): the distance to the line times
    the square root of 2, 0 at the ends and largest at the knee. Source: Das, "On characterizing the 'knee' of the
    Pareto curve based on normal-boundary intersection", Structural Optimization 18, 1999.
    """
    gone, paid = np.asarray(forgotten, dtype=np.float64), np.asarray(cost, dtype=np.float64)
    most, dearest = gone.max(initial=0.0), paid.max(initial=BUDGET)
    return gone / (most or 1.0) - paid / dearest


def knee(forgotten: Sequence[float], cost: Sequence[float], enough: Sequence[bool]) -> int:
    """The place of the point to take: the knee of the front's part that forgets enough.

    A recipe that does not forget enough is none, however cheap it is: where points of the front do, the one of these
    with the largest `bulge` is taken, else that of the whole front; of equals the one that forgets more.

    Args:
        enough: of each point, whether it forgets enough.

    Raises:
        ValueError: there is no point.
    """
    places = front(forgotten, cost)
    if not places:
        raise ValueError("there is no point to choose from")
    beyond = bulge([forgotten[place] for place in places], [cost[place] for place in places])
    allowed = [number for number, place in enumerate(places) if enough[place]] or range(len(places))
    return places[max(allowed, key=lambda number: (beyond[number], forgotten[places[number]]))]
