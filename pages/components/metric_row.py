"""Numbers in a row, each with its title."""

import streamlit as st
from streamlit.delta_generator import DeltaGenerator


def metric_row(*metrics: tuple[str, ...], row: DeltaGenerator | None = None) -> DeltaGenerator:
    """A number for each (title, value) or (title, value, help), side by side; returns their row, to add more to it."""
    row = row if row is not None else st.container(horizontal=True, gap="medium")
    for title, value, *meaning in metrics:
        row.metric(title, value, help=meaning[0] if meaning else None, width="content")
    return row
