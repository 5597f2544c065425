"""The numbers of every stage side by side: how much is gone, what it cost, did it come back."""

import math
from collections.abc import Mapping

from unlearning_core.evaluation.metrics import Measurement, nll_delta
from unlearning_core.evaluation.ratio import Estimate

Values = dict[str, float | None]


def metrics_table(
    measurements: Mapping[str, Measurement], concept_words: Mapping[str, Estimate] | None = None
) -> dict[str, Values]:
    """What `metrics.json` holds.

    Args:
        measurements: by stage ("base", "pruned", "retrained"), all on the same sentences; "base" must be there.
        concept_words: concept words in 100 generated words by stage, where texts were generated.

    Returns:
        By stage: concept_nll, retain_nll (nats a token), concept_accuracy, retain_accuracy, concept_words_per_100,
        concept_tokens and retain_tokens; after the base also forget_delta and retain_delta (nats a token against
        base, at concept and at all other tokens) and forget_per_retain, the first over the second, None where the
        retain loss did not rise. Each estimate has a `_stderr` beside it; None where it cannot be estimated.

    Raises:
        ValueError: there is no base.
        InputError: two stages were measured on different sentences.
    """
    if "base" not in measurements:
        raise ValueError("metrics_table needs the stage 'base' to compare with")
    base = measurements["base"]
    table: dict[str, Values] = {}
    for stage, measurement in measurements.items():
        values = measurement.to_dict()
        if concept_words and stage in concept_words:
            values |= _pair("concept_words_per_100", concept_words[stage])
        if stage != "base":
            forget, retain = nll_delta(base, measurement, "concept"), nll_delta(base, measurement, "retain")
            values |= _pair("forget_delta", forget) | _pair("retain_delta", retain)
            values["forget_per_retain"] = forget.value / retain.value if retain.value > 0 else None
        table[stage] = values
    return table


def _pair(name: str, estimate: Estimate) -> Values:
    return {name: _number(estimate.value), f"{name}_stderr": _number(estimate.stderr)}


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
