"""Measured values side by side, each with its standard error."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from pages.components.navigation import finished_stages
from unlearning_core.figures.charts import metric_bars
from unlearning_core.reports.terminal import in_figures
from unlearning_core.runs.run import Run

ROWS = {
    "concept_nll": "Concept loss (nats/token)",
    "forget_delta": "... change against base",
    "retain_nll": "Loss elsewhere (nats/token)",
    "retain_delta": "... change against base",
    "neighbour_nll": "Loss on its neighbours (nats/token)",
    "neighbour_delta": "... change against base",
    "rest_nll": "Loss on everything else (nats/token)",
    "rest_delta": "... change against base",
    "concept_accuracy": "Concept words guessed right",
    "retain_accuracy": "Other words guessed right",
    "neighbour_accuracy": "... of its neighbours",
    "rest_accuracy": "... of everything else",
    "concept_words_per_100": "Concept words in 100 written",
}
"""Row title by metric; the rows of `APART` only where neighbours were measured."""

APART = {name for name in ROWS if name.startswith(("neighbour_", "rest_"))}

NEVER_KNEW = {
    "forget_quality": (
        "Forget quality (p-value)",
        "Could the answers about the concept come from the model that never knew? Near 0: no; above 0.05: it may be.",
    ),
    "forget_quality_statistic": (
        "Largest gap between the answers",
        "How far apart the two models' truth ratios lie, 0 to 1; 0 is the same.",
    ),
    "never_knew_kl_forget": (
        "Divergence on the concept",
        "How differently the next word is expected in text about the concept (KL, nats/token); 0 is the same.",
    ),
    "never_knew_kl_neighbour": (
        "... on its neighbours",
        "The same in text about things like it, which the model should still know.",
    ),
    "never_knew_kl_retain": (
        "... on everything else",
        "The same in all other text: what the cut has cost beyond the concept.",
    ),
}
"""Row title and what it says, by metric."""


def metrics_so_far(run: Run, stages: Sequence[str]) -> dict[str, Any]:
    """What `metrics.json` will hold, from the measurements that are there."""
    from unlearning_core.evaluation.concept_words import concept_words_per_100
    from unlearning_core.evaluation.table import metrics_table
    from unlearning_core.runs.context import RunContext

    matcher, done = RunContext(run).matcher, finished_stages(run)
    measured = {stage: found for stage in stages if (found := run.measurement(stage)) is not None}
    written = {stage: [text["text"] for text in run.written(stage) or []] for stage in measured}
    words = {stage: concept_words_per_100(texts, matcher) for stage, texts in written.items()}
    distances = {stage: run.distance(stage) for stage in measured if f"distance {stage}" in done}
    return metrics_table(measured, words, {stage: found for stage, found in distances.items() if found is not None})


def show_metrics(metrics: Mapping[str, Mapping[str, Any]]) -> None:
    """Bars with 95 % intervals, and the table below."""
    rows = [name for name in ROWS if name not in APART or any(name in values for values in metrics.values())]
    apart = bool(APART.intersection(rows))
    # Three panels fit a narrow page.
    others = ("neighbour_nll", "rest_nll") if apart else ("retain_nll", "concept_words_per_100")
    bars = metric_bars(metrics, ("concept_nll", *others))
    bars.update_traces(error_y_color="#808080")  # seen on light and on dark ground
    st.plotly_chart(bars, key="metric bars", alt="Measured values for each stage of the model")
    table = {
        stage: [in_figures(values.get(name), values.get(f"{name}_stderr")) for name in rows]
        for stage, values in metrics.items()
    }
    st.dataframe({"": [ROWS[name] for name in rows]} | table, hide_index=True, height="content")
    show_flash = " The loss elsewhere in two parts: the neighbours, which must stay, and everything else."
    st.caption(
        "± one standard error. Loss: how badly the next word is predicted, on text that was never ranked on. "
        "Forgetting shows as concept loss going up while the loss elsewhere stays." + (show_flash if apart else "")
    )


def show_never_knew(metrics: Mapping[str, Mapping[str, Any]]) -> None:
    """How close each stage is to the model that never knew; nothing where there is no such model."""
    rows = [name for name in NEVER_KNEW if any(values.get(name) is not None for values in metrics.values())]
    if not rows:
        return
    st.subheader("How close to never having known")
    st.caption(
        "Compared with a model trained on the same text without the concept: what forgetting it perfectly looks like."
    )
    table = {
        # A table wraps its cells, but a number stays beside its error.
        stage: [
            in_figures(values.get(name), values.get(f"{name}_stderr")).replace(" ", "\N{NO-BREAK SPACE}")
            for name in rows
        ]
        for stage, values in metrics.items()
    }
    titles, meanings = zip(*(NEVER_KNEW[name] for name in rows), strict=True)
    st.table(pd.DataFrame(table | {"what it says": meanings}, index=titles))
