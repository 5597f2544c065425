"""Every metric, one row each: what it is called, how it is computed, where it is shown.

The terminal, the HTML report, the CSV, the charts, the table of runs and the pages read this table and have no list of
metrics of their own. To add a metric, write the function that computes it in a file of its own and add a row at the
end of `_ROWS`. Importing this module loads no torch.
"""

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, get_args

from unlearning_core.evaluation.concept_words import concept_words_per_100
from unlearning_core.evaluation.measurement import Kind, Measurement, apart_delta, nll_delta
from unlearning_core.evaluation.metric import Metric, Place, Section, Values
from unlearning_core.evaluation.proof_metrics import PROOF_ROWS
from unlearning_core.evaluation.ratio import Estimate, format_value

if TYPE_CHECKING:
    from unlearning_core.evaluation.never_knew import Distance


def shown(values: Values, place: Place) -> list[Metric]:
    """The metrics for a place that any state has a value for, as they are read: by section, changes below wholes."""
    order, sections = list(METRICS), get_args(Section)
    known = {name for state in values.values() for name, value in state.items() if value is not None}
    there = [metric for metric in METRICS.values() if place in metric.shown_in and metric.name in known]
    there.sort(key=lambda metric: (order.index(metric.change_of or metric.name), metric.change_of is not None))
    return sorted(there, key=lambda metric: sections.index(metric.section))


def headline(values: Values) -> list[Metric]:
    """The four metrics to look at first; in place of a whole its parts, where they were measured."""
    found = shown(values, "headline")
    wholes = {metric.part_of for metric in found}
    return [metric for metric in found if metric.name not in wholes][:4]


def estimate_of(values: Mapping[str, float | None], name: str) -> Estimate | None:
    """A metric of one state, of a `metrics.json`, with what is known of its error; None where it has no value."""
    value, stderr = values.get(name), values.get(f"{name}_stderr")
    if value is None:
        return None
    ends = values.get(f"{name}_low"), values.get(f"{name}_high")
    interval = (ends[0], ends[1]) if ends[0] is not None and ends[1] is not None else None
    return Estimate(value, math.nan if stderr is None else stderr, interval)


def formatted(values: Mapping[str, float | None], name: str) -> str:
    """A metric of one state for a table: its value with half its 95 % interval, or nothing."""
    found = estimate_of(values, name)
    return "" if found is None else format_value(found.value, found.stderr, found.interval)


def interval(values: Mapping[str, float | None], name: str) -> tuple[float, float]:
    """The ends of a metric's 95 % interval, as `formatted` writes it; both its value where the error is not known."""
    found = estimate_of(values, name)
    if found is None:
        raise ValueError(f"{name} has no value, and so no interval")
    return found.ends or (found.value, found.value)


def _of_kind(kind: Kind, compute: Callable[..., Estimate]) -> Callable[..., Estimate | None]:
    """`compute` with the kind as its last argument, on measurements in which that kind of tokens was told apart."""
    return lambda *measured: compute(*measured, kind) if kind in measured[-1].kinds else None


def _forget_per_retain(base: Measurement, after: Measurement) -> Estimate:
    forget, retain = (nll_delta(base, after, kind).value for kind in ("concept", "retain"))
    return Estimate(forget / retain if retain > 0 else math.nan)


def _quality(distance: "Distance", name: Literal["pvalue", "statistic"]) -> Estimate | None:
    found = distance.forget_quality
    return None if found is None else Estimate(float(getattr(found, name)))


def _tokens(kind: Kind, whose: str) -> Metric:
    return Metric(
        f"{kind}_tokens", f"Tokens measured, {whose}", "How many tokens the means are over.", ("measurement",),
        _of_kind(kind, lambda measurement, kind: Estimate(measurement.tokens(kind))), has_stderr=False, shown_in=(),
    )  # fmt: skip


def _nll(kind: Kind, title: str, meaning: str, **more: Any) -> Metric:
    return Metric(
        f"{kind}_nll", title, meaning, ("measurement",), _of_kind(kind, Measurement.nll), unit="nats/token",
        **{"shown_in": ("table", "headline"), **more},
    )  # fmt: skip


def _accuracy(kind: Kind, title: str, meaning: str, **more: Any) -> Metric:
    return Metric(
        f"{kind}_accuracy", title, meaning, ("measurement",), _of_kind(kind, Measurement.accuracy),
        section="accuracies", shown_in=("table",), **more,
    )  # fmt: skip


def _delta(name: str, kind: Kind, title: str, meaning: str, **more: Any) -> Metric:
    return Metric(
        f"{name}_delta", f"{title}, change against base", meaning, ("base measurement", "measurement"),
        _of_kind(kind, nll_delta), unit="nats/token", change_of=f"{kind}_nll", **{"shown_in": ("table",), **more},
    )  # fmt: skip


def _divergence(texts: str, title: str, meaning: str, **more: Any) -> Metric:
    return Metric(
        f"never_knew_kl_{texts}", f"Divergence from never-knew, {title}", meaning, ("distance",),
        lambda distance: distance.divergence(texts), section="never knew", unit="nats/token", better="lower",
        **{"shown_in": ("table",), **more},
    )  # fmt: skip


