"""The ranking, and the numbers behind the picture of all neurons, to take along as files."""

from collections.abc import Callable

import pandas as pd
import streamlit as st

from unlearning_core.rankers.registry import Quantity
from unlearning_core.reports.ranking_table import as_csv, as_parquet, heatmap_table, ranking_table
from unlearning_core.runs.run import Run


def export_ranking(run: Run, ranking: pd.DataFrame, site: str, quantity: Quantity) -> None:
    """A button for each file; a file is made when it is asked for."""
    # Streamlit calls these when a button is pressed, and takes bytes alone.
    files: dict[str, tuple[str, str, Callable[[], bytes]]] = {
        "Ranking (CSV)": ("ranking.csv", "text/csv", lambda: as_csv(ranking_table(ranking, quantity))),
        "Ranking (Parquet)": (
            "ranking.parquet", "application/vnd.apache.parquet", lambda: as_parquet(ranking_table(ranking, quantity)),
        ),
        "Heatmap (CSV)": ("heatmap.csv", "text/csv", lambda: as_csv(heatmap_table(ranking, site))),
    }  # fmt: skip
    with st.container(horizontal=True):
        for title, (name, mime, make) in files.items():
            st.download_button(
                title,
                make,
                f"{run.id}-{name}",
                mime,
                on_click="ignore",
                icon=":material/download:",
                key=f"export {name}",
            )
    st.caption(
        f"**Ranking**: a line a neuron: rank (1 is the first), layer, neuron, {quantity.key} ({quantity.meaning}), "
        "sd_from_layer_mean, percentile (share of the ranked neurons that stand behind it), protected. "
        "**Heatmap**: a line a layer, a column a neuron: standard deviations from its layer's mean."
    )
