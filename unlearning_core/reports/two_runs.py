"""Two runs beside each other: what was measured of both, by how much they differ, and in which settings."""

from collections.abc import Mapping
from typing import get_args

import pandas as pd

from unlearning_core.errors import InputError
from unlearning_core.evaluation.measurement import Kind, Measurement, apart_delta, nll_delta
from unlearning_core.evaluation.metric import Metric, Values
from unlearning_core.evaluation.ratio import Estimate, difference, format_value
from unlearning_core.evaluation.registry import METRICS, estimate_of, formatted, shown
from unlearning_core.reports.run_report import settings
from unlearning_core.runs.run import Run

Differences = Mapping[str, Mapping[str, Estimate]]
"""By state, by metric."""

FIRST, SECOND, UNSURE = "first", "second", "not sure"

DIFFERENCE_NOTE = (
    "Difference: the second less the first, with its 95 % interval. Losses of two models on the same sentences are "
    "compared sentence by sentence; for all other numbers the two runs count as independent. Not sure: the "
    "interval holds 0. Of twenty differences that are mere chance, about one is not marked so."
)


def different_settings(one: Run, other: Run) -> pd.DataFrame:
    """Settings that two runs do not share: columns setting, one, other; a dash where a run has no such setting.

    Where a run is written (`output_dir`) is no difference. Raises InputError when a run's settings cannot be read.
    """
    left, right = settings(one.config), settings(other.config)
    names = [name for name in dict.fromkeys([*left, *right]) if name != "output_dir"]
    rows = [(name, left.get(name, "–"), right.get(name, "–")) for name in names if left.get(name) != right.get(name)]
    return pd.DataFrame(rows, columns=["setting", "one", "other"], dtype="str")


def either(one: Values, other: Values) -> dict[str, dict[str, float]]:
    """By state and metric what either of two `metrics.json` has a value for."""
    found: dict[str, dict[str, float]] = {}
    for metrics in (one, other):
        for state, values in metrics.items():
            found.setdefault(state, {}).update({name: value for name, value in values.items() if value is not None})
    return found


def metrics_of_two(one: Values, other: Values, paired: Differences | None = None) -> pd.DataFrame:
    """Two `metrics.json` side by side, with their difference.

    Columns: metric (its title), model (the state), first, second, difference, better. A row for each metric and state
    that either has a value for, in the order of the registry; values with half their 95 % interval, the difference
    (second - first) likewise. `better` is "first" or "second" where the interval of the difference does not hold 0 and
    the metric has a direction, "not sure" where it holds 0, else empty.

    Args:
        paired: differences known better than from the two values (`paired_differences`).
    """
    known, paired = either(one, other), paired or {}
    rows = []
    for metric in shown(known, "table"):
        for state in (state for state, values in known.items() if metric.name in values):
            left, right = one.get(state, {}), other.get(state, {})
            change = paired.get(state, {}).get(metric.name)
            first, second = estimate_of(left, metric.name), estimate_of(right, metric.name)
            if first is None or second is None:
                change = None
            elif change is None:
                change = difference(first, second)
            cells = formatted(left, metric.name), formatted(right, metric.name)
            rows.append((metric.full_title, state, *cells, *_told(metric, change)))
    return pd.DataFrame(rows, columns=["metric", "model", "first", "second", "difference", "better"], dtype="str")


def _told(metric: Metric, change: Estimate | None) -> tuple[str, str]:
    """A difference, and which of the two is better by it."""
    if change is None:
        return "", ""
    written = format_value(change.value, change.stderr, change.interval, signed=True)
    ends = change.ends
    if ends is None or metric.better is None or change.value == 0:
        return written, ""
    low, high = ends
    if low <= 0 <= high:
        return written, UNSURE
    return written, SECOND if (low > 0) == (metric.better == "higher") else FIRST


def paired_differences(one: Run, other: Run) -> dict[str, dict[str, Estimate]]:
    """The second run's losses less the first's, nats a token, where both were measured on the same sentences.

    The standard error is that of the differences sentence by sentence (`nll_delta`): what makes a sentence hard for
    both models cancels. A change against base differs by as much, where both have the same base.
    """
    found: dict[str, dict[str, Estimate]] = {}
    bases = one.measurement("base"), other.measurement("base")
    same_base = bases[0] is not None and bases[1] is not None and bases[0].sentences.equals(bases[1].sentences)
    for state in (state for state in one.states() if state in other.states()):
        first, second = one.measurement(state), other.measurement(state)
        if first is None or second is None:
            continue
        losses = _losses(first, second)
        changes = {name: losses[of] for name, metric in METRICS.items() if (of := metric.change_of) in losses and of}
        found[state] = losses | (changes if same_base and state != "base" else {})
    return found


def _losses(first: Measurement, second: Measurement) -> dict[str, Estimate]:
    try:
        found = {
            f"{kind}_nll": nll_delta(first, second, kind)
            for kind in get_args(Kind)
            if kind in first.kinds and kind in second.kinds
        }
        apart = apart_delta(first, second)
    except InputError:  # other sentences
        return {}
    return found if apart is None else found | {"apart_nll": apart}
