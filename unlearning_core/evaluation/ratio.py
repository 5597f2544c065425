"""Estimates with their standard errors: how they are made from sums over independent units, and how they are written.

There is one convention for everything that a person sees: ± is half a 95 % interval, `Z95` standard errors.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Real

Z95 = 1.96
"""Standard errors in half a 95 % interval of the normal distribution."""

INTERVAL_NOTE = f"± is half a 95 % interval ({Z95} standard errors)."

NATS_NOTE = "A loss is told in nats a token: each +0.69 makes a word half as likely, each +2.3 a tenth as likely."


@dataclass(frozen=True)
class Estimate:
    """A number and how far it may be off.

    Attributes:
        value: the estimate, whole where it is a count; NaN when there was nothing to measure.
        stderr: its standard error; NaN when fewer than two units hold anything to measure.
        interval: the ends of its 95 % interval, where that is not `Z95` standard errors to both sides.
    """

    value: float | int
    stderr: float = math.nan
    interval: tuple[float, float] | None = None

    @property
    def ends(self) -> tuple[float, float] | None:
        """The ends of its 95 % interval, symmetric or not; None where its error is not known."""
        if self.interval is not None:
            return self.interval
        half = Z95 * self.stderr
        return None if math.isnan(half) else (self.value - half, self.value + half)


def difference(first: Estimate, second: Estimate) -> Estimate:
    """second - first, of two independent estimates.

    Where an interval is not symmetric, that of the difference is recovered from the two (MOVER: Zou and Donner,
    Statistics in Medicine 27, 2008; for shares it is Newcombe's method 10, Statistics in Medicine 17, 1998):
    d - sqrt((second - its low)^2 + (first's high - first)^2) to d + sqrt((second's high - second)^2 + (first - its
    low)^2).
    """
    value = second.value - first.value
    if first.interval is None and second.interval is None:
        return Estimate(value, math.hypot(first.stderr, second.stderr))
    ours, theirs = first.ends, second.ends
    if ours is None or theirs is None:
        return Estimate(value)
    low = value - math.hypot(second.value - theirs[0], ours[1] - first.value)
    high = value + math.hypot(theirs[1] - second.value, first.value - ours[0])
    return Estimate(value, interval=(low, high))


def format_value(
    value: float | int | None,
    stderr: float | None,
    interval: tuple[float, float] | None = None,
    *,
    signed: bool = False,
) -> str:
    """A number with half its 95 % interval, or with the ends of one that is not symmetric; nothing for None.

    A number without a standard error (None or NaN) that is too small for three decimals has an exponent. `signed`: a
    number that is not negative has a plus before it, as a difference has.
    """
    if value is None:
        return ""
    sign = "+" if signed else ""
    if interval is not None:
        return f"{value:{sign}.3f} ({interval[0]:{sign}.3f} to {interval[1]:{sign}.3f})"
    if stderr is not None and not math.isnan(stderr):
        return f"{value:{sign}.3f} ± {Z95 * stderr:.3f}"
    return f"{value:{sign}.0e}" if 0 < abs(value) < 0.0005 else f"{value:{sign}.3f}"


def format_likelihood(change: Estimate) -> tuple[str, str]:
    """A change of the loss, nats a token, as people say it: "31 x less likely", and its 95 % interval "26 to 37 x".

    The factor is exp(change): by so much the probability of a token falls, in the geometric mean. The interval is
    empty where there is none.
    """
    ends = change.ends
    if math.isnan(change.value):
        return "not measured", ""
    said = (
        "as likely as before"
        if _as_before(change.value)
        else f"{format_factor(change.value)} x {_direction(change.value)}"
    )
    if ends is None:
        return said, ""
    first, last = (format_factor(end) for end in (ends if change.value >= 0 else reversed(ends)))
    if ends[0] < 0 < ends[1]:
        other = _direction(-1.0 if change.value >= 0 else 1.0).split()[0]
        return said, f"{first} x {other} to {last} x {_direction(change.value or 1.0)}"
    return said, f"{first} to {last} x" if first != last else "" if last == "1.00" else f"{last} x"


def _direction(nats: float) -> str:
    return "less likely" if nats > 0 else "more likely"


def _as_before(nats: float) -> bool:
    return format_factor(nats) == "1.00"


def format_factor(nats: float) -> str:
    """exp(|nats|), by how much likelier or less likely, in two digits: "1.07", "2.7", "31", "160,000", "11 million"."""
    if abs(nats) > math.log(1e9):
        return "over 1,000 million"
    factor = math.exp(abs(nats))
    if factor < 9.95:
        return f"{factor:.2f}" if factor < 1.995 else f"{factor:.1f}"
    if factor < 995_000:
        return f"{float(f'{factor:.2g}'):,.0f}"
    return f"{factor / 1e6:.1f} million" if factor < 9.95e6 else f"{float(f'{factor / 1e6:.2g}'):,.0f} million"


def ratio_estimate(numerators: Real[np.ndarray, " units"], denominators: Real[np.ndarray, " units"]) -> Estimate:
    """sum(numerators) / sum(denominators), its standard error clustered by unit.

    Tokens of one sentence are not independent, sentences are: the unit is the cluster, and the estimator is the
    ratio estimator of survey sampling (Cochran, Sampling Techniques, 1977, section 2.11; with m units and
    r = sum y / sum n, SE^2 = m / (m - 1) * sum (y_i - r n_i)^2 / (sum n)^2).

    Args:
        numerators: sums within a unit, such as nats.
        denominators: how many things each sum is over; a unit with zero counts for nothing.
    """
    counted = denominators > 0
    sums, counts = (values[counted].astype(np.float64) for values in (numerators, denominators))
    units, total = len(counts), float(counts.sum())
    if units == 0:
        return Estimate(math.nan)
    value = float(sums.sum()) / total
    if units == 1:
        return Estimate(value)
    residuals = sums - value * counts
    return Estimate(value, math.sqrt(units / (units - 1) * float(residuals @ residuals)) / total)


def share_estimate(hits: Real[np.ndarray, " units"], asked: Real[np.ndarray, " units"] | None = None) -> Estimate:
    """The share of what was asked that was hit, by `ratio_estimate`; all or none hit is not known without an error.

    Where no unit differs from another, the standard error is 0 however few there are. The interval is Wilson's then
    (Journal of the American Statistical Association 22, 1927), of as many trials as units: for none of n it ends at
    z^2 / (n + z^2).

    Args:
        hits: how many within a unit, such as a question.
        asked: of how many; one a unit if not given.
    """
    counts = np.ones(len(hits)) if asked is None else asked
    found, units = ratio_estimate(hits, counts), int((counts > 0).sum())
    if units == 0 or found.value not in (0, 1):
        return found
    reach = Z95**2 / (units + Z95**2)
    return Estimate(found.value, found.stderr, (0.0, reach) if found.value == 0 else (1 - reach, 1.0))
