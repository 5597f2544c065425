"""What the metrics of a run say, in sentences for a person who does not know the numbers."""

import math
from collections.abc import Mapping

Metrics = Mapping[str, Mapping[str, float | None]]

CHEAP = 0.05
"""Nats a token: a rise of the loss on all other text up to this (5 % perplexity) is called a small price."""

_SURE = 1.96
_WRITTEN = "concept_words_per_100"


def verdict(metrics: Metrics) -> str:
    """One sentence: whether the last stage of the run has forgotten the concept, and at what price.

    Args:
        metrics: what `metrics.json` holds; at least the stage "base".
    """
    stage = _last(metrics)
    if stage is None:
        return "Nothing has been cut yet, so there is nothing to judge."
    forget, error = _pair(metrics[stage], "forget_delta")
    apart = metrics[stage].get("neighbour_delta") is not None
    price, _ = _pair(metrics[stage], "rest_delta" if apart else "retain_delta")
    if forget - _SURE * error <= 0:
        return f"The {stage} model has not measurably forgotten the concept."
    degree = "mostly forgotten" if math.exp(forget) >= 10 else "partly forgotten" if math.exp(forget) >= 2 else "dimmed"
    costs = "at hardly any cost" if price <= 0 else "at a small cost" if price <= CHEAP else "at a noticeable cost"
    but = [
        *(["its neighbours pay for it"] if _neighbours_pay(metrics[stage]) else []),
        *(["it still writes the concept's words"] if _still_written(metrics, stage) else []),
    ]
    end = f", but {' and '.join(but)}" if but else ""
    return f"In the {stage} model the concept is {degree}, {costs} to everything else{end}."


def _neighbours_pay(values: Mapping[str, float | None]) -> bool:
    """Whether the loss on the neighbours has measurably risen, by more than a small price."""
    rise, error = _pair(values, "neighbour_delta")
    return rise > CHEAP and rise - _SURE * error > 0


def _still_written(metrics: Metrics, stage: str) -> bool:
    """Whether what the stage writes holds at least half as many of the concept's words as what the base writes."""
    base, last = (metrics.get(name, {}).get(_WRITTEN) for name in ("base", stage))
    return base is not None and last is not None and base > 0 and last >= base / 2


def findings(metrics: Metrics) -> list[str]:
    """How much is gone, what it cost, and whether it came back: a sentence each, as far as it was measured."""
    if _last(metrics) is None:
        return []
    sentences: list[str] = []
    if "pruned" in metrics:
        sentences += [_gone("pruned", metrics["pruned"]), *_costs("pruned", metrics["pruned"])]
    if "retrained" in metrics:
        sentences += [_came_back(metrics), *_costs("retrained", metrics["retrained"])]
    return sentences + _on_the_page(metrics)


def _last(metrics: Metrics) -> str | None:
    there = [stage for stage, values in metrics.items() if values.get("forget_delta") is not None]
    return there[-1] if there else None


def _pair(values: Mapping[str, float | None], name: str) -> tuple[float, float]:
    return values.get(name) or 0.0, values.get(f"{name}_stderr") or 0.0


def _gone(stage: str, values: Mapping[str, float | None]) -> str:
    forget, error = _pair(values, "forget_delta")
    if abs(forget) <= _SURE * error:
        return f"Gone: the {stage} model predicts the concept's words as well as before, within the error."
    factor, direction = math.exp(abs(forget)), "less" if forget > 0 else "more"
    low, high = (math.exp(abs(forget) + sign * _SURE * error) for sign in (-1, 1))
    return (
        f"Gone: the {stage} model thinks each word of the concept {factor:.3g} times {direction} likely than before, "
        f"on average (95 % interval {low:.3g} to {high:.3g})."
    )


def _costs(stage: str, values: Mapping[str, float | None]) -> list[str]:
    found = [f"Cost: the perplexity of the {stage} model on all other words changed by {_change(values, 'retain')}."]
    if values.get("neighbour_delta") is not None:
        found.append(
            f"Neighbours: on the words that were to stay it changed by {_change(values, 'neighbour')}, on everything "
            f"else by {_change(values, 'rest')}."
        )
    return found


def _change(values: Mapping[str, float | None], kind: str) -> str:
    price, error = _pair(values, f"{kind}_delta")
    low, high = (_percent(price + sign * _SURE * error) for sign in (-1, 1))
    return f"{_percent(price)} (95 % interval {low} to {high})"


def _came_back(metrics: Metrics) -> str:
    forget, error = _pair(metrics["retrained"], "forget_delta")
    cut, cut_error = _pair(metrics.get("pruned", {}), "forget_delta")
    if cut - _SURE * cut_error <= 0:
        return f"After retraining the concept's loss stands {forget:+.2f} ± {error:.2f} nats from where it began."
    share = 100 * forget / cut
    return (
        f"Came back: after retraining, {max(0.0, min(share, 100.0)):.0f} % of the loss that the cut added to the "
        f"concept's words is still there ({forget:.2f} ± {error:.2f} of {cut:.2f} ± {cut_error:.2f} nats)."
    )


def _on_the_page(metrics: Metrics) -> list[str]:
    there = {stage: value for stage, values in metrics.items() if (value := values.get(_WRITTEN)) is not None}
    if "base" not in there or len(there) < 2:
        return []
    listed = ", ".join(f"{value:.1f} ({stage})" for stage, value in there.items())
    return [f"On the page: of 100 words written after the test prompts, so many belong to the concept: {listed}."]


def _percent(nats: float) -> str:
    percent = 100 * math.expm1(nats)
    return f"{percent:+.0f} %" if abs(percent) >= 100 else f"{percent:+.1f} %"
