"""The numbers of every stage side by side: how much is gone, what it cost, did it come back."""

import math
from collections.abc import Mapping

from unlearning_core.evaluation.likelihood import PARTS, Measurement, nll_delta
from unlearning_core.evaluation.never_knew import TEXT_SETS, Distance
from unlearning_core.evaluation.ratio import Estimate

Values = dict[str, float | None]


def metrics_table(
    measurements: Mapping[str, Measurement],
    concept_words: Mapping[str, Estimate] | None = None,
    distances: Mapping[str, Distance] | None = None,
) -> dict[str, Values]:
    """What `metrics.json` holds.

    Args:
        measurements: by stage ("base", "pruned", "retrained"), all on the same sentences; "base" must be there.
        concept_words: concept words in 100 generated words by stage, where texts were generated.
        distances: from the never-knew model by stage, where there is one.

    Returns:
        By stage: concept_nll, retain_nll (nats a token), concept_accuracy, retain_accuracy, concept_words_per_100,
        concept_tokens and retain_tokens; after the base also forget_delta and retain_delta (nats a token against
        base, at concept and at all other tokens) and forget_per_retain, the first over the second, None where the
        retain loss did not rise. Where sentences have neighbours the retain tokens come in two parts too:
        neighbour_nll, neighbour_delta and so on at the neighbours' tokens, rest_nll and so on at all that is neither.
        With a distance also what `distance_values` gives. Each estimate has a `_stderr` beside it; None where it cannot
        be estimated.

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
            for kind in PARTS if measurement.has_neighbours else ():
                values |= _pair(f"{kind}_delta", nll_delta(base, measurement, kind))
            values["forget_per_retain"] = forget.value / retain.value if retain.value > 0 else None
        if distances and stage in distances:
            values |= distance_values(distances[stage])
        table[stage] = values
    return table


def distance_values(distance: Distance) -> Values:
    """forget_quality (a p-value) and forget_quality_statistic, which have no standard error, and the divergences
    never_knew_kl_forget, never_knew_kl_neighbour and never_knew_kl_retain in nats a token; only what was measured.
    """
    values: Values = {}
    quality = distance.forget_quality
    if quality is not None:
        values |= {"forget_quality": quality.p_value, "forget_quality_statistic": quality.statistic}
    for name in TEXT_SETS:
        estimate = distance.divergence(name)
        if estimate is not None:
            values |= _pair(f"never_knew_kl_{name}", estimate)
    return values


def _pair(name: str, estimate: Estimate) -> Values:
    return {name: _number(estimate.value), f"{name}_stderr": _number(estimate.stderr)}


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
