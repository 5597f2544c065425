"""What the models of a run score in well-known benchmarks, where they were measured in some (`unlearn benchmark`)."""

import streamlit as st

from pages.components.navigation import as_it_is
from unlearning_core.reports.benchmarks import NOTE, benchmark_rows
from unlearning_core.runs.benchmarks import table
from unlearning_core.runs.run import Run


def has_benchmarks(run: Run) -> bool:
    """Whether its models were measured in some."""
    return bool(_rows(run))


def show_benchmarks(run: Run) -> None:
    """The table."""
    st.dataframe(_rows(run), hide_index=True)
    st.caption(NOTE)


@st.cache_data(show_spinner="Reading the benchmarks", max_entries=8, hash_funcs={Run: as_it_is})
def _rows(run: Run) -> list[dict[str, str]]:
    return benchmark_rows(table(run))
