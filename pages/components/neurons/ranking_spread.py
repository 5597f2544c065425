"""How the scores of a ranking are spread, and the neurons that are protected."""

import pandas as pd
import streamlit as st

from unlearning_core.figures.distributions import score_histogram
from unlearning_core.neurons.neuron import expert_columns
from unlearning_core.rankers.registry import Quantity
from unlearning_core.runs.run import Run


def spread(run: Run, ranking: pd.DataFrame, site: str, quantity: Quantity) -> None:
    """A histogram of all scores, and a table of the massive neurons."""
    st.plotly_chart(
        score_histogram(ranking, site, quantity.title), key="histogram",
        alt=f"How many neurons have which {quantity.name}",
    )  # fmt: skip
    st.caption(f"**{quantity.title.capitalize()}**: {quantity.meaning}")
    massive = run.massive()
    if massive.empty:
        st.caption("No neuron of this model has a massive activation.")
    else:
        st.markdown("**Massive neurons**: what they put out at the first position, and at all others.")
        names = ranking[["site", "layer", "index", *expert_columns(ranking)]]
        st.dataframe(massive.merge(names, on=["site", "layer", "index"], how="left"), hide_index=True)
