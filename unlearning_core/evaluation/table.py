"""The metrics of every state of the model side by side: how much is gone, what it cost, did it come back."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from unlearning_core.concepts.matcher import Matcher
from unlearning_core.evaluation.measurement import Measurement
from unlearning_core.evaluation.registry import METRICS

if TYPE_CHECKING:
    from unlearning_core.evaluation.never_knew import Distance


@runtime_checkable
class Results(Protocol):
    """Where results by state are kept (`runs.run.Run`); each is None where the state has none."""

    def measurement(self, state: str, /) -> Measurement | None:
        """Losses on held-out sentences."""

    def written(self, state: str, /) -> Sequence[Mapping[str, Any]] | None:
        """What the model wrote after the test prompts; `text` holds the text."""

    def distance(self, state: str, /) -> "Distance | None":
        """Comparison with the model that never knew."""


def metrics_of_run(results: Results, states: Iterable[str], matcher: Matcher) -> dict[str, dict[str, float | None]]:
    """What `metrics.json` holds, for those of the states that are measured."""
    inputs = {}
    for state in states:
        written, found = results.written(state), {"matcher": matcher, "measurement": results.measurement(state)}
        texts = None if written is None else [text["text"] for text in written]
        if found["measurement"] is not None:
            inputs[state] = found | {"texts": texts, "distance": results.distance(state)}
    return metrics_table(inputs)


def metrics_table(inputs: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, float | None]]:
    """Compute every metric of the registry for every state.

    Args:
        inputs: by state, "base" among them, what is known of it by the names that `Metric.needs` uses: `measurement`
            (Measurement, all on the same sentences), `texts` (what it wrote, without the prompts), `matcher` (finds
            the concept in them), `distance` (never_knew.Distance). One that is missing or None leaves out the metrics
            that need it.

    Returns:
        By state, by metric in the registry's order, the value, None where it cannot be estimated; after it
        `NAME_stderr`, where the metric has a standard error.

    Raises:
        ValueError: there is no base.
        InputError: two states were measured on different sentences.
    """
    if "base" not in inputs:
        raise ValueError("metrics_table needs the state 'base' to compare with")
    of_base = {f"base {name}": value for name, value in inputs["base"].items()}
    return {state: _values(given if state == "base" else {**of_base, **given}) for state, given in inputs.items()}


def _values(given: Mapping[str, Any]) -> dict[str, float | None]:
    values: dict[str, float | None] = {}
    for name, metric in METRICS.items():
        needed = [given.get(need) for need in metric.needs]
        if any(value is None for value in needed) or (estimate := metric.compute(*needed)) is None:
            continue
        values[name] = _number(estimate.value)
        if metric.has_stderr:
            values[f"{name}_stderr"] = _number(estimate.stderr)
    return values


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