# In the order in which metrics.json holds them; `shown` gives the order in which they are read.
_ROWS = (
    _nll("concept", "Concept loss", "How badly the concept's words are predicted.", better="higher"),
    _nll(
        "retain", "Loss on other text, all sentences",
        "How badly words are predicted that are not the concept's, in sentences about it too.", better="lower",
    ),
    _accuracy(
        "concept", "Concept words predicted right", "Share of the concept's words that the model found likeliest.",
        better="lower",
    ),
    _accuracy("retain", "Other text predicted right", "The same share of the words of other text.", better="higher"),
    Metric(
        "apart_nll", "Loss on other text",
        "How badly sentences are predicted in which the concept is not named.", ("measurement",),
        lambda found: found.apart and found.apart.nll("retain"), unit="nats/token", better="lower",
        part_of="retain_nll", shown_in=("table", "headline"),
    ),
    _tokens("concept", "concept"),
    _tokens("retain", "other text"),
    _tokens("neighbour", "neighbours"),
    _nll(
        "neighbour", "Loss on neighbours", "How badly the words near the concept that must stay are predicted.",
        better="lower", part_of="retain_nll",
    ),
    _accuracy("neighbour", "Neighbours predicted right", "The same share of their words.", better="higher"),
    _tokens("rest", "other text without neighbours"),
    _nll(
        "rest", "Loss on other text without neighbours",
        "How badly words are predicted that are neither concept nor neighbour.", better="lower", shown_in=("table",),
    ),
    _accuracy(
        "rest", "Other text without neighbours predicted right", "The same share of what is neither.", better="higher"
    ),
    Metric(
        "concept_words_per_100", "Concept words per 100 written", "How often the concept comes up after the prompts.",
        ("texts", "matcher"), concept_words_per_100, section="texts", better="lower", shown_in=("table", "headline"),
        version=2,
    ),
    _delta(
        "forget", "concept", "Concept loss", "How much is gone.", better="higher", column="Gone",
        shown_in=("table", "runs"),
    ),
    _delta(
        "retain", "retain", "Loss on other text, all sentences",
        "Next to the concept's words a model that never knew them loses too.",
        better="lower",
    ),
    Metric(
        "apart_delta", "Loss on other text, change against base", "What it cost.",
        ("base measurement", "measurement"), apart_delta, unit="nats/token", better="lower", column="Cost",
        change_of="apart_nll", shown_in=("table", "runs"),
    ),
    _delta("neighbour", "neighbour", "Loss on neighbours", "Near 0: they stayed.", better="lower"),
    _delta("rest", "rest", "Loss on other text without neighbours", "What it cost beyond them.", better="lower"),
    Metric(
        "forget_per_retain", "Nats forgotten for each nat lost on other text",
        "Change of the concept loss over the cost.", ("base measurement", "measurement"), _forget_per_retain,
        better="higher", has_stderr=False, shown_in=(),
    ),
    Metric(
        "forget_quality", "Forget quality",
        "Could the answers about the concept come from the model that never knew? Near 0: no; above 0.05: it may be.",
        ("distance",), partial(_quality, name="pvalue"), section="never knew", unit="p-value", has_stderr=False,
        shown_in=("table",),
    ),
    Metric(
        "forget_quality_statistic", "Largest gap between the answers",
        "How far apart the two models' truth ratios lie, 0 to 1; 0 is the same.", ("distance",),
        partial(_quality, name="statistic"), section="never knew", better="lower", has_stderr=False,
        shown_in=("table",),
    ),
    _divergence(
        "forget", "concept",
        "How differently the next word is predicted in text about the concept (KL); 0 is the same.",
        column="Distance", shown_in=("table", "runs"),
    ),
    _divergence("neighbour", "neighbours", "The same in text about things like it, which it should still know."),
    _divergence("retain", "other text", "The same in other text: the cost beyond the concept."),
)  # fmt: skip

METRICS: dict[str, Metric] = {metric.name: metric for metric in (*_ROWS, *PROOF_ROWS)}


def metrics_table(inputs: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, float | None]]:
    """Compute every metric for every state.

    Args:
        inputs: by state, "base" among them, what is known of it by the names that `Metric.needs` uses: `measurement`
            (Measurement, all on the same sentences), `texts` (what it wrote, without the prompts), `matcher` (finds
            the concept in them), `distance` (never_knew.Distance), and the frames of each part of an evaluation by the
            part's name, with `reference` (text_losses.gap_closed). One that is missing or None leaves out the metrics
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
    of_base = _of("base", inputs)
    others = _of("never_knew", inputs) | _of("control", inputs)
    return {
        state: _values({**others, **({} if state == "base" else of_base), **given}) for state, given in inputs.items()
    }


def _of(state: str, inputs: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The inputs of a state that others are compared with, as `Metric.needs` names them."""
    return {f"{state} {name}": value for name, value in inputs.get(state, {}).items()}


def _values(given: Mapping[str, Any]) -> dict[str, float | None]:
    values: dict[str, float | None] = {}
    for name, metric in METRICS.items():
        needed = [given.get(need.removesuffix("?")) for need in metric.needs]
        missing = [need for need, value in zip(metric.needs, needed, strict=True) if value is None]
        if any(not need.endswith("?") for need in missing) or (estimate := metric.compute(*needed)) is None:
            continue
        values[name] = None if math.isnan(estimate.value) else estimate.value
        if metric.has_stderr:
            values[f"{name}_stderr"] = None if math.isnan(estimate.stderr) else estimate.stderr
        if estimate.interval is not None:
            values[f"{name}_low"], values[f"{name}_high"] = estimate.interval
    return values
