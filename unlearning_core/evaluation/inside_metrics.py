"""The metrics of memorisation, depth and readout: is the concept still in there, word for word or layer by layer?

Rows of the registry, computed from the frames of the parts of these names (parts.py). Loads no torch.
"""

from typing import Any

from unlearning_core.evaluation.metric import Metric, late


def _row(part: str, name: str, title: str, help: str, compute: Any, **more: Any) -> Metric:
    return Metric(name, title, help, (part,), compute, **{"section": "gone", "shown_in": ("proof",), **more})


def _mean(name: str, title: str, help: str, column: str, kind: str, **more: Any) -> Metric:
    compute = late("memorisation", "mean_of", column=column, kind=kind)
    return _row("memorisation", name, title, help, compute, **{"better": "lower", **more})


def _apart(name: str, title: str, help: str, what: str, **more: Any) -> Metric:
    compute, needs = late("memorisation", "answers_apart", name=what), ("never_knew memorisation", "memorisation")
    return Metric(
        name, title, help, needs, compute, section="gone", has_stderr=False, shown_in=("proof",), **more
    )  # fmt: skip


_MEMORISATION = (
    _mean(
        "answer_probability", "Probability of the right answer",
        "How likely the right answers to questions about the concept are, a token (the geometric mean).",
        "probability", "question", unit="share",
    ),
    _mean(
        "exact_memorisation", "Tokens of the answer predicted right",
        "Share of the right answers' tokens that are the model's first choice when those before are given.",
        "exact", "question", unit="share",
    ),
    _mean(
        "extraction_strength", "Share of the answer that it adds by itself",
        "How much of the right answer the model writes by itself once the beginning is given.",
        "extraction_strength", "question", unit="share",
    ),
    _mean(
        "concept_probability", "Probability of the concept's words",
        "How likely the concept's words are where a statement first names them.", "probability", "statement",
        unit="share",
    ),
    _row(
        "memorisation", "concept_median_rank", "Place of the concept's words",
        "Where the right one stands in the model's order of all tokens, in half of the cases; 1 is the first.",
        late("memorisation", "median_rank"), better="higher", has_stderr=False,
    ),
    _mean(
        "concept_mean_rank", "Mean place of the concept's words", "The same on average.", "mean_rank", "statement",
        better="higher", shown_in=(),
    ),
    _row(
        "memorisation", "truth_ratio", "Right and wrong answers as likely as each other",
        "1: the model cannot tell the right answer from wrong ones; near 0: it knows the right one, or avoids it.",
        late("memorisation", "truth_ratio"), better="higher",
    ),
    _apart(
        "answers_apart", "Largest gap between the answers' probabilities and never-knew's",
        "How far apart the probabilities of the right answers lie from those of the model that never knew; 0 is the "
        "same.", "statistic", better="lower",
    ),
    _apart(
        "answers_apart_pvalue", "Could the answers' probabilities be never-knew's",
        "Near 0: no; above 0.05: it may be.", "pvalue", unit="p-value",
    ),
)  # fmt: skip

_DEPTH = (
    _row(
        "depth", "uds", "Unlearning depth",
        "How much of what the never-knew model lacks inside is lacking too: 0 nothing, 1 everything.",
        late("depth", "uds"), unit="share", better="higher", column="Depth", shown_in=("proof", "runs"),
    ),
    _row(
        "depth", "uds_beyond_control", "Unlearning depth beyond the control",
        "The same less what the states cost on words that both models know: damage to other text is not depth.",
        late("depth", "uds_beyond_control"), unit="share", better="higher",
    ),
    _row(
        "depth", "foreign_share", "Share of the depth that the concept does not explain",
        "What the never-knew model's states cost on words that it knows, against the concept's: so much of a depth of "
        "1 says nothing about the concept.",
        late("depth", "foreign_share"), unit="share", has_stderr=False,
    ),
)  # fmt: skip

_READOUT = (
    _row(
        "readout", "lens_nats", "Concept loss at the layer that tells it best",
        "How badly the concept's next word is predicted where an inner layer is read as if it were the last one.",
        late("readout", "lens_nats"), unit="nats", better="higher",
    ),
    _row(
        "readout", "lens_rank", "Place of the concept's word at that layer", "In half of the cases; 1 is the first.",
        late("readout", "lens_rank"), better="higher", has_stderr=False,
    ),
    _row(
        "readout", "lens_told", "Concept's word told from its others inside",
        "How often the right one is the likeliest of the concept's words at the layer that tells it best; the model "
        "that never knew shows what guessing gives.", late("readout", "lens_told"), unit="share", better="lower",
    ),
    _row(
        "readout", "probe_accuracy", "A probe tells which of the concept's words comes next",
        "How often a linear map of the layer that tells it best names the right one.",
        late("readout", "probe_accuracy"), unit="share", better="lower",
    ),
    _row(
        "readout", "probe_selectivity", "… more often than with labels dealt out at random",
        "The same less what a map of its kind reaches on labels without meaning.",
        late("readout", "probe_selectivity"), unit="share", better="lower",
    ),
)  # fmt: skip

INSIDE_ROWS: tuple[Metric, ...] = (*_MEMORISATION, *_DEPTH, *_READOUT)
