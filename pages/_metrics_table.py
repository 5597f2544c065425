"""Measured values side by side, each with its standard error."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from unlearning_core.figures import metric_bars
from unlearning_core.runs import Run

ROWS = {
    "concept_nll": "Concept loss (nats/token)",
    "forget_delta": "... change against base",
    "retain_nll": "Loss elsewhere (nats/token)",
    "retain_delta": "... change against base",
    "concept_accuracy": "Concept words guessed right",
    "retain_accuracy": "Other words guessed right",
    "concept_words_per_100": "Concept words in 100 written",
}


def metrics_so_far(run: Run, stages: Sequence[str]) -> dict[str, Any]:
    """What `metrics.json` will hold, from the measurements that are there."""
    from unlearning_core.evaluation.concept_words import concept_words_per_100
    from unlearning_core.evaluation.metrics import Measurement
    from unlearning_core.evaluation.report import metrics_table
    from unlearning_core.work import Work

    folder, matcher = run.folder / "measurements", Work(run).matcher
    there = [stage for stage in stages if (folder / f"{stage}.parquet").is_file()]
    measured = {stage: Measurement.from_sentences(pd.read_parquet(folder / f"{stage}.parquet")) for stage in there}
    written = {stage: [text["text"] for text in run.read_json(f"measurements/{stage}.json")] for stage in there}
    return metrics_table(measured, {stage: concept_words_per_100(texts, matcher) for stage, texts in written.items()})


def show_metrics(metrics: Mapping[str, Mapping[str, Any]]) -> None:
    """Bars with 95 % intervals, and the table below."""
    bars = metric_bars(metrics, ("concept_nll", "retain_nll", "concept_words_per_100"))
    bars.update_traces(error_y_color="#808080")  # seen on light and on dark ground
    st.plotly_chart(bars, key="metric bars", alt="Loss and concept words written for each stage of the model")
    table = {
        stage: [_cell(values.get(name), values.get(f"{name}_stderr")) for name in ROWS]
        for stage, values in metrics.items()
    }
    st.dataframe({"": list(ROWS.values())} | table, hide_index=True)
    st.caption(
        "± one standard error. Loss: how badly the next word is predicted, on text that was never ranked on. "
        "Forgetting shows as concept loss going up while the loss elsewhere stays."
    )


def _cell(value: float | None, error: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.3f}" + (f" ± {error:.3f}" if error is not None else "")
