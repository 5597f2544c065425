"""Every metric, one row each: what it is called, how it is computed, where it is shown.

The terminal, the HTML report, the CSV, the charts, the table of runs and the pages read this table and have no list of
metrics of their own. To add a metric, write the function that computes it in a file of its own and add a row at the
end of `_ROWS`. Importing this module loads no torch.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, get_args

from unlearning_core.evaluation.concept_words import concept_words_per_100
from unlearning_core.evaluation.measurement import Kind, Measurement, nll_delta
from unlearning_core.evaluation.ratio import Estimate, format_value

if TYPE_CHECKING:
    from unlearning_core.evaluation.never_knew import Distance

Place = Literal["table", "headline", "runs"]
"""Where a metric is shown: tables of one run (terminal, HTML, pages), the few bars of a page, the table of all runs.
`metrics.json` and the CSV hold every metric.
"""

Section = Literal["losses", "accuracies", "texts", "memorised", "inside", "never knew"]

Values = Mapping[str, Mapping[str, float | None]]
"""What `metrics.json` holds: by state, by metric; the standard error of `name` is `name_stderr`."""


@dataclass(frozen=True)
class Metric:
    """One metric.

    Attributes:
        name: its key in `metrics.json`.
        title: what people read, without the unit.
        help: one sentence: what it says.
        needs: what it is computed from, by name of an input of the state (see `metrics_table`). An input of the base
            model is "base NAME"; a metric that needs one is not computed for the base.
        compute: gets these inputs in this order; returns None where they say nothing about this metric.
        section: tables group metrics by it.
        unit: of the value and its standard error.
        better: which direction is better after unlearning, if either is.
        column: title of a column in the table of all runs, where there is little room; `title` unless given.
        has_stderr: whether the value comes with a standard error.
        change_of: the metric whose change against base this is; it is shown right below that one.
        part_of: the metric over tokens of which this one has a part; the bars show the parts in place of the whole.
        shown_in: where it is shown.
        version: rises when the same inputs give another value.
    """

    name: str
    title: str
    help: str
    needs: tuple[str, ...]
    compute: Callable[..., Estimate | None]
    section: Section = "losses"
    unit: str = ""
    better: Literal["higher", "lower"] | None = None
    column: str = ""
    has_stderr: bool = True
    change_of: str | None = None
    part_of: str | None = None
    shown_in: tuple[Place, ...] = ("table", "runs")
    version: int = 1

    @property
    def full_title(self) -> str:
        """Title with the unit in brackets."""
        return f"{self.title} ({self.unit})" if self.unit else self.title

    @property
    def row_title(self) -> str:
        """Title of its row in a table where the metric that it is a change of stands above it."""
        return "… change against base" if self.change_of else self.full_title

    @property
    def meaning(self) -> str:
        """`help`, and which direction is better."""
        return f"{self.help} {self.better.capitalize()} is better." if self.better else self.help


def shown(values: Values, place: Place) -> list[Metric]:
    """The metrics for a place that any state has a value for, as they are read: by section, changes below wholes."""
    order, sections = list(METRICS), get_args(Section)
    known = {name for state in values.values() for name, value in state.items() if value is not None}
    there = [metric for metric in METRICS.values() if place in metric.shown_in and metric.name in known]
    there.sort(key=lambda metric: (order.index(metric.change_of or metric.name), metric.change_of is not None))
    return sorted(there, key=lambda metric: sections.index(metric.section))


def headline(values: Values) -> list[Metric]:
    """The three metrics to look at first; in place of a whole its parts, where they were measured."""
    found = shown(values, "headline")
    wholes = {metric.part_of for metric in found}
    return [metric for metric in found if metric.name not in wholes][:3]


def formatted(values: Mapping[str, float | None], name: str) -> str:
    """A metric of one state for a table: its value with half its 95 % interval, or nothing."""
    return format_value(values.get(name), values.get(f"{name}_stderr"))


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
        shown_in=("table", "headline"), **more,
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


def _late(module: str, function: str, *first: Any) -> Callable[..., Estimate | None]:
    """A function of a module of this folder, imported when it is called: those modules import torch."""

    def compute(*given: Any) -> Estimate | None:
        found: Estimate | None = getattr(import_module(f"unlearning_core.evaluation.{module}"), function)(
            *first, *given
        )
        return found

    return compute


def _memorised(name: str, title: str, meaning: str, function: str, *first: Any, **more: Any) -> Metric:
    return Metric(
        name, title, meaning, ("memorisation",), _late("memorisation", function, *first), section="memorised",
        **{"better": "lower", "shown_in": ("table",), **more},
    )  # fmt: skip


def _inside(name: str, title: str, meaning: str, part: str, **more: Any) -> Metric:
    return Metric(
        name, title, meaning, (part,), _late(part, name), section="inside", **{"shown_in": ("table",), **more},
    )  # fmt: skip


# In the order in which metrics.json holds them; `shown` gives the order in which they are read.
_ROWS = (
    _nll("concept", "Concept loss", "How badly the concept's words are predicted.", better="higher"),
    _nll("retain", "Loss elsewhere", "How badly all other words are predicted.", better="lower"),
    _accuracy(
        "concept", "Concept words guessed right", "Share of the concept's words that came first.", better="lower",
    ),
    _accuracy("retain", "Other words guessed right", "The same share of all other words.", better="higher"),
    _tokens("concept", "concept"),
    _tokens("retain", "elsewhere"),
    _tokens("neighbour", "neighbours"),
    _nll(
        "neighbour", "Loss on neighbours", "How badly the words near the concept that must stay are predicted.",
        better="lower", part_of="retain_nll",
    ),
    _accuracy("neighbour", "Neighbours' words guessed right", "The same share of theirs.", better="higher"),
    _tokens("rest", "the rest"),
    _nll(
        "rest", "Loss on everything else", "How badly words are predicted that are neither concept nor neighbour.",
        better="lower", part_of="retain_nll",
    ),
    _accuracy("rest", "All else guessed right", "The same share of what is neither.", better="higher"),
    Metric(
        "concept_words_per_100", "Concept words in 100 written", "How often the concept comes up after the prompts.",
        ("texts", "matcher"), concept_words_per_100, section="texts", better="lower", shown_in=("table", "headline"),
        version=2,
    ),
    _delta(
        "forget", "concept", "Concept loss", "How much is gone.", better="higher", column="Gone",
        shown_in=("table", "runs"),
    ),
    _delta(
        "retain", "retain", "Loss elsewhere", "What it cost.", better="lower", column="Cost",
        shown_in=("table", "runs"),
    ),
    _delta("neighbour", "neighbour", "Loss on neighbours", "Near 0: they stayed.", better="lower"),
    _delta("rest", "rest", "Loss on everything else", "What it cost beyond them.", better="lower"),
    Metric(
        "forget_per_retain", "Forgotten for each nat lost elsewhere", "Change of the concept loss over the cost.",
        ("base measurement", "measurement"), _forget_per_retain, better="higher", has_stderr=False, shown_in=(),
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
        "forget", "concept", "How differently the next word is expected in text about the concept (KL); 0 is the same.",
        column="To never-knew", shown_in=("table", "runs"),
    ),
    _divergence("neighbour", "neighbours", "The same in text about things like it, which it should still know."),
    _divergence("retain", "the rest", "The same in all other text: the cost beyond the concept."),
    _memorised(
        "answer_probability", "Probability of the right answer",
        "How likely the right answers to questions about the concept are, the nth root of n words.",
        "mean_of", "probability", "question",
    ),
    _memorised(
        "exact_memorisation", "Words of the answer that come first",
        "Share of the right answers' words that are the model's first choice when the words before are given.",
        "mean_of", "exact", "question",
    ),
    _memorised(
        "extraction_strength", "Share of the answer that it adds by itself",
        "How much of the right answer the model writes by itself once the beginning is given.",
        "mean_of", "extraction_strength", "question",
    ),
    _memorised(
        "concept_probability", "Probability of the concept's words",
        "How likely the concept's words are in statements about it.", "mean_of", "probability", "statement",
    ),
    _memorised(
        "concept_median_rank", "Place of the concept's words", "Where the right word stands in the model's order of "
        "all words, in half of the cases; 1 is the first.", "median_rank", better="higher", has_stderr=False,
    ),
    _memorised(
        "concept_mean_rank", "Mean place of the concept's words", "The same on average by statement.", "mean_of",
        "mean_rank", "statement", better="higher", shown_in=(),
    ),
    _memorised(
        "truth_ratio", "Right and wrong answers as likely as each other",
        "1: the model cannot tell the right answer from wrong ones; near 0: it knows the right one, or avoids it.",
        "truth_ratio", better="higher",
    ),
    Metric(
        "answers_apart", "Largest gap between the answers' probabilities",
        "How far apart the probabilities of the right answers lie from those of the model that never knew; 0 is the "
        "same.", ("never_knew memorisation", "memorisation"), _late("memorisation", "answers_apart", "statistic"),
        section="never knew", better="lower", has_stderr=False, shown_in=("table",),
    ),
    Metric(
        "answers_apart_pvalue", "Could the answers' probabilities be those of never-knew",
        "Near 0: no; above 0.05: it may be.", ("never_knew memorisation", "memorisation"),
        _late("memorisation", "answers_apart", "pvalue"), section="never knew", unit="p-value", has_stderr=False,
        shown_in=("table",),
    ),
    _inside(
        "uds", "Unlearning depth",
        "How much of what the never-knew model lacks inside is lacking too: 0 nothing, 1 everything.", "depth",
        unit="share", better="higher", column="Depth", shown_in=("table", "runs"),
    ),
    _inside(
        "foreign_share", "Depth that only the other model's make explains",
        "What the never-knew model's states cost on words that it does know, against the concept's. Where it is high, "
        "an edit of the base cannot come near a depth of 1.", "depth", unit="share", has_stderr=False,
    ),
    _inside(
        "lens_nats", "Concept loss at the layer that tells it best",
        "How badly the concept's next word is predicted where an inner layer is read as if it were the last one.",
        "readout", unit="nats", better="higher",
    ),
    _inside(
        "lens_rank", "Place of the concept's word at that layer", "In half of the cases; 1 is the first.", "readout",
        better="higher", has_stderr=False,
    ),
    _inside(
        "lens_told", "Concept's word told from its others inside",
        "How often the right one is the likeliest of the concept's words at the layer that tells it best; the model "
        "that never knew shows what guessing gives.", "readout", better="lower",
    ),
    _inside(
        "probe_accuracy", "A probe tells which of the concept's words comes next",
        "How often a linear map of the layer that tells it best names the right one.", "readout", better="lower",
    ),
    _inside(
        "probe_selectivity", "… more often than words dealt out at random",
        "The same less what a map of its kind reaches on labels without meaning.", "readout", better="lower",
    ),
)  # fmt: skip

METRICS: dict[str, Metric] = {metric.name: metric for metric in _ROWS}


def metrics_table(inputs: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, float | None]]:
    """Compute every metric for every state.

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
        values[name] = None if math.isnan(estimate.value) else estimate.value
        if metric.has_stderr:
            values[f"{name}_stderr"] = None if math.isnan(estimate.stderr) else estimate.stderr
    return values
