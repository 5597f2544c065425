"""Two runs on the page Runs: their numbers, by how much they differ, and in which settings."""

import streamlit as st

from pages.components.marked_text import escaped
from pages.components.run_summary import described
from unlearning_core.errors import InputError
from unlearning_core.evaluation.ratio import INTERVAL_NOTE
from unlearning_core.evaluation.registry import headline
from unlearning_core.figures.two_runs import two_runs as bars
from unlearning_core.reports.two_runs import (
    DIFFERENCE_NOTE,
    different_settings,
    either,
    metrics_of_two,
    paired_differences,
)
from unlearning_core.runs.naming import shown_name
from unlearning_core.runs.run import Run


def two_runs(one: Run, other: Run) -> None:
    """A chart of the headline numbers, all numbers with their differences, and the settings that differ."""
    st.markdown(f"**First:** {escaped(described(one))}  \n**Second:** {escaped(described(other))}")
    first, second = one.metrics() or {}, other.metrics() or {}
    numbers = metrics_of_two(first, second, paired_differences(one, other))
    st.subheader("Numbers")
    if numbers.empty:
        st.caption("Neither of the two has been measured to its end yet.")
    else:
        names = [f"First: {shown_name(one)}", f"Second: {shown_name(other)}"]
        drawn = headline(either(first, second))
        if drawn:
            st.plotly_chart(bars([first, second], names, drawn), key="two runs", alt="The two runs' numbers as bars")
        st.dataframe(numbers, hide_index=True, column_config=_COLUMNS)
        st.caption(f"{INTERVAL_NOTE} {DIFFERENCE_NOTE}")
    st.subheader("Settings that differ")
    try:
        settings = different_settings(one, other)
    except InputError as error:
        raise InputError(f"The two cannot be compared: {error}") from error
    if settings.empty:
        st.caption("None: both have the same settings.")
    else:
        st.dataframe(settings.rename(columns={"one": "first", "other": "second"}), hide_index=True)


_COLUMNS = {
    "metric": st.column_config.TextColumn("Metric", width=320),
    "model": st.column_config.TextColumn("Model", width=74),
    "first": st.column_config.TextColumn("First", width=104),
    "second": st.column_config.TextColumn("Second", width=104),
    "difference": st.column_config.TextColumn("Difference", width=112),
    "better": st.column_config.TextColumn("Better", width=66),
}
