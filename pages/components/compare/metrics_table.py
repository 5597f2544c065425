"""Measured values side by side, each with its 95 % interval."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from pages.components.navigation import as_it_is
from unlearning_core.evaluation.ratio import INTERVAL_NOTE, NATS_NOTE
from unlearning_core.evaluation.registry import Metric, Values, formatted, shown
from unlearning_core.figures.metric_bars import metric_bars
from unlearning_core.methods.registry import state_title
from unlearning_core.runs.context import RunContext
from unlearning_core.runs.run import Run
from unlearning_core.runs.stages.measure import metrics_of

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

PANEL = 176
"""Width of a chart: four beside each other on a wide page, two on a phone."""


@st.cache_data(show_spinner=False, max_entries=32, hash_funcs={Run: as_it_is})
def metrics_so_far(run: Run, states: Sequence[str]) -> dict[str, dict[str, float | None]]:
    """What `metrics.json` will hold, from the measurements that are there."""
    return metrics_of(RunContext(run), states)


def show_metrics(metrics: Values) -> None:
    """Bars of the headline metrics, and folded the table of all but the comparison with never-knew below."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        for title, figure in _bars(metrics).items():
            with st.container(width=PANEL):
                st.caption(title)
                st.plotly_chart(
                    figure, key=f"bars {title}", alt=f"{title} for each state of the model",
                    config={"displayModeBar": False},
                )  # fmt: skip
    st.caption(
        f"Bars have 95 % intervals. {INTERVAL_NOTE} Loss: how badly the next word is predicted, on text that the "
        "ranking never saw. Forgetting shows as a concept loss that goes up while the loss on other text stays. "
        f"{NATS_NOTE}"
    )
    rows = [metric for metric in shown(metrics, "table") if metric.section != "never knew"]
    with st.expander(f"All {len(rows)} measured values"):
        st.dataframe(
            {"": [metric.row_title for metric in rows]} | _cells(metrics, rows), hide_index=True, height="content"
        )
        parts = " It has two parts: the neighbours, which must stay, and the text without them."
        st.caption(
            f"{INTERVAL_NOTE} In all sentences other text holds what stands next to the concept's words too, where a "
            "model that never knew them loses as well."
            + (parts if any(metric.name == "neighbour_nll" for metric in rows) else "")
        )


@st.cache_resource(show_spinner=False, max_entries=32)
def _bars(metrics: Values) -> Mapping[str, "Figure"]:
    """Drawing a figure takes longer than all else of it."""
    return metric_bars(metrics)


def show_never_knew(metrics: Values) -> None:
    """How close each state is to the model that never knew, folded; nothing where there is no such model."""
    rows = [metric for metric in shown(metrics, "table") if metric.section == "never knew"]
    if not rows:
        return
    with st.expander("How close to never having known"):
        st.caption(
            "Compared with a model trained on the same text without the concept: what forgetting it perfectly looks "
            f"like. {INTERVAL_NOTE}"
        )
        # A table wraps its cells, but a number stays beside its interval.
        cells = {
            state: [cell.replace(" ", "\N{NO-BREAK SPACE}") for cell in column]
            for state, column in _cells(metrics, rows).items()
        }
        meanings = {"what it says": [metric.meaning for metric in rows]}
        st.table(pd.DataFrame(cells | meanings, index=[metric.full_title for metric in rows]))


def _cells(metrics: Values, rows: Sequence[Metric]) -> dict[str, list[str]]:
    return {
        state_title(state): [formatted(values, metric.name) for metric in rows] for state, values in metrics.items()
    }
