"""How far all rankings of a run agree, each with each."""

import streamlit as st

from pages.components.model_cache import base_is_at_hand, base_model
from pages.components.neurons.method_rankings import rankings_there
from unlearning_core.figures.agreement import agreement_grid
from unlearning_core.neurons.agreement import AgreementMatrix
from unlearning_core.runs.run import Run

_ORDER, _TOP = "Order of all neurons", "The first neurons"
_SHARES = (0.1, 0.3, 1.0, 3.0, 10.0)
"""Tops that are compared, in percent of the neurons ranked."""


def agreement_of_all(run: Run) -> None:
    """A grid of all rankings that are there: Spearman's correlation, or the overlap of their first neurons."""
    if not base_is_at_hand(run):
        return
    with base_model(run) as loaded:
        found = AgreementMatrix.of(rankings_there(run, loaded))
    row = st.container(horizontal=True, vertical_alignment="bottom", gap="medium")
    what = row.segmented_control(
        "What is compared", [_ORDER, _TOP], default=_ORDER, required=True, key=f"agreement {run.id}"
    )
    if what == _TOP:
        share = row.select_slider(
            "How many", _SHARES, 1.0, format_func=lambda share: f"first {share:g} %", key=f"agreement top {run.id}",
            width=220,
        )  # fmt: skip
        first = max(1, round(float(share) / 100 * found.ranks.shape[1]))
        values = found.overlaps(first)
        said = (
            f"Of the first {first:,} neurons ({share:g} %) of one ranking, the share that is among the first {first:,} "
            f"of the other; by chance {100 * first / found.ranks.shape[1]:.2g} %."
        )
    else:
        values = found.correlations()
        said = "Spearman's rank correlation over all neurons: 1 is the same order, 0 no relation, -1 upside down."
    st.plotly_chart(
        agreement_grid(found.names, values, percent=what == _TOP), key="agreement grid",
        alt="A grid of rankings against rankings, each cell with its number",
    )  # fmt: skip
    st.caption(
        f"{said} Row 1 is this run's ranking; then those it was compared with (Another ranking) and the methods that "
        "need no more than its pass kept, with their defaults."
    )
